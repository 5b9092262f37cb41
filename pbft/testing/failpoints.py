"""Numbered places where a replica can die between "durable" and "sent": the table of T34.

Each turn passes its boundaries in order: its records are handed to the disk, they are durable, each
message has left for some receivers, all messages have left and no reply has.
"""

from enum import Enum

from msgspec import Struct


class Boundary(Enum):
    """Where in a turn."""

    UNSYNCED = "before the records are durable"
    SYNCED = "durable, before anything leaves"
    FIRST = "after the first receiver"
    SECOND = "after the second receiver"
    UNANSWERED = "after the messages, before the replies"
    INACTIVE = "after a turn in a view change"


class Point(Struct, frozen=True):
    """A boundary of a turn with a record, event or message of this type."""

    boundary: Boundary
    kind: str


RECORDS = (
    "Began",
    "Accepted",
    "Prepared",
    "ViewChanged",
    "ViewEntered",
    "Snapshotted",
    "Stabilised",
    "Acknowledged",
    "Installed",
)
"""Records, and the one event that stands for its own kind of snapshot: an installed state."""
MESSAGES = ("Proposal", "Prepare", "Commit", "ViewChange", "NewView", "Checkpoint")

POINTS: tuple[Point, ...] = (
    *(Point(b, kind) for b in (Boundary.UNSYNCED, Boundary.SYNCED) for kind in RECORDS),
    *(Point(b, kind) for b in (Boundary.FIRST, Boundary.SECOND) for kind in MESSAGES),
    Point(Boundary.UNANSWERED, "Reply"),
    Point(Boundary.INACTIVE, "turn"),
)


class Stop(Struct, frozen=True):
    """Whoever is the `occurrence`-th to reach `point` dies there for `down_ns`; or everyone does,
    at that moment."""

    point: Point
    occurrence: int
    everyone: bool
    down_ns: int


class Stops:
    """Counts how often each point of a plan was reached."""

    def __init__(self, stops: list[Stop]) -> None:
        self._left = [(stop, [stop.occurrence]) for stop in stops]

    def reached(self, boundary: Boundary, kinds: set[str]) -> Stop | None:
        """The stop that is due now, if one is."""
        for stop, left in self._left:
            if stop.point.boundary is boundary and stop.point.kind in kinds:
                left[0] -= 1
                if left[0] == 0:
                    return stop
        return None
