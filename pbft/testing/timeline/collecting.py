"""What becomes a recording, collected while it happens or read from files: in either case the same
lanes, arrows, spans and marks.
"""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pbft.core.effects import Committed, EnteredView, Event, ViewChangeStarted
from pbft.core.ids import Principal
from pbft.testing.timeline import describing
from pbft.testing.timeline.recording import (
    ARRIVED,
    DOWN,
    EVERYBODY,
    MAX_ARROWS,
    MAX_MARKS,
    Arrow,
    Lane,
    Line,
    Mark,
    Recording,
    Span,
)
from pbft.testing.timeline.story import story

NOTHING = -1
"""The content of a span without any."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One message to one receiver, still as bytes."""

    source: int
    target: int
    sent: int
    arrived: int | None
    fate: str
    data: bytes


@dataclass(slots=True)
class Collector:
    """`principals`: whose lanes there are, replicas by number and clients by name. `notes`: what is
    to be known of a lane. Times are nanoseconds since the beginning."""

    principals: Sequence[Principal]
    keyed: bool
    notes: dict[Principal, str] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)
    marks: deque[Mark] = field(default_factory=lambda: deque(maxlen=MAX_MARKS))
    fates: Counter[str] = field(default_factory=Counter)
    contents: dict[str, int] = field(default_factory=dict)
    _arrows: deque[Sent] = field(default_factory=lambda: deque(maxlen=MAX_ARROWS))
    _open: dict[int, Span] = field(default_factory=dict)
    _lanes: dict[Principal, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lanes = {each: at for at, each in enumerate(self.principals)}

    def lane(self, principal: Principal) -> int:
        """Its number; whoever was not known gets the last one."""
        if principal not in self._lanes:
            self._lanes[principal] = len(self._lanes)
            self.principals = [*self.principals, principal]
        return self._lanes[principal]

    def content(self, text: str) -> int:
        """The place of a text among the contents."""
        return self.contents.setdefault(text, len(self.contents))

    def arrow(
        self,
        ends: tuple[Principal, Principal],
        sent: int,
        arrived: int | None,
        fate: str,
        data: bytes,
    ) -> None:
        """A message from the first to the second of `ends`."""
        self.fates[fate] += 1
        one = Sent(self.lane(ends[0]), self.lane(ends[1]), sent, arrived, fate, data)
        self._arrows.append(one)

    def mark(self, who: Principal | None, at: int, kind: str, text: str) -> None:
        """None: it concerns everybody."""
        lane = EVERYBODY if who is None else self.lane(who)
        self.marks.append(Mark(lane, at, kind, text))

    def event(self, who: Principal, at: int, found: Event) -> None:
        """An event of a replica, which may begin another span of its lane."""
        if isinstance(found, Committed):
            return  # its execution is what is seen
        kind, text = describing.event(found)
        self.mark(who, at, kind, text)
        if isinstance(found, EnteredView):
            self.began(who, at, found.view, True)
        elif isinstance(found, ViewChangeStarted):
            self.began(who, at, found.view, False)

    def began(self, who: Principal, at: int, view: int, active: bool) -> None:
        """From now on it is in this view, or on its way into it."""
        kind, text = ("view", f"view {view}") if active else ("moving", f"to view {view}")
        self._turned(self.lane(who), at, kind, text)

    def died(self, who: Principal, at: int, why: str) -> None:
        """From now on it is down."""
        self._turned(self.lane(who), at, "down", why)

    def _turned(self, lane: int, at: int, kind: str, text: str) -> None:
        before = self._open.get(lane)
        if before is not None and (before.kind, before.text) == (kind, text):
            return
        if before is not None:
            self.spans.append(_until(before, at))
        self._open[lane] = Span(lane, at, at, kind, text, NOTHING)

    # -- the whole ------------------------------------------------------------------------------

    def recording(self, title: str, end: int, facts: Sequence[Line]) -> Recording:
        """Everything so far; `facts` begin the story."""
        spans = [*self.spans, *(_until(each, end) for each in self._open.values())]
        arrows = [_with_fate(each, spans) for each in self._arrows]
        kinds: dict[str, int] = {}
        lanes = [self._named(each) for each in self.principals]
        described = {each.data: self._described(each.data, kinds) for each in arrows}
        marks = sorted(self.marks, key=lambda each: each.at)
        moved = sum(each.fate == DOWN for each in arrows) - self.fates[DOWN]
        fates = self.fates + Counter({DOWN: max(moved, 0)})
        fates[ARRIVED] -= max(moved, 0)
        total = sum(fates.values())
        return Recording(
            title=title,
            lanes=lanes,
            kinds=list(kinds),
            arrows=[_arrow(each, *described[each.data]) for each in arrows],
            spans=spans,
            marks=marks,
            contents=list(self.contents),
            story=story(facts, lanes, spans, marks, fates),
            end=end,
            left_out=total - len(arrows),
        )

    def _named(self, who: Principal) -> Lane:
        is_replica = isinstance(who, int)
        name = f"replica {who}" if is_replica else str(who)
        return Lane(name, is_replica, self.notes.get(who, ""))

    def _described(self, data: bytes, kinds: dict[str, int]) -> tuple[int, int]:
        kind, text = describing.message(data, self.keyed)
        return kinds.setdefault(kind, len(kinds)), self.content(text)


def _until(span: Span, end: int) -> Span:
    return Span(span.lane, span.begin, end, span.kind, span.text, span.content)


def _with_fate(each: Sent, spans: Sequence[Span]) -> Sent:
    """What arrived while its receiver was down has been for nothing."""
    if each.fate != ARRIVED or each.arrived is None:
        return each
    at, lane = each.arrived, each.target
    down = any(
        span.kind == "down" and span.lane == lane and span.begin <= at < span.end for span in spans
    )
    return replace(each, fate=DOWN) if down else each


def _arrow(each: Sent, kind: int, content: int) -> Arrow:
    return Arrow(each.source, each.target, each.sent, each.arrived, kind, each.fate, content)
