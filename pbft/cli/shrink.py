"""`pbft shrink`: a failing plan made as small as it gets with the same oracle still failing."""

import argparse
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from pbft.cli.parsing import SubParsers, UsageError, add_command, add_limit, seconds, whole
from pbft.testing.plan import Plan
from pbft.testing.planfiles import PlanFileError, encode, load, told, write
from pbft.testing.reductions import summary
from pbft.testing.replaying import judge_of, replay
from pbft.testing.shrinking import RUNS, Judge, Shrunk, shrink
from pbft.testing.simulator import Report

SUFFIX = ".small.json"


def add_parser(subparsers: SubParsers) -> None:
    """shrink FILE [-o OUT] [--runs N] [--seconds S] [--limit S]"""
    parser = add_command(
        subparsers,
        "shrink",
        "make a failing plan smaller until the same oracle only just still fails\n\n"
        "Takes out events, clients and replicas, and simplifies what is left. With --seconds, how\n"
        "far it gets depends on the machine; otherwise the same plan always ends the same.",
    )
    add = parser.add_argument
    add("file", metavar="FILE", type=Path, help="what `pbft simulate` has kept")
    add("-o", "--output", metavar="OUT", type=Path, help=f"where to put it (FILE{SUFFIX})")
    add("--runs", type=whole(1, 100_000), default=RUNS, metavar="N", help=f"at most ({RUNS})")
    add("--seconds", type=seconds, metavar="S", help="stop after S seconds")
    add_limit(parser)


def run(args: argparse.Namespace) -> int:
    """0 where a smaller plan was written; 1 where the plan violates nothing."""
    try:
        file = load(args.file)
        found = replay(file, seconds=args.limit)  # says what is wrong with what cannot be run
        judge = judge_of(found.oracle, args.limit)
        small = _shrunk(file.plan, judge, found.report, args.runs, args.seconds)
        output = args.output or args.file.with_suffix(SUFFIX)
        write(output, encode(told(small.plan, small.report)))
    except PlanFileError as error:
        raise UsageError(str(error)) from None
    print(f"{summary(file.plan)} became {summary(small.plan)} in {small.runs} runs")
    print(f"  {small.report.violations[0] if small.report.violations else 'did not finish'}")
    if not small.complete:
        print("the budget is used up: with more --runs or --seconds it may become smaller yet")
    print(f"again: pbft replay {output} --timeline {output.with_suffix('.html')}")
    return 0


def _shrunk(plan: Plan, judge: Judge, report: Report, runs: int, limit: float | None) -> Shrunk:
    """With what is left of it on stderr, where somebody is looking."""
    columns = (TextColumn("{task.description}"), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("shrinking")

        def tell(done: int, left: int) -> None:
            progress.update(task, description=f"{left} events left, {done} runs of {runs}")

        return shrink(plan, judge, report=report, runs=runs, seconds=limit, progress=tell)
