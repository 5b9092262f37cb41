"""`pbft simulate`: seeds of the deterministic simulator, in as many processes as there are cores.

A seed is a whole scenario: sizes, traitors, losses, partitions, crashes, workload. What it finds is
kept as a plan, which `pbft replay` runs again and `pbft shrink` makes smaller.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from itertools import repeat
from pathlib import Path

from pbft.cli.parsing import SubParsers, add_command, whole
from pbft.core.config import MAX_REPLICAS
from pbft.testing.plan import draw
from pbft.testing.planfiles import DIRECTORY, keep
from pbft.testing.simulator import Report, simulate

MAX_SEEDS = 1_000_000
SHOWN = 5


def add_parser(subparsers: SubParsers) -> None:
    """simulate --seed S [--seeds N] [--replicas N] [--traitors T] [--jobs J] [--keep DIR]
    [--json]"""
    parser = add_command(subparsers, "simulate", "run seeds of the simulator under its checkers")
    add = parser.add_argument
    add("--seed", type=whole(0, 2**62), required=True, metavar="S", help="the first seed")
    add("--seeds", type=whole(1, MAX_SEEDS), default=1, metavar="N", help="how many, from S on (1)")
    add("--replicas", type=whole(4, MAX_REPLICAS), default=4, metavar="N", help="replicas (4)")
    add(
        "--traitors",
        type=whole(0, MAX_REPLICAS),
        metavar="T",
        help="Byzantine replicas (f); f+1 is the control, which must report broken agreement",
    )
    cores = os.cpu_count() or 1
    add("--jobs", type=whole(1, 64), default=cores, metavar="J", help=f"processes ({cores})")
    add(
        "--keep",
        type=Path,
        default=DIRECTORY,
        metavar="DIR",
        help=f"where to put the plans of the first {SHOWN} seeds that fail ({DIRECTORY})",
    )
    add("--json", action="store_true", help="print one JSON object as the last line")


def run(args: argparse.Namespace) -> int:
    """0 where every seed finished without a violation."""
    if args.traitors is not None and args.traitors > args.replicas:
        print("pbft: more traitors than replicas", file=sys.stderr)
        return 2
    began = time.monotonic()
    reports = list(_progress(_reports(args), args.seeds))
    bad = [report for report in reports if report.violations or not report.finished]
    for report in bad[:SHOWN]:
        _explain(report, args)
    if args.json:
        print(json.dumps(_summary(reports, time.monotonic() - began)))
    else:
        _tell(reports, bad, time.monotonic() - began)
    return 1 if bad else 0


def _reports(args: argparse.Namespace) -> Iterator[Report]:
    seeds = range(args.seed, args.seed + args.seeds)
    if args.seeds == 1 or args.jobs == 1:
        yield from (simulate(seed, args.replicas, args.traitors) for seed in seeds)
        return
    with ProcessPoolExecutor(args.jobs) as pool:
        sizes = (repeat(args.replicas), repeat(args.traitors))
        yield from pool.map(simulate, seeds, *sizes, chunksize=4)


def _progress(reports: Iterator[Report], total: int) -> Iterator[Report]:
    """A counter on stderr, where somebody is looking."""
    shown = sys.stderr.isatty() and total > 1
    for done, report in enumerate(reports, 1):
        if shown:
            print(f"\r{done} of {total} seeds", end="", file=sys.stderr, flush=True)
        yield report
    if shown:
        print("\r" + " " * 40 + "\r", end="", file=sys.stderr, flush=True)


def _explain(report: Report, args: argparse.Namespace) -> None:
    """What was violated, and how to see it again."""
    print(f"seed {report.seed}:" + ("" if report.finished else " did not finish"))
    for violation in report.violations[:SHOWN]:
        print(f"  {violation}")
    plan = draw(report.seed, args.replicas, args.traitors)
    print(f"  again: pbft replay {keep(plan, report, args.keep)}")


def _summary(reports: list[Report], seconds: float) -> dict[str, object]:
    faults: Counter[str] = Counter()
    for report in reports:
        faults.update(report.faults)
    digests = "".join(report.trace_digest for report in reports)
    one = reports[0].trace_digest if len(reports) == 1 else sha256(digests.encode()).hexdigest()
    return {
        "seeds": len(reports),
        "finished": sum(report.finished for report in reports),
        "violations": [
            {"seed": report.seed, "what": what} for report in reports for what in report.violations
        ],
        "operations": sum(report.operations for report in reports),
        "faults": dict(sorted(faults.items())),
        "view_changes": sum(report.view_changes for report in reports),
        "longest_wait_seconds": max(report.longest_wait_ns for report in reports) / 1e9,
        "bound_seconds": max(report.bound_ns for report in reports) / 1e9,
        "virtual_seconds": sum(report.virtual_ns for report in reports) / 1e9,
        "seconds": round(seconds, 2),
        "trace_digest": one,
    }


def _tell(reports: list[Report], bad: list[Report], seconds: float) -> None:
    """The same for people."""
    summary = _summary(reports, seconds)
    print(f"{summary['seeds']} seeds, {summary['finished']} finished, in {seconds:.1f} s")
    print(f"{summary['operations']} operations, {summary['view_changes']} views entered")
    faults = summary["faults"]
    if isinstance(faults, dict):
        for name, count in faults.items():
            print(f"  {count:>9}  {name}")
    print(f"longest wait after calm: {summary['longest_wait_seconds']:.1f} s", end=" ")
    print(f"(bound: {summary['bound_seconds']:.1f} s)")
    print(f"trace {summary['trace_digest']}")
    print("no violation" if not bad else f"{len(bad)} seeds violated something")
