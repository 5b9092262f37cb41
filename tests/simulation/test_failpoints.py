"""Whoever dies between "durable" and "sent" comes back with the same votes; so do all at once."""

import pytest

from pbft.core.records import AnyRecord
from pbft.testing.disk import Disk
from pbft.testing.failpoints import POINTS, Boundary, Point
from tests.simulation.failpoints import TRAITORS, cases, simulated


@pytest.mark.scenario(
    "CR1",
    "CR2",
    "CR3",
    "CR14",
    "T33",
    "T34",
    control="tests/simulation/test_failpoints.py::test_a_disk_that_forgets_a_record_is_caught",
)
@pytest.mark.parametrize("point", POINTS, ids=lambda p: f"{p.boundary.name}-{p.kind}")
def test_a_replica_that_stops_there_never_contradicts_itself(point: Point) -> None:
    stops = 0
    for case in cases(1, point):
        report = simulated(case)
        assert (report.finished, report.violations) == (True, []), case
        stops += report.faults.get("fail point", 0)
    assert stops > 0


@pytest.mark.parametrize(
    ("kind", "message"),
    [("Accepted", "Prepare"), ("Prepared", "Commit"), ("ViewChanged", "ViewChange")],
)
def test_a_disk_that_forgets_a_record_is_caught(
    monkeypatch: pytest.MonkeyPatch, kind: str, message: str
) -> None:
    """The control: the same stops, on a disk that leaves out one type of record."""
    whole = Disk.write

    def forgetful(disk: Disk, records: list[AnyRecord]) -> int:
        return whole(disk, [each for each in records if type(each).__name__ != kind])

    monkeypatch.setattr(Disk, "write", forgetful)
    assert any(
        simulated((traitor, Point(Boundary.SECOND, message), occurrence, everyone)).violations
        for traitor in TRAITORS
        for occurrence in (1, 9)
        for everyone in (False, True)
    )
