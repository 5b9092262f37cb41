"""Who said what to whom, as a picture: a line for everybody, an arrow for each message."""

from collections.abc import Sequence
from itertools import pairwise

from docs.generator.drawing import COLOURS, Drawing
from docs.generator.runs import Message, N, one_request
from pbft.core.ids import MILLISECOND, Principal

WIDTH, LEFT, RIGHT, TOP = 760.0, 210.0, 44.0, 34.0
PIXELS_PER_MS = 70.0
LONGEST, SHORTEST = 60.0, 14.0
"""Between two moments, in pixels: waiting is not drawn to scale."""
ROW = 15.0

Lane = dict[Principal, float]


def normal_case() -> str:
    """One request, nobody faulty."""
    return _flow("The messages of one request without faults", one_request({}), faulty=())


def changed_view() -> str:
    """One request whose primary says nothing at all."""
    messages = one_request({0: "silent"})
    return _flow("The messages of one request when the primary is silent", messages, faulty=(0,))


def _flow(title: str, messages: Sequence[Message], faulty: Sequence[int]) -> str:
    drawing = Drawing(WIDTH, title)
    parties: list[Principal] = ["client-0", *range(N)]
    step = (WIDTH - LEFT - RIGHT) / (len(parties) - 1)
    lanes: Lane = {each: LEFT + index * step for index, each in enumerate(parties)}
    at = _heights(messages)
    bottom = max(at.values()) + 12
    for each, x in lanes.items():
        name = each if isinstance(each, str) else f"replica {each}"
        name += " (faulty)" if each in faulty else ""
        drawing.text(x, TOP - 16, name, anchor="middle", bold=True)
        drawing.line((x, TOP - 8), (x, bottom), faint=True, dashed=each in faulty)
    kinds = list(dict.fromkeys(each.kind for each in messages))
    colours = {kind: COLOURS[index % len(COLOURS)] for index, kind in enumerate(kinds)}
    for message in messages:
        start = (lanes[message.source], at[message.sent])
        drawing.arrow(start, (lanes[message.target], at[message.arrived]), colours[message.kind])
    _labels(drawing, messages, at, colours)
    return drawing.render()


def _heights(messages: Sequence[Message]) -> dict[int, float]:
    """Where each moment is: later is lower, and long waits are cut short."""
    moments = sorted({time for each in messages for time in (each.sent, each.arrived)})
    found = {moments[0]: TOP}
    for earlier, later in pairwise(moments):
        gap = (later - earlier) / MILLISECOND * PIXELS_PER_MS
        found[later] = found[earlier] + min(max(gap, SHORTEST), LONGEST)
    return found


def _labels(
    drawing: Drawing, messages: Sequence[Message], at: dict[int, float], colours: dict[str, str]
) -> None:
    """At the left, when each kind was first sent at that moment, and its name."""
    last = 0.0
    for sent, kind in dict.fromkeys((each.sent, each.kind) for each in messages):
        y = max(at[sent] + 4, last + ROW)
        drawing.text(70, y, f"{sent / MILLISECOND:.1f} ms", anchor="end", size=11)
        drawing.text(80, y, kind, colour=colours[kind], bold=True)
        last = y
