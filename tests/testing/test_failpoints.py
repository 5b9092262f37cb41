"""A stop happens once, at the occurrence asked for; the numbers of the points are stable."""

from dataclasses import replace

from pbft.core.effects import Effects
from pbft.core.ids import SECOND
from pbft.testing.failpoints import POINTS, Boundary, Point, Stop, Stops
from pbft.testing.host import Host
from pbft.testing.observers import Observer
from pbft.testing.plan import draw
from pbft.testing.simulator import run

PREPARE = Point(Boundary.FIRST, "Prepare")


def test_the_points_are_distinct_and_cover_every_boundary() -> None:
    assert len(set(POINTS)) == len(POINTS) == 32
    assert {point.boundary for point in POINTS} == set(Boundary)


def test_a_stop_is_due_at_its_occurrence_and_never_again() -> None:
    stop = Stop(PREPARE, 3, False, 1)
    stops = Stops([stop])
    due = [stops.reached(Boundary.FIRST, {"Prepare"}) for _ in range(6)]
    assert due == [None, None, stop, None, None, None]


def test_other_boundaries_and_kinds_do_not_count() -> None:
    stops = Stops([Stop(PREPARE, 1, False, 1)])
    assert stops.reached(Boundary.SECOND, {"Prepare"}) is None
    assert stops.reached(Boundary.FIRST, {"Commit"}) is None
    assert stops.reached(Boundary.FIRST, {"Commit", "Prepare"}) is not None


class Ghosts(Observer):
    """Who has a turn although it is down."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def turned(self, now: int, host: Host, effects: Effects) -> None:
        if not host.up:
            self.seen.add(host.number)


def test_whoever_has_died_at_a_point_has_no_turn_until_it_is_back() -> None:
    """Its timer was armed behind its death: it went on, and its next life knew nothing of that."""
    ghosts = Ghosts()
    stops = [Stop(PREPARE, count, True, SECOND) for count in (2, 5, 9)]
    plan = replace(draw(1), stops=stops, traitors={}, attacks={}, disk_delay_ns=0)
    report = run(plan, [ghosts])
    assert report.faults["fail point"] > 0
    assert ghosts.seen == set()
