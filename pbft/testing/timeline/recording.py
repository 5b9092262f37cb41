"""What a timeline shows: lanes, arrows between them, spans and marks on them. Bounded.

Times are nanoseconds since the beginning of the recording.
"""

from msgspec import Struct

MAX_ARROWS = 20_000
"""The last ones are kept: what went wrong is at the end."""
MAX_MARKS = 20_000
EVERYBODY = -1
"""The lane of what concerns all of them."""

ARRIVED, LOST, CUT, DOWN, UNSEEN = "arrived", "lost", "cut", "down", "unseen"
"""What became of a message: lost on the way, cut off by a partition, its receiver was down, or the
end of it was not recorded."""


class Lane(Struct, frozen=True):
    """A replica or a client; `note` says what is wrong with it."""

    name: str
    replica: bool
    note: str


class Arrow(Struct, frozen=True, array_like=True):
    """One message to one receiver. `kind` and `content` are places in the recording's lists. One
    that arrives twice is two arrows."""

    source: int
    target: int
    sent: int
    arrived: int | None
    kind: int
    fate: str
    content: int


class Span(Struct, frozen=True, array_like=True):
    """From `begin` to `end` on a lane: "view", "moving" (between views), "down", "partition",
    "call" (`content` says of what)."""

    lane: int
    begin: int
    end: int
    kind: str
    text: str
    content: int


class Mark(Struct, frozen=True, array_like=True):
    """Something that happened: "executed", "stable", "fault", "evidence", "violation", ..."""

    lane: int
    at: int
    kind: str
    text: str


class Line(Struct, frozen=True, array_like=True):
    """A sentence of the story: "violation", "fault", "view" or "fact"; `at`: where to look."""

    kind: str
    text: str
    at: int | None = None


class Recording(Struct, frozen=True):
    """`left_out`: messages before the first that is kept."""

    title: str
    lanes: list[Lane]
    kinds: list[str]
    arrows: list[Arrow]
    spans: list[Span]
    marks: list[Mark]
    contents: list[str]
    story: list[Line]
    end: int
    left_out: int
