"""Twins: each scenario once, f of them harm nothing, f+1 break agreement and are seen to."""

from itertools import product

import pytest

from pbft.testing.plan import TWIN
from pbft.testing.simulator import Simulation, run
from pbft.testing.twins import (
    FAMILIES,
    Division,
    Family,
    _divisions,
    _size,
    _symmetries,
    _turned,
    count,
    scenario,
    twins,
)


def orbit(family: Family, rounds: tuple[Division, ...]) -> frozenset[object]:
    """The scenario and all that symmetry makes of it."""
    return frozenset(
        tuple(_turned(family, division, symmetry) for division in rounds)
        for symmetry in _symmetries(family)
    )


@pytest.mark.parametrize(
    "family",
    [Family(4, (0,), 2, 2), Family(4, (3,), 1, 3), Family(5, (1, 2), 2, 2), Family(5, (4,), 2, 2)],
)
def test_of_symmetric_scenarios_exactly_one_is_listed(family: Family) -> None:
    listed = [orbit(family, scenario(family, number)) for number in range(_size(family))]
    every = {orbit(family, rounds) for rounds in product(_divisions(family), repeat=family.rounds)}
    assert len(set(listed)) == len(listed)
    assert set(listed) == every


def test_there_are_enough_and_all_are_different() -> None:
    assert count() >= 5000 * len(FAMILIES)
    plans = [twins(index) for index in range(800)]
    told = {(str(p.config.n), str(p.traitors), str(p.partitions), p.gst_ns) for p in plans}
    assert len(told) == len(plans)
    assert {plan.config.n for plan in plans} == {4, 7}
    assert all(len(plan.traitors) == plan.config.f for plan in plans)


def test_the_list_ends() -> None:
    assert twins(count() - 1).traitors
    with pytest.raises(IndexError, match="no 289184"):
        twins(289_184)


def test_both_copies_of_a_twin_run_and_speak() -> None:
    simulation = Simulation(twins(4))
    ((number, name),) = simulation.plan.traitors.items()
    report = simulation.run()
    nodes = [host.node for host in simulation.hosts if host.number == number]
    assert (name, nodes) == (TWIN, [number, number + 4])
    assert min(host.replica.status().executed for host in simulation.hosts) > 0
    assert (report.finished, report.violations) == (True, [])


@pytest.mark.parametrize("first", range(0, 16, 8))
def test_f_twins_harm_nothing(first: int) -> None:
    for index in range(first, first + 8):
        report = run(twins(index))
        assert (report.finished, report.violations) == (True, []), index


def test_f_plus_1_twins_break_agreement_and_are_caught() -> None:
    reports = [run(twins(index, beyond=True)) for index in range(23)]
    flagged = [
        report for report in reports if any(v.startswith("agreement") for v in report.violations)
    ]
    assert len(flagged) > 1
