"""`pbft replay`: a stored plan run again, bit for bit, and whether it still fails."""

import argparse
import json
from pathlib import Path

from pbft.cli.parsing import SubParsers, UsageError, add_command, add_limit
from pbft.testing.cluster import drilled
from pbft.testing.cluster.drilled import DrillFile
from pbft.testing.differing import Difference, again, recording
from pbft.testing.kept import load_kept, replay_kept
from pbft.testing.planfiles import PlanFile, PlanFileError
from pbft.testing.reductions import events, summary, tally
from pbft.testing.replaying import Replay, replay
from pbft.testing.surroundings import SURROUNDINGS
from pbft.testing.telling import sentences
from pbft.testing.timeline.observer import Recorder
from pbft.testing.timeline.page import write

SHOWN = 5
LISTED = 20
"""Plans of at most so many events are told event by event."""


def add_parser(subparsers: SubParsers) -> None:
    """replay FILE [--timeline OUT.html] [--limit S] [--json]"""
    parser = add_command(
        subparsers,
        "replay",
        "run a stored plan again and say whether it still fails\n\n"
        "Exit status: 0 where it holds now, 1 where it violates something, 2 where the file is no\n"
        "plan. A service of yours is imported: start in the directory that has its module.",
    )
    parser.add_argument(
        "file", metavar="FILE", type=Path, help="what `pbft check` or `pbft simulate` has kept"
    )
    parser.add_argument(
        "--timeline", metavar="OUT.html", type=Path, help="also draw the run as a page"
    )
    add_limit(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """0 where it holds now, 1 where it is violated."""
    try:
        file = load_kept(args.file)
        if isinstance(file, Difference):
            return _run_difference(args, file)
        if isinstance(file, DrillFile):
            return _run_drill(args, file)
        recorder = Recorder()
        found = replay(file, [recorder] if args.timeline else [], seconds=args.limit)
        if args.timeline:
            write(args.timeline, recorder.recording(str(args.file.name)))
    except PlanFileError as error:
        raise UsageError(str(error)) from None
    if args.json:
        print(json.dumps(_figures(file, found)))
    else:
        _tell(file, found, args.timeline)
    return 0 if found.oracle is None else 1


def _figures(file: PlanFile, found: Replay) -> dict[str, object]:
    return {
        "seed": file.plan.seed,
        "events": events(file.plan),
        "by_kind": tally(file.plan),
        "expected": file.oracle,
        "oracle": found.oracle,
        "violations": found.violations,
        "same_violation": found.same_violation,
        "same_trace": found.same_trace,
        "trace_digest": found.report.trace_digest,
        "virtual_seconds": found.report.virtual_ns / 1e9,
    }


def _tell(file: PlanFile, found: Replay, page: Path | None) -> None:
    """The same for people."""
    plan = file.plan
    print(f"seed {plan.seed}, {plan.config.n} replicas, {summary(plan)}")
    for text in sentences(plan) if events(plan) <= LISTED else ():
        print(f"  - {text}")
    for text in found.violations[:SHOWN]:
        print(f"  {text}")
    print(_verdict(file, found))
    if found.same_trace and file.trace_digest:
        print(f"the trace is the same, bit for bit: {file.trace_digest}")
    elif found.same_violation:
        print(
            "the trace is another: the code has changed since, the plan was edited, or the service"
            " depends on more than its operations (`pbft determinism` names what)"
        )
    if page is not None:
        print(f"timeline: {page}")


def _verdict(file: PlanFile, found: Replay) -> str:
    if found.oracle is None:
        return "it holds now" if file.oracle else "it holds, as before"
    if found.same_violation:
        return f"violated again: {found.oracle}"
    return f"violated: {found.oracle}; the file tells of {file.oracle or 'nothing'}"


# -- what processes compute differently -------------------------------------------------------


def _run_difference(args: argparse.Namespace, file: Difference) -> int:
    """As `run`."""
    found = again(file, args.limit)
    if args.timeline:
        write(args.timeline, recording(args.file.name, file, found))
    text = None if found.report is None else found.report.text
    if args.json:
        print(json.dumps(_difference_figures(file, text)))
    else:
        _tell_difference(file, text)
        if args.timeline:
            print(f"timeline: {args.timeline}")
    return 0 if text is None else 1


def _difference_figures(file: Difference, text: str | None) -> dict[str, object]:
    return {
        "events": len(file.calls),
        "expected": file.oracle,
        "oracle": None if text is None else file.oracle,
        "violations": [] if text is None else [text],
        "same_violation": text is not None,
        "same_trace": text == file.violation,
    }


def _tell_difference(file: Difference, text: str | None) -> None:
    calls = "one call" if len(file.calls) == 1 else f"{len(file.calls)} calls"
    print(f"{calls} of {file.service}, in {len(SURROUNDINGS)} processes")
    for call in file.calls[-LISTED:]:
        print(f"  - {call.shown}")
    if text is None:
        print("it holds now")
        return
    print(text)
    print(f"violated again: {file.oracle}")
    if text == file.violation:
        print("the difference is the same, word for word")


# -- what real processes have recorded ----------------------------------------------------------


def _run_drill(args: argparse.Namespace, file: DrillFile) -> int:
    """As `run`."""
    oracle, found = replay_kept(file)
    if args.timeline:
        write(args.timeline, drilled.recording(args.file.name, file))
    if args.json:
        print(json.dumps(_drill_figures(file, oracle, found)))
        return 0 if oracle is None else 1
    print(f"{max(map(len, file.executed))} operations of {file.service}, on real processes")
    for text in found[:SHOWN]:
        print(f"  {text}")
    print("it holds now" if oracle is None else f"violated again: {oracle}")
    if args.timeline:
        print(f"timeline: {args.timeline}")
    return 0 if oracle is None else 1


def _drill_figures(file: DrillFile, oracle: str | None, found: list[str]) -> dict[str, object]:
    return {
        "events": max(map(len, file.executed)),
        "expected": file.oracle,
        "oracle": oracle,
        "violations": found,
        "same_violation": oracle == file.oracle,
        "same_trace": found == file.violations,
    }
