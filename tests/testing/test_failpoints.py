"""A stop happens once, at the occurrence asked for; the numbers of the points are stable."""

from pbft.testing.failpoints import POINTS, Boundary, Point, Stop, Stops

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
