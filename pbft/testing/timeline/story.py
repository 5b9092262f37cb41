"""What a recording tells, in sentences: violations first, then faults, views and figures."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from pbft.core.ids import SECOND
from pbft.testing.timeline.recording import CUT, DOWN, LOST, Lane, Line, Mark, Span

MAX_LINES = 12
"""Of one kind; more are counted."""


def story(
    facts: Sequence[Line],
    lanes: Sequence[Lane],
    spans: Sequence[Span],
    marks: Sequence[Mark],
    fates: Mapping[str, int],
) -> list[Line]:
    """In the order in which somebody wants to know it."""
    return [
        *_few("violation", _violations(marks)),
        *facts,
        *_few("fault", _faults(lanes, spans, marks)),
        *_few("view", _views(lanes, marks)),
        *_figures(lanes, marks, fates),
    ]


def _few(kind: str, lines: Iterator[Line]) -> list[Line]:
    found = sorted(lines, key=lambda line: line.at or 0)
    more = len(found) - MAX_LINES
    rest = [Line(kind, f"and {more} more like these")] if more > 0 else []
    return [*found[:MAX_LINES], *rest]


def _violations(marks: Sequence[Mark]) -> Iterator[Line]:
    for each in marks:
        if each.kind == "violation":
            yield Line("violation", each.text, each.at)


def _faults(lanes: Sequence[Lane], spans: Sequence[Span], marks: Sequence[Mark]) -> Iterator[Line]:
    for lane in lanes:
        if lane.note:
            what = f"a traitor: {lane.note}" if lane.replica else lane.note
            yield Line("fault", f"{lane.name} is {what}")
    for span in spans:
        if span.kind == "partition":
            text = f"{span.text} for {seconds(span.end - span.begin)}"
            yield Line("fault", text, span.begin)
        elif span.kind == "down":
            text = f"{lanes[span.lane].name} is down for {seconds(span.end - span.begin)}"
            yield Line("fault", f"{text}: {span.text}", span.begin)
    for mark in marks:
        if mark.kind in ("fault", "evidence"):
            who = f"{lanes[mark.lane].name} " if mark.lane >= 0 else ""
            who = who.rstrip() + ": " if who and mark.kind == "fault" else who
            yield Line("fault", who + mark.text, mark.at)


def _views(lanes: Sequence[Lane], marks: Sequence[Mark]) -> Iterator[Line]:
    """Who entered each view, and when the first did; and why a view was left at all."""
    entered: dict[str, list[Mark]] = {}
    left: dict[str, Mark] = {}
    for mark in marks:
        if mark.kind == "entered":
            entered.setdefault(mark.text, []).append(mark)
        elif mark.kind == "leaving":
            left.setdefault(mark.text.partition(":")[0], mark)
    for mark in left.values():
        yield Line("view", f"{lanes[mark.lane].name} {mark.text}", mark.at)
    for text, found in entered.items():
        names = ", ".join(dict.fromkeys(lanes[mark.lane].name for mark in found))
        view = text.removeprefix("enters ")
        yield Line("view", f"{view} is entered by {names}", found[0].at)


def _figures(
    lanes: Sequence[Lane], marks: Sequence[Mark], fates: Mapping[str, int]
) -> Iterator[Line]:
    parts = [f"{sum(fates.values()):,} messages"]
    names = {LOST: "lost", CUT: "cut off by a partition", DOWN: "for a replica that was down"}
    parts += [f"{fates[kind]:,} {name}" for kind, name in names.items() if fates.get(kind)]
    yield Line("fact", ", ".join(parts))
    executed = Counter(mark.lane for mark in marks if mark.kind == "executed")
    if executed:
        told = ", ".join(f"{lanes[lane].name} {count}" for lane, count in sorted(executed.items()))
        yield Line("fact", f"batches executed: {told}")


def seconds(nanoseconds: int) -> str:
    """A time, for people."""
    return f"{nanoseconds / SECOND:.3f} s"
