"""`pbft timeline`: a run as a picture, from a stored plan or from what real replicas recorded."""

import argparse
import webbrowser
from pathlib import Path

from pbft.cli.parsing import SubParsers, UsageError, add_command
from pbft.recording import SUFFIX
from pbft.testing.cluster import drilled
from pbft.testing.cluster.drilled import DrillFile
from pbft.testing.differing import Difference, again, recording
from pbft.testing.kept import load_kept
from pbft.testing.planfiles import PlanFileError
from pbft.testing.replaying import replay
from pbft.testing.timeline.merging import merge
from pbft.testing.timeline.observer import Recorder
from pbft.testing.timeline.page import write
from pbft.testing.timeline.recording import MAX_ARROWS, Recording

OUTPUT = Path("timeline.html")


def add_parser(subparsers: SubParsers) -> None:
    """timeline FILE... [-o OUT.html]"""
    parser = add_command(
        subparsers,
        "timeline",
        "draw a run as one HTML page: who said what to whom, views, faults and violations\n\n"
        "FILE is a stored plan, which is run; or what replicas have recorded (`pbft demo --record\n"
        "DIR`, `pbft up --record DIR`): that directory, or its files. The page needs nothing else\n"
        f"and reaches nothing else. It shows the last {MAX_ARROWS:,} messages.",
    )
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="a plan or recordings")
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT.html",
        type=Path,
        default=OUTPUT,
        help=f"where to put the page ({OUTPUT})",
    )
    parser.add_argument("--open", action="store_true", help="and show it in a browser")


def run(args: argparse.Namespace) -> int:
    """0 once the page is written."""
    try:
        recording = _recording(args.files)
        write(args.output, recording)
    except PlanFileError as error:
        raise UsageError(str(error)) from None
    left = f", the {recording.left_out} before them left out" if recording.left_out else ""
    print(f"{len(recording.arrows)} messages{left}: {args.output}")
    if args.open:
        webbrowser.open(args.output.resolve().as_uri())
    return 0


def _recording(files: list[Path]) -> Recording:
    title = ", ".join(each.name for each in files)
    if all(each.is_dir() or each.suffix == SUFFIX for each in files):
        return merge(files, title)
    if len(files) > 1:
        raise PlanFileError(f"a page shows one plan, or recordings ({SUFFIX}) of one cluster")
    file = load_kept(files[0])
    if isinstance(file, Difference):
        return recording(title, file, again(file))
    if isinstance(file, DrillFile):
        return drilled.recording(title, file)
    recorder = Recorder()
    replay(file, [recorder])
    return recorder.recording(title)
