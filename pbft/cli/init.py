"""`pbft init`: a new cluster on this machine, with keys for every replica and client."""

import argparse
from pathlib import Path

from pbft.cli.parsing import MAX_CLIENTS, SubParsers, add_command, whole
from pbft.cluster import Cluster
from pbft.core.config import MAX_REPLICAS
from pbft.core.quorum import faults

DEFAULT_PORT = 7400


def add_parser(subparsers: SubParsers) -> None:
    """init DIR [--replicas N] [--clients C] [--base-port P]"""
    parser = add_command(
        subparsers,
        "init",
        "make a cluster: DIR/cluster.toml (public) and DIR/keys/ (private)",
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="where to; never overwritten")
    parser.add_argument(
        "--replicas",
        type=whole(1, MAX_REPLICAS),
        default=4,
        metavar="N",
        help="at least 4; f = (N - 1) // 3 of them may be faulty (4)",
    )
    parser.add_argument(
        "--clients",
        type=whole(1, MAX_CLIENTS),
        default=1,
        metavar="C",
        help="client identities to make, client-0 and up (1)",
    )
    parser.add_argument(
        "--base-port",
        type=whole(1, 65535),
        default=DEFAULT_PORT,
        metavar="P",
        help=f"the first of two UDP ports per replica ({DEFAULT_PORT})",
    )


def run(args: argparse.Namespace) -> int:
    """Write the files and say what was made."""
    cluster, identities = Cluster.create(args.replicas, args.clients, args.base_port)
    cluster.save(args.directory, identities)
    last = args.base_port + 2 * args.replicas - 1
    print(
        f"{args.directory}/cluster.toml: {args.replicas} replicas on UDP ports {args.base_port} to"
        f" {last} of 127.0.0.1, of which {faults(args.replicas)} may be Byzantine"
    )
    print(f"{args.directory}/keys/: private keys, one file each; they never leave their owner")
    print(f"next: pbft up {args.directory}")
    return 0
