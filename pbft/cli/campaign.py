"""`pbft campaign`: thousands of simulated runs, resumable, on all cores and on several machines."""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pbft.cli.parsing import Parser, SubParsers, add_command, whole
from pbft.core.errors import ConfigurationError
from pbft.testing import campaign
from pbft.testing.campaign import Kept, Size, Summary
from pbft.testing.families import CONTROLS, FAMILIES, FLAGGED_WITHIN
from pbft.testing.planfiles import check_writable

SHOWN = 20
DEFAULTS = {"swarm": 5000, "twins": 5000, "byzzfuzz": 1800}
MAX_RUNS = 10**6


def add_parser(subparsers: SubParsers) -> None:
    """campaign run | merge | show"""
    parser = add_command(
        subparsers,
        "campaign",
        "run thousands of simulated clusters under every oracle\n\n"
        "Exit status: 0 where every run was made and held, 1 where one did not, is missing, or a\n"
        "control was not flagged; shards are judged as a whole once they are merged.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_run(add_command(actions, "campaign run", "run what is left of a campaign, or of a shard"))
    merge = add_command(actions, "campaign merge", "put the shards of one campaign together")
    merge.add_argument("files", nargs="+", type=Path, metavar="FILE", help="progress files")
    merge.add_argument("--output", "-o", type=Path, metavar="FILE", help="keep the whole there")
    _add_json(merge)
    show = add_command(actions, "campaign show", "say what a progress file holds")
    show.add_argument("files", nargs=1, type=Path, metavar="FILE", help="a progress file")
    _add_json(show)


def _add_run(parser: Parser) -> None:
    add = parser.add_argument
    for name in FAMILIES:
        default = DEFAULTS.get(name, 0)
        add(
            f"--{name}",
            type=whole(0, MAX_RUNS),
            default=default,
            metavar="N",
            help=f"runs of {name!r} ({default})",
        )
    add(
        "--controls",
        type=whole(0, FLAGGED_WITHIN),
        default=FLAGGED_WITHIN,
        metavar="N",
        help=f"cases of each control, one of which has to be flagged ({FLAGGED_WITHIN})",
    )
    add("--shard", type=_shard, default=(1, 1), metavar="I/K", help="the I-th of K parts (1/1)")
    add(
        "--progress",
        type=Path,
        default=Path("campaign.jsonl"),
        metavar="FILE",
        help="goes on from there if it exists (campaign.jsonl)",
    )
    add(
        "--keep",
        type=Path,
        default=Path("pbft-failures"),
        metavar="DIR",
        help="where the plan of each failed run is put (pbft-failures)",
    )
    cores = os.cpu_count() or 1
    add("--jobs", type=whole(1, 256), default=cores, metavar="J", help=f"processes ({cores})")
    _add_json(parser)


def _add_json(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _shard(text: str) -> tuple[int, int]:
    first, _, last = text.partition("/")
    try:
        shard, shards = int(first), int(last)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not I/K, such as 1/4") from None
    if not 1 <= shard <= shards:
        raise argparse.ArgumentTypeError(f"{text}: I is from 1 to K")
    return shard, shards


def run(args: argparse.Namespace) -> int:
    """0 where every run was made and held, and every control was flagged."""
    files = getattr(args, "files", ())
    kept = campaign.merged(map(campaign.read, files)) if files else _run(args)
    if getattr(args, "output", None):
        campaign.write(args.output, kept)
    whole_of_it = campaign.summary(kept)
    if args.json:
        print(json.dumps(msgspec.to_builtins(whole_of_it)))
    else:
        _tell(whole_of_it)
    return 1 if whole_of_it.problems else 0


def _run(args: argparse.Namespace) -> Kept:
    runs = {name: getattr(args, name.replace("-", "_")) for name in FAMILIES}
    runs |= dict.fromkeys(CONTROLS, args.controls)
    runs = {name: count for name, count in runs.items() if count}
    for name, count in runs.items():
        if name in FAMILIES and count > FAMILIES[name].count:
            raise ConfigurationError(f"there are only {FAMILIES[name].count} cases of {name!r}")
    if not runs:
        raise ConfigurationError("a campaign of no runs shows nothing: give a family some")
    check_writable(args.keep)
    progress = campaign.Progress(args.progress, Size(runs, *args.shard))
    left = progress.left()
    try:
        outcomes = campaign.judged(left, args.jobs, args.keep)
        for outcome in _shown(outcomes, len(left), len(progress.done)):
            progress.add(outcome)
            if outcome.bad and outcome.family in FAMILIES:
                what = outcome.violations[0] if outcome.violations else "did not finish"
                print(f"{outcome.family} {outcome.index}: {what}", file=sys.stderr, flush=True)
    finally:
        progress.close()
    return Kept(progress.size, progress.done)


def _shown(
    outcomes: "Iterator[campaign.Outcome]", left: int, done: int
) -> "Iterator[campaign.Outcome]":
    """With a bar on stderr, where somebody is looking."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bar = Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
    )
    with bar:
        task = bar.add_task("runs", total=left + done, completed=done)
        for outcome in outcomes:
            yield outcome
            bar.advance(task)


def _tell(summary: Summary) -> None:
    runs = ", ".join(f"{count:,} of {name!r}" for name, count in summary.runs.items())
    print(f"{runs}" + (f"; {summary.missing:,} still to be run" if summary.missing else ""))
    hours = f"{summary.simulated_hours:,.1f} simulated hours"
    print(f"{summary.operations:,} operations, {hours}")
    print("faults per drawn run:")
    for name, count in summary.faults_per_run.items():
        print(f"  {count:>10.2f}  {name}")
    print("situations, by the part of the drawn runs in which each occurred:")
    for name, share in sorted(summary.situations.items(), key=lambda each: -each[1]):
        print(f"  {share:>10.1%}  {name}")
    for name, first in summary.controls.items():
        said = "not flagged" if first is None else f"first flagged in case {first + 1}"
        print(f"control {name!r}: {said}")
    for problem in summary.problems[:SHOWN]:
        print(problem)
    print("it held" if not summary.problems else f"{len(summary.problems)} problems")
