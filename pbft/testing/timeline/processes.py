"""A page of calls and no messages: what each of several processes gave for each call, in order."""

import json
from collections.abc import Iterator, Sequence

from msgspec import Struct

from pbft.core.ids import MILLISECOND
from pbft.testing.determinism import in_words
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

REPLY = "reply"
STEP_NS = 10 * MILLISECOND
"""From one call to the next on the page, which shows an order and no times."""
FEW = 15
"""So many calls, the last ones, are told."""


class Calls(Struct, frozen=True):
    """`shown`: of each call, the command and the whole of it. `said`: by process, in the order of
    `lanes`, a line for each call (`in_words`)."""

    shown: Sequence[tuple[str, str]]
    lanes: Sequence[str]
    said: Sequence[Sequence[str]]


def recording_of(
    title: str, calls: Calls, complaints: Sequence[str], about: str, facts: Sequence[str]
) -> Recording:
    """`complaints`: the first is marked at the last call; `about`: what the calls are; `facts`:
    more that is told below them."""
    contents = dict[str, int]()
    kinds = {
        name: at for at, name in enumerate(dict.fromkeys([*(n for n, _ in calls.shown), REPLY]))
    }
    arrows = [
        Arrow(*ends, at, at + MILLISECOND, kinds[kind], ARRIVED, _place(contents, text))
        for ends, at, kind, text in _said(calls)
    ]
    end = (len(calls.shown) - 1) * STEP_NS
    first = complaints[0].splitlines()[0] if complaints else ""
    spans = [
        Span(0, at * STEP_NS, (at + 1) * STEP_NS // 2, "call", shown, _place(contents, shown))
        for at, (_, shown) in enumerate(calls.shown)
    ]
    return Recording(
        title=title,
        lanes=[Lane("caller", False, ""), *(Lane(name, True, "") for name in calls.lanes)],
        kinds=list(kinds),
        arrows=arrows[-MAX_ARROWS:],
        spans=spans,
        marks=[Mark(EVERYBODY, end + 4 * MILLISECOND, "violation", first)] if first else [],
        contents=list(contents),
        story=list(_story(calls, complaints, about, facts, end)),
        end=end + STEP_NS,
        left_out=max(0, len(arrows) - MAX_ARROWS),
    )


def _place(contents: dict[str, int], text: str) -> int:
    return contents.setdefault(text, len(contents))


def _said(calls: Calls) -> Iterator[tuple[tuple[int, int], int, str, str]]:
    """From whom to whom, when, of which kind, and what."""
    for place, (name, shown) in enumerate(calls.shown):
        at = place * STEP_NS
        for lane, lines in enumerate(calls.said, 1):
            yield (0, lane), at, name, shown
            yield (lane, 0), at + 2 * MILLISECOND, REPLY, f"{shown}\n{in_words(lines[place])}"


def _story(
    calls: Calls, complaints: Sequence[str], about: str, facts: Sequence[str], at: int
) -> Iterator[Line]:
    for complaint in complaints:
        first, *rest = complaint.splitlines()
        yield Line("violation", first, at)
        yield from (Line("fact", text.strip()) for text in rest)
    yield Line("fact", f"{about}; the last ones:")
    for place, (_, shown) in list(enumerate(calls.shown, 1))[-FEW:]:
        yield Line("fact", f"– {place}: {shown}", (place - 1) * STEP_NS)
    yield from (Line("fact", text) for text in facts)


def line_of(result: str) -> str:
    """For a process of which only the result is known, encoded or in words."""
    return json.dumps({"result": result, "changed": {}})
