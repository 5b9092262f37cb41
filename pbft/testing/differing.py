"""What several processes compute differently, as a file and as a page: the calls that it takes, and
what each process gave.

No plan of a simulated run shows it, since all replicas there share one process. So this is a file
of another kind, and `pbft replay` executes its calls anew in such processes.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from pbft.core.errors import ServiceError
from pbft.core.ids import MILLISECOND
from pbft.testing import determinism, planfiles
from pbft.testing.determinism import Operation, Report, UnfinishedError, in_words
from pbft.testing.patience import RUN_SECONDS
from pbft.testing.planfiles import PlanFile, PlanFileError
from pbft.testing.replaying import replay
from pbft.testing.surroundings import SURROUNDINGS
from pbft.testing.timeline.page import write as write_page
from pbft.testing.timeline.recording import (
    ARRIVED,
    EVERYBODY,
    MAX_ARROWS,
    Arrow,
    Lane,
    Line,
    Mark,
    Recording,
    Span,
)

FORMAT = 1
ORACLE = "determinism"
REPLY = "reply"
MAX_CALLS = 10_000
STEP_NS = 10 * MILLISECOND
"""From one call to the next on the page, which shows an order and no times."""
FEW = 15
"""So many calls, the last ones, are told."""


class Difference(Struct, frozen=True):
    """`violation`: what was different, in words, after all `calls` of a service."""

    format: int
    version: str
    oracle: str
    violation: str
    service: str
    calls: list[Operation]


class Again(Struct, frozen=True):
    """What its calls gave now: the difference, if any, and every line of each process."""

    report: Report | None
    lives: list[list[str]]


def keep(service: str, calls: list[Operation], directory: Path) -> tuple[Report, Path, Path] | None:
    """Execute `calls` once more and put what differs into `directory`: the file and its page. None
    where all is the same now. Raises `PlanFileError` where that cannot be written."""
    lives = determinism.lives(service, calls)
    report = determinism.compared(service, calls, lives)
    if report is None:
        return None
    calls = calls[: report.number]
    file = Difference(FORMAT, version("pbft"), ORACLE, report.text, service, calls)
    data = msgspec.json.format(msgspec.json.encode(file), indent=1) + b"\n"
    words = re.sub(r"[^A-Za-z0-9]+", "-", f"{service} {ORACLE}")[:80]
    path = directory / f"{words}-{hashlib.sha256(data).hexdigest()[:8]}.json"
    planfiles.write(path, data)
    page = path.with_suffix(".html")
    write_page(page, recording(path.name, file, Again(report, lives)))
    return report, path, page


def load_kept(path: Path) -> Difference | PlanFile:
    """Whichever of the two is in a file that was kept. Raises `PlanFileError`."""
    data = planfiles.read(path)
    try:
        loose = msgspec.json.decode(data, type=dict[str, Any])
        if "plan" in loose or "calls" not in loose:
            return planfiles.load(path)
        file = msgspec.json.decode(data, type=Difference)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PlanFileError(f"{path}: not a plan file: {error}") from None
    if file.format != FORMAT or not 1 <= len(file.calls) <= MAX_CALLS:
        raise PlanFileError(
            f"{path}: format {file.format} with {len(file.calls)} calls, and this pbft"
            f" ({version('pbft')}) knows format {FORMAT} with 1 to {MAX_CALLS}"
        )
    return file


def again(file: Difference, seconds: float = RUN_SECONDS) -> Again:
    """Execute the calls once more, in processes that may each take so many `seconds`. Raises
    `PlanFileError` where the service is not there, and `UnfinishedError` where a call ends its
    process or takes longer."""
    try:
        lives = determinism.lives(file.service, file.calls, seconds)
    except UnfinishedError:
        raise
    except ServiceError as error:
        text = f"{error}; replay it in the directory that has the module of its service"
        raise PlanFileError(text) from None
    return Again(determinism.compared(file.service, file.calls, lives), lives)


def replay_kept(
    file: Difference | PlanFile, seconds: float = RUN_SECONDS
) -> tuple[str | None, list[str]]:
    """The property that is violated now, if any, and the complaints; a run, or a process, may
    take so many `seconds`. Raises `ServiceError` and `PlanFileError`."""
    if isinstance(file, PlanFile):
        found = replay(file, seconds=seconds)
        return found.oracle, found.violations
    report = again(file, seconds).report
    return (None, []) if report is None else (file.oracle, [report.text])


# -- the page ---------------------------------------------------------------------------------


def recording(title: str, file: Difference, found: Again) -> Recording:
    """A lane for each process; what each is called with, and what it gives."""
    number = len(file.calls) if found.report is None else found.report.number
    calls, contents = file.calls[:number], dict[str, int]()
    kinds = {name: at for at, name in enumerate(dict.fromkeys([*(c.name for c in calls), REPLY]))}
    arrows = [
        Arrow(*ends, at, at + MILLISECOND, kinds[kind], ARRIVED, _place(contents, text))
        for ends, at, kind, text in _said(calls, found.lives)
    ]
    at = (number - 1) * STEP_NS
    text = f"{ORACLE}: {found.report.text.splitlines()[0]}" if found.report is not None else ""
    spans = [
        Span(0, at * STEP_NS, (at + 1) * STEP_NS // 2, "call", call.shown, _place(contents, text))
        for at, call in enumerate(calls)
        for text in (call.shown,)
    ]
    return Recording(
        title=title,
        lanes=[Lane("caller", False, ""), *_processes(found.lives)],
        kinds=list(kinds),
        arrows=arrows[-MAX_ARROWS:],
        spans=spans,
        marks=[Mark(EVERYBODY, at + 4 * MILLISECOND, "violation", text)] if text else [],
        contents=list(contents),
        story=list(_story(calls, file.service, found, at)),
        end=at + STEP_NS,
        left_out=max(0, len(arrows) - MAX_ARROWS),
    )


def _place(contents: dict[str, int], text: str) -> int:
    return contents.setdefault(text, len(contents))


def _processes(lives: Sequence[Sequence[str]]) -> Iterator[Lane]:
    for number in range(len(lives)):
        yield Lane(f"process {number}", True, "")


def _said(
    calls: Sequence[Operation], lives: Sequence[Sequence[str]]
) -> Iterator[tuple[tuple[int, int], int, str, str]]:
    """From whom to whom, when, of which kind, and what."""
    for place, call in enumerate(calls):
        at = place * STEP_NS
        for lane, lines in enumerate(lives, 1):
            yield (0, lane), at, call.name, call.shown
            yield (lane, 0), at + 2 * MILLISECOND, REPLY, f"{call.shown}\n{in_words(lines[place])}"


def _story(calls: Sequence[Operation], service: str, found: Again, at: int) -> Iterator[Line]:
    if found.report is not None:
        first, *rest = found.report.text.splitlines()
        yield Line("violation", f"{ORACLE}: {first}", at)
        yield from (Line("fact", text.strip()) for text in rest)
    yield Line("fact", f"{len(calls)} calls of {service}, the same in each process; the last ones:")
    for place, call in list(enumerate(calls, 1))[-FEW:]:
        yield Line("fact", f"– {place}: {call.shown}", (place - 1) * STEP_NS)
    for number in range(len(found.lives)):
        around = SURROUNDINGS[number % len(SURROUNDINGS)].items()
        yield Line("fact", f"process {number}: {', '.join(f'{k}={v}' for k, v in around)}")
