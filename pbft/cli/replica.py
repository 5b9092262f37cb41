"""`pbft replica`: one replica in this process, until it is told to stop."""

import argparse
from pathlib import Path

from pbft.cli.parsing import SubParsers, add_command, add_directory, whole
from pbft.core.config import MAX_REPLICAS
from pbft.serving import serve


def add_parser(subparsers: SubParsers) -> None:
    """replica DIR ID [--record FILE] [--with-parent] [--verbose]"""
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
        help="stop when the process that started this one is gone",
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
    )
    return 0
