"""Disks that are lost or older, in whole runs: refused, or one of the f; correct once recovered."""

from dataclasses import replace

import pytest

from pbft.core.ids import MILLISECOND, SECOND
from pbft.core.protocol import view_change
from pbft.testing.losses import Loss
from pbft.testing.plan import Crash, Partition, Plan, draw
from pbft.testing.simulator import Report, run, simulate


def at(seconds: float) -> int:
    return round(seconds * SECOND)


def plan(lost: int, n: int = 4, traitors: dict[int, str] | None = None) -> Plan:
    """A wiped disk after two seconds, on a network that delays and loses nothing."""
    return replace(
        draw(5, n, 0),
        traitors=traitors or {},
        loss=0.0,
        duplicates=0.0,
        delay_ns=10 * MILLISECOND,
        gst_ns=at(5),
        faulty_clients=0,
        operations=75,
        partitions=[],
        crashes=[],
        stops=[],
        damages=[],
        losses=[Loss(lost, None, at(2), at(2.2), at(2.8))],
    )


def well(report: Report) -> bool:
    assert (report.violations, report.finished) == ([], True)
    return report.faults.get("recovered", 0) > 0


@pytest.mark.scenario(
    "CR8",
    "T35",
    control="tests/simulation/test_losses.py::test_who_votes_below_its_view_floor_is_caught",
)
@pytest.mark.parametrize(("replicas", "seed"), [(4, 11), (4, 45), (4, 46), (4, 50), (7, 2)])
def test_seeds_with_a_lost_or_older_disk(replicas: int, seed: int) -> None:
    assert draw(seed, replicas).losses
    assert well(simulate(seed, replicas))


@pytest.mark.scenario("CR9", "T35")
@pytest.mark.parametrize("lost", [0, 2])
def test_a_wiped_replica_refuses_recovers_and_votes_though_the_clients_are_done(lost: int) -> None:
    report = run(plan(lost))
    assert well(report)
    assert report.faults["refused to run"] == 1


def test_two_crashes_in_mid_recovery() -> None:
    begins = (at(2.85), at(3.1))
    crashes = [Crash(begin, begin + at(0.1), 2) for begin in begins]
    assert well(run(replace(plan(2), crashes=crashes)))


def test_a_traitor_that_replays_what_the_lost_replica_said() -> None:
    assert well(run(plan(2, n=7, traitors={5: "replay"})))


def moved_alone() -> Plan:
    """Replica 2 hears nothing for a while and moves to view 1, alone; then its disk is lost."""
    deaf = Partition(at(0.5), at(3), frozenset({0, 1, 3}), one_way=True)
    loss = Loss(2, None, at(3), at(3.1), at(3.6))
    return replace(plan(2), partitions=[deaf], losses=[loss], operations=400)


@pytest.mark.scenario(
    "CR8",
    "CR9",
    "T35",
    control="tests/simulation/test_losses.py::test_who_votes_below_its_view_floor_is_caught",
)
def test_a_view_change_of_the_forgotten_life_stands() -> None:
    assert well(run(moved_alone()))


def test_who_votes_below_its_view_floor_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: it does not take up what it is shown."""
    monkeypatch.setattr(view_change, "take_up", lambda *_: None)
    report = run(moved_alone())
    assert any("in a view that it left" in each for each in report.violations)
