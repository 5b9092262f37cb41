"""`pbft recover`: have a replica rejoin that lost its disk, or got an older one back."""

import argparse
import json
import sys
from pathlib import Path

from pbft.cli.parsing import SubParsers, UsageError, add_command, add_directory, whole
from pbft.cluster import Cluster, replica_name
from pbft.core.config import MAX_REPLICAS
from pbft.lost_disk import remembers, replace_store


def add_parser(subparsers: SubParsers) -> None:
    """recover DIR ID [--yes] [--json]"""
    parser = add_command(
        subparsers,
        "recover",
        "have a replica rejoin that lost its records\n\n"
        "For a replica that refuses to start, because its disk was lost, is damaged, or holds an\n"
        "older copy. Sets its database aside (nothing is deleted) and makes a new one that says\n"
        "that its votes are forgotten. At its next start the replica asks all others what they\n"
        "hold of it, fetches the state, and votes again once the cluster has left behind every\n"
        "number that it may have voted for. Until then it counts as one of the f faulty replicas:\n"
        "recover one replica at a time, with the others running. Where its database is whole, it\n"
        "asks first: a replica that was merely stopped needs nothing of this.",
    )
    add_directory(parser)
    parser.add_argument(
        "replica", metavar="ID", type=whole(0, MAX_REPLICAS - 1), help="its number, from 0"
    )
    parser.add_argument("--yes", action="store_true", help="also where its database is whole")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Replace the store and say what comes next; the replica must not be running. 1 where somebody
    has thought better of it."""
    directory: Path = args.directory
    cluster = Cluster.load(directory)
    name, start = replica_name(args.replica), f"pbft replica {directory} {args.replica}"
    if not args.yes and remembers(cluster, directory, args.replica) and not _insists(name, start):
        print("pbft: nothing was changed", file=sys.stderr)
        return 1
    aside = replace_store(cluster, directory, args.replica)
    if args.json:
        old = None if aside is None else str(aside)
        print(json.dumps({"replica": args.replica, "set_aside": old, "next": start}))
        return 0
    if aside is None:
        print(f"{name} had no database; it has a new one, which says that its votes are forgotten")
    else:
        print(f"{aside}: the old database of {name}, set aside; delete it when you like")
    print(
        "while it recovers, it counts as one of the f faulty replicas: keep the others running\n"
        f"next: {start}"
    )
    return 0


def _insists(name: str, start: str) -> bool:
    """Raises `UsageError` where nobody can be asked."""
    found = (
        f"the database of {name} is whole and remembers its votes: if it was merely stopped,"
        f" `{start}` is all it needs"
    )
    if not sys.stdin.isatty():
        raise UsageError(f"{found}; if that refuses, as with an older copy, add --yes")
    print(f"{found}. Set it aside all the same? [y/N]", end=" ", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
