"""`pbft demo`: four replica processes, one of them Byzantine, and a verdict on what came of it."""

import argparse
import json
import tempfile
from contextlib import ExitStack
from pathlib import Path

from pbft.cli.demonstration import verdict
from pbft.cli.demonstration.screen import new_screen
from pbft.cli.demonstration.stage import Plan, demonstrate
from pbft.cli.demonstration.verdict import Run
from pbft.cli.parsing import SubParsers, add_command, seconds, whole
from pbft.testing.byzantine import BEHAVIOURS
from pbft.testing.cluster import ProcessCluster
from pbft.transport.loop import run as run_loop

N = 4
DEFAULT, NONE = "equivocate", "none"
TRAITOR = 0
"""The primary of view 0, so that every behaviour starts where it can do most harm."""
PROTOCOL = {
    "checkpoint_interval": 8,
    "window": 64,
    "request_timeout_ms": 500,
    "timeout_max_ms": 4000,
}
"""A checkpoint every 8 sequence numbers: 200 requests, at most 4 at once, pass at least six."""
REQUESTS = 200


def add_parser(subparsers: SubParsers) -> None:
    """demo [--byzantine BEHAVIOUR] [--requests N] [--seconds S] [--json] [--keep DIR]
    [--record DIR]"""
    parser = add_command(
        subparsers,
        "demo",
        "four replicas on this machine, one of them Byzantine, and what comes of it",
    )
    parser.add_argument(
        "--byzantine",
        choices=list(BEHAVIOURS),
        default=DEFAULT,
        metavar="BEHAVIOUR",
        help=f"what replica {TRAITOR} does: {', '.join(BEHAVIOURS)} ({DEFAULT})",
    )
    parser.add_argument(
        "--requests",
        type=whole(1, 1_000_000),
        metavar="N",
        help=f"how many requests to make ({REQUESTS}; with --seconds, as many as there is time)",
    )
    parser.add_argument(
        "--seconds", type=seconds, metavar="S", help="make no new requests after S seconds"
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object as the last line"
    )
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep the cluster's files and logs in DIR"
    )
    parser.add_argument(
        "--record",
        type=Path,
        metavar="DIR",
        help="have the replicas write what they hear and say into DIR, for `pbft timeline DIR`",
    )


def run(args: argparse.Namespace) -> int:
    """0 only if everything that was to be shown did hold."""
    wanted = args.requests or (0 if args.seconds else REQUESTS)
    traitor = None if args.byzantine == NONE else TRAITOR
    plan = Plan(args.byzantine, traitor, wanted, args.seconds)
    with ExitStack() as stack:
        scratch = args.keep or Path(stack.enter_context(tempfile.TemporaryDirectory())) / "demo"
        processes = ProcessCluster(scratch, n=N, clients=2, protocol=PROTOCOL, record=args.record)
        cluster = stack.enter_context(processes)
        screen = stack.enter_context(new_screen())
        cluster.start(traitors={} if traitor is None else {traitor: args.byzantine})
        outcome = run_loop(demonstrate(cluster, screen, plan))
    status = _conclude(outcome, args.json)
    if args.record and not args.json:
        print(f"draw it: pbft timeline {args.record}")
    return status


def _conclude(outcome: Run, as_json: bool) -> int:
    found = verdict.claims(outcome)
    for holds, claim in found:
        print(f"{'yes' if holds else 'NO ':<3}  {claim}")
    held = all(holds for holds, _ in found)
    figures = verdict.as_json(outcome)
    print(
        f"view changes: {figures['view_changes']}; longest time without an answer:"
        f" {figures['recovery_seconds']} s; {figures['ops_per_second']} requests/s;"
        f" latency p50 {figures['latency_ms']['p50']} ms, p99 {figures['latency_ms']['p99']} ms"
    )
    print("VERDICT: it held" if held else "VERDICT: IT DID NOT HOLD", flush=True)
    if as_json:
        print(json.dumps(figures), flush=True)
    return 0 if held else 1
