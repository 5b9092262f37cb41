"""`pbft diverged`: why replicas do not have the same state, from their journals."""

import argparse
import json
from pathlib import Path

import msgspec
from rich.console import Console

from pbft.cli.parsing import SubParsers, UsageError, add_command, add_directory
from pbft.cluster import Cluster
from pbft.journal_files import journal_paths, read_journal
from pbft.testing.divergence import explain, text


def add_parser(subparsers: SubParsers) -> None:
    """diverged DIR [FILE ...] [--service MODULE:CLASS] [--json]"""
    parser = add_command(
        subparsers,
        "diverged",
        "name the command that made the states of replicas differ\n\n"
        "For a replica that says `Diverged`, or a cluster whose checkpoints never become stable.\n"
        "Reads the journals in DIR/data, among them the copy that a diverged replica sets aside,\n"
        "or the files given, collected from the replicas' hosts; replicas may go on meanwhile.\n"
        "Finds the last checkpoint at which the states agree and the first at which they differ,\n"
        "and executes what was ordered in between again, in processes that differ in hash seed,\n"
        "locale, time zone and clock. Run it where the service can be imported.\n"
        "Exit status: 0 the states agree, 1 they differ, or more journals are needed.",
    )
    add_directory(parser)
    parser.add_argument(
        "files", metavar="FILE", nargs="*", type=Path, help="journals (those in DIR/data)"
    )
    parser.add_argument(
        "--service", metavar="MODULE:CLASS", help="instead of the one in the cluster file"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """0 where the states agree, 1 where they do not."""
    cluster = Cluster.load(args.directory)
    paths = args.files or list(journal_paths(args.directory))
    if not paths:
        raise UsageError(f"there are no journals in {args.directory / 'data'}: name the files")
    service = args.service or cluster.file.service.runs
    with Console(stderr=True).status("reading the journals, and executing again"):
        files = [read_journal(path, cluster) for path in paths]
        found = explain(cluster, args.directory, files, service)
    if args.json:
        print(json.dumps({"diverged": found is not None, "found": msgspec.to_builtins(found)}))
    elif found is None:
        print("the states agree wherever two of the journals have them")
    else:
        print(text(found))
    return 0 if found is None else 1
