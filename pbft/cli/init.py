"""`pbft init`: a new cluster on this machine, with keys for every replica and client."""

import argparse
from pathlib import Path

from pbft.cli.parsing import MAX_CLIENTS, SubParsers, add_command, whole
from pbft.cluster import Cluster
from pbft.cluster_file import KEY_VALUE
from pbft.core.config import MAX_REPLICAS
from pbft.core.ids import MAX_GUESTS
from pbft.core.quorum import faults
from pbft.serving import service_of
from pbft.typed.hosting import Hosted
from pbft.typed.methods import UPGRADE

DEFAULT_PORT = 7400


def add_parser(subparsers: SubParsers) -> None:
    """init DIR [--replicas N] [--clients C] [--admits G] [--base-port P] [--hosts H,...]
    [--service M:C]"""
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
        default=2,
        metavar="C",
        help="client identities to make, client-0 and up; one process uses one at a time (2)",
    )
    parser.add_argument(
        "--admits",
        type=whole(0, MAX_GUESTS),
        default=0,
        metavar="G",
        help="how many others each of them may let in later, with `pbft admit` (0)",
    )
    parser.add_argument(
        "--hosts",
        type=lambda text: text.split(","),
        metavar="H,H,...",
        help="an address for each replica, all at the base port (this machine alone)",
    )
    parser.add_argument(
        "--service",
        default=KEY_VALUE,
        metavar="MODULE:CLASS",
        help="what the replicas run (the key-value service)",
    )
    parser.add_argument(
        "--base-port",
        type=whole(1, 65535),
        default=DEFAULT_PORT,
        metavar="P",
        help=f"the first of two UDP ports per replica ({DEFAULT_PORT})",
    )


def run(args: argparse.Namespace) -> int:
    """Write the files and say what was made, where the service can be hosted."""
    service = service_of(args.service)  # what replicas could not run is refused now
    cluster, identities = Cluster.create(
        args.replicas,
        args.clients,
        args.base_port,
        hosts=args.hosts,
        service=args.service,
        admits=args.admits,
    )
    cluster.save(args.directory, identities)
    last = args.base_port + (1 if args.hosts else 2 * args.replicas - 1)
    where = ", ".join(args.hosts or ["127.0.0.1"])
    print(
        f"{args.directory}/cluster.toml: {args.replicas} replicas on UDP ports {args.base_port} to"
        f" {last} of {where}, of which {faults(args.replicas)} may be Byzantine"
    )
    if "window" in cluster.file.protocol:
        print(
            f"window = {cluster.config.window}, less than usual: with more, the NEW-VIEW of"
            f" {args.replicas} replicas would not fit into a message"
        )
    print(f"{args.directory}/keys/: private keys, one file each; they never leave their owner")
    if isinstance(service, Hosted):
        print(
            "no client may switch the service to a later version: for one that shall, write"
            f' may = ["*", "{UPGRADE}"] in {args.directory}/cluster.toml'
        )
    if args.hosts:
        print("next: give each host the same cluster.toml and its own key, and start there")
        print("      pbft replica DIR ID")
    else:
        print(f"next: pbft up {args.directory}")
    return 0
