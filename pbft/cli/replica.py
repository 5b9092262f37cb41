"""`pbft replica`: one replica in this process, until it is told to stop."""

import argparse
import os
from pathlib import Path

from pbft.cli.parsing import SubParsers, add_command, add_directory, whole
from pbft.core.config import MAX_REPLICAS
from pbft.serving import serve

MAX_DESCRIPTOR = 2**20


def add_parser(subparsers: SubParsers) -> None:
    """replica DIR ID [--record FILE] [--with-parent] [--notify-fd N] [--verbose]"""
    parser = add_command(
        subparsers, "replica", "run one replica of a cluster, serving what the cluster file names"
    )
    add_directory(parser)
    parser.add_argument(
        "replica", metavar="ID", type=whole(0, MAX_REPLICAS - 1), help="its number, from 0"
    )
    parser.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="write what it hears and says to FILE, for `pbft timeline`: also what clients ask",
    )
    parser.add_argument(
        "--with-parent",
        action="store_true",
        help="stop when the process that started this one is gone, or nobody reads from N",
    )
    parser.add_argument(
        "--notify-fd",
        type=_descriptor,
        metavar="N",
        help="once it serves, write its number and a line break to this file descriptor",
    )
    parser.add_argument(
        "--verbose", action="store_true", help="log view changes, checkpoints and transfers"
    )


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C, both of which are an orderly end."""
    directory: Path = args.directory
    serve(
        directory,
        args.replica,
        with_parent=args.with_parent,
        verbose=args.verbose,
        record=args.record,
        notify=args.notify_fd,
    )
    return 0


def _descriptor(text: str) -> int:
    value = whole(0, MAX_DESCRIPTOR)(text)
    try:
        os.fstat(value)
    except OSError:
        raise argparse.ArgumentTypeError(f"{value} is no file descriptor that is open") from None
    return value
