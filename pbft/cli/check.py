"""`pbft check`: a user's service under simulated misfortune, and on real processes."""

import argparse
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from pbft.cli.parsing import SubParsers, UsageError, add_command, add_limit, whole
from pbft.core.errors import ServiceError
from pbft.testing.checking import SEEDS, Checked, Finding, Progress, check
from pbft.testing.cluster.drill import SECONDS, Drilled, drill
from pbft.testing.planfiles import DIRECTORY, PlanFileError

MAX_SEEDS = 10**7
MAX_MINUTES = 24 * 60
MAX_CLUSTER_SECONDS = 600
MORE = 5
"""Situations and faults that are named; the others are counted."""


def add_parser(subparsers: SubParsers) -> None:
    """check MODULE:CLASS [--seeds N] [--minutes M] [--seed S] [--limit S]
    [--cluster [SECONDS]] [--keep DIR] [--jobs J] [--json]"""
    parser = add_command(
        subparsers,
        "check",
        "try to break a service of yours, and keep what breaks it\n\n"
        "Runs it in several processes that differ in what must not matter, then in simulated\n"
        "clusters with lost messages, crashes, view changes and Byzantine replicas. What fails is\n"
        "made smaller and kept: a plan for `pbft replay`, and a page that shows what happened.\n"
        "The class may have `workload(rng)`, which returns a name and arguments, and\n"
        "`invariant(self)`, which raises where the state is wrong.\n\n"
        "Exit status: 0 where it held and every command and query was answered at least once, 1\n"
        "where something broke or was never really called, 2 where there is nothing to check.",
    )
    add = parser.add_argument
    add("service", metavar="MODULE:CLASS", help="its class, found as Python does")
    add("--seeds", type=whole(1, MAX_SEEDS), metavar="N", help=f"simulated runs ({SEEDS})")
    add("--minutes", type=whole(1, MAX_MINUTES), metavar="M", help="no new run after M minutes")
    add("--seed", type=whole(0, 2**31), default=0, metavar="S", help="the first one (0)")
    add_limit(parser)
    add(
        "--cluster",
        type=whole(1, MAX_CLUSTER_SECONDS),
        nargs="?",
        const=SECONDS,
        metavar="SECONDS",
        help=f"then also on four real processes, with kill -9 and a lossy network ({SECONDS})",
    )
    add(
        "--keep",
        type=Path,
        default=DIRECTORY,
        metavar="DIR",
        help=f"where plans and pages of failures are put ({DIRECTORY})",
    )
    add("--jobs", type=whole(1, 256), default=os.cpu_count() or 1, metavar="J", help="processes")
    add("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """0 where it held, 1 where it did not."""
    drilled = None
    try:
        with _bar() as progress:
            checked = check(
                args.service,
                seeds=args.seeds or (MAX_SEEDS if args.minutes else SEEDS),
                seconds=None if args.minutes is None else args.minutes * 60.0,
                seed=args.seed,
                limit=args.limit,
                jobs=args.jobs,
                directory=args.keep,
                progress=progress,
            )
            if args.cluster:
                progress("real processes", checked.runs, checked.runs)
                drilled = drill(args.service, args.cluster, seed=args.seed, directory=args.keep)
    except (ServiceError, PlanFileError) as error:
        raise UsageError(str(error)) from None
    good = not checked.problems and (drilled is None or not drilled.problems)
    if args.json:
        print(json.dumps({"held": good, **_figures(checked), "cluster": _built(drilled)}))
    else:
        _tell(checked)
        if drilled is not None:
            _tell_drill(drilled)
        print("it held" if good else "it did not hold")
    return 0 if good else 1


@contextmanager
def _bar() -> Iterator[Progress]:
    """On stderr, where somebody is looking."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bar = Bar(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal)
    with bar:
        task = bar.add_task("")
        yield lambda what, done, total: bar.update(
            task, description=what, completed=done, total=None if total == MAX_SEEDS else total
        )


def _built(value: object) -> object:
    return None if value is None else msgspec.to_builtins(value)


def _figures(checked: Checked) -> dict[str, object]:
    figures: dict[str, object] = msgspec.to_builtins(checked)
    figures["findings"] = [
        {**msgspec.to_builtins(each), "again": each.again} for each in checked.findings
    ]
    return figures


# -- for people ------------------------------------------------------------------------------------


def _tell(checked: Checked) -> None:
    said = f"{checked.runs} runs of {checked.service}, {checked.virtual_hours:.2f} simulated hours"
    print(f"{said}, {checked.failed} failed")
    for name, calls in checked.calls.items():
        rest = f", {calls.unanswered} unanswered" if calls.unanswered else ""
        print(f"  {name}: {calls.answered} answered, {calls.refused} refused{rest}")
    print(f"situations: {_shares(checked.situations)}")
    print(f"faults: {_shares(checked.faults)}")
    for finding in checked.findings:
        _tell_finding(finding)
    for text in checked.untested:
        print(f"not tested: {text}; say in workload(rng) which calls are worth making")


def _shares(shares: dict[str, float]) -> str:
    """The commonest."""
    named = [f"{name} {share:.0%}" for name, share in list(shares.items())[:MORE]]
    more = len(shares) - MORE
    return ", ".join(named) + (f", and {more} more" if more > 0 else "") or "none"


def _tell_finding(finding: Finding) -> None:
    print(f"broken: {finding.oracle}: {finding.text}")
    story = "" if finding.page is None else f"; the story: {finding.page}"
    if finding.seed is None:
        enough = "one call is" if finding.events == 1 else f"{finding.events} calls are"
        print(f"  {enough} enough, in processes of their own, before the runs{story}")
    elif finding.file is None:
        print(f"  seed {finding.seed}, {finding.events} events")
    else:
        size = "one event" if finding.events == 1 else f"{finding.events} events"
        print(f"  seed {finding.seed}, made smaller: {size}{story}")
    if finding.again is not None:
        print(f"  again: {finding.again}")
    if finding.seed is not None and finding.file is not None and not finding.least:
        print(f"  it may become smaller yet: pbft shrink {finding.file}")


def _tell_drill(drilled: Drilled) -> None:
    calls = f"{drilled.answered} calls answered, {drilled.refused} refused"
    rest = f"{drilled.unanswered} unanswered; {drilled.ordered} in the agreed order"
    print(f"four processes, {drilled.seconds:.0f} s: {calls}, {rest}")
    print(f"  {', '.join(f'{count} {name}' for name, count in drilled.faults.items())}")
    for text in drilled.problems:
        print(f"broken on real processes: {text}")
    if drilled.file is not None:
        print(f"  the story: {drilled.page}")
        print(f"  again: pbft replay {drilled.file}")
