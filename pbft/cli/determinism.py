"""`pbft determinism`: whether a service gives the same in every process."""

import argparse
import json

from pbft.cli.parsing import SubParsers, add_command, whole
from pbft.testing.determinism import check
from pbft.testing.surroundings import SURROUNDINGS

OPERATIONS = 500


def add_parser(subparsers: SubParsers) -> None:
    """determinism MODULE:CLASS [--operations N] [--seed S] [--json]"""
    parser = add_command(
        subparsers, "determinism", "run a service in several processes and name what differs"
    )
    parser.add_argument("service", metavar="MODULE:CLASS", help="its class, found as Python does")
    parser.add_argument(
        "--operations",
        type=whole(1, 100_000),
        default=OPERATIONS,
        metavar="N",
        help=f"random calls of its commands and queries ({OPERATIONS})",
    )
    parser.add_argument("--seed", type=whole(0, 2**31), default=0, metavar="S", help="of them (0)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """0 where all processes agree, 1 where they do not."""
    report = check(args.service, args.operations, args.seed)
    if args.json:
        found = (
            None
            if report is None
            else {
                "operation": report.number,
                "command": report.command,
                "key": report.key,
                "text": report.text,
            }
        )
        print(json.dumps({"deterministic": report is None, "difference": found}))
    elif report is None:
        print(f"{args.operations} operations gave the same in {len(SURROUNDINGS)} processes")
    else:
        print(report.text)
    return 0 if report is None else 1
