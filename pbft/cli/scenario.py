"""`pbft scenario`: scripted scenarios, their expectations, and their recorded transcripts.

A file `x.scenario` is compared with `x.transcript` beside it, where there is one.
"""

import argparse
import json
import sys
from pathlib import Path

from pbft.cli.parsing import SubParsers, add_command
from pbft.testing.planfiles import write
from pbft.testing.scenario import Played, play, read
from pbft.testing.scenario.playing import difference


def add_parser(subparsers: SubParsers) -> None:
    """scenario FILE ... [--record] [--transcript] [--json]"""
    parser = add_command(
        subparsers,
        "scenario",
        "run scenarios that are written in sentences, and compare their transcripts",
    )
    add = parser.add_argument
    add("files", metavar="FILE", type=Path, nargs="+", help="a scenario, one sentence per line")
    add("--record", action="store_true", help="write what happens now as the recorded transcript")
    add("--transcript", action="store_true", help="print what happened")
    add("--json", action="store_true", help="print one JSON object as the last line")


def run(args: argparse.Namespace) -> int:
    """0 where every scenario holds and every transcript is as it was recorded."""
    played = {path: play(read(path)) for path in args.files}
    told = []
    for path, each in played.items():
        faults = [*each.faults, *_compared(path, each, record=args.record)]
        told.append({"file": str(path), "title": each.scenario.title, "faults": faults})
        if args.transcript:
            print(each.transcript, end="")
        if not args.json:
            print(f"{path}: {'it held' if not faults else 'it did not hold'}")
        for fault in faults:
            print(f"  {fault}", file=sys.stderr)
    if args.json:
        print(json.dumps({"scenarios": told}))
    return 1 if any(each["faults"] for each in told) else 0


def _compared(path: Path, played: Played, *, record: bool) -> list[str]:
    recorded = path.with_suffix(".transcript")
    if record and not played.faults:
        write(recorded, played.transcript.encode())
    if not recorded.exists():
        return []
    changed = difference(played, recorded.read_text("utf-8"))
    again = f"if that is right: pbft scenario {path} --record"
    return [f"the transcript is another one ({again})\n{changed}"] if changed else []
