"""The oracle of accountability: no correct replica is ever convicted, and after a fork f+1 are, by
what one correct replica has kept and the two certificates. Crash-only seeds (AC6) and seeds with f
traitors run under it with all other oracles (`tests/simulation/test_seeds.py`)."""

from dataclasses import replace

import pytest

from pbft.core.effects import Effects
from pbft.core.quorum import quorum
from pbft.testing.host import Host
from pbft.testing.oracles import Accountability
from pbft.testing.oracles.accountability import across_views
from pbft.testing.plan import Plan, draw
from pbft.testing.simulator import Simulation


def audited(plan: Plan) -> Accountability:
    oracle = Accountability()
    Simulation(plan, [oracle]).run()
    assert oracle.complaints == []
    return oracle


@pytest.mark.scenario("AC2")
@pytest.mark.parametrize(("replicas", "seed"), [(4, 0), (5, 0), (7, 0)])
def test_ac2_a_fork_names_exactly_the_traitors(replicas: int, seed: int) -> None:
    plan = draw(seed, replicas, 2 * quorum(replicas) - replicas)
    oracle = audited(plan)
    assert oracle.forks
    for fork in oracle.forks:
        assert fork.verdict.culprits.keys() == plan.traitors.keys()


@pytest.mark.scenario("AC3")
@pytest.mark.parametrize("seed", [3, 4, 12])
def test_ac3_a_fork_across_views_names_exactly_the_traitors(seed: int) -> None:
    plan = across_views(seed)
    oracle = audited(plan)
    assert any(fork.views[0] < fork.views[1] for fork in oracle.forks)
    for fork in oracle.forks:
        assert fork.verdict.culprits.keys() == plan.traitors.keys()


@pytest.mark.scenario("AC6")
@pytest.mark.parametrize("seed", range(4))
def test_ac6_with_crashes_alone_nobody_is_accused(seed: int) -> None:
    oracle = audited(draw(seed, 4, 0))
    assert oracle.all.culprits == {}
    assert oracle.forks == []
    assert oracle.all.statements > 100


class Forgetful(Accountability):
    """Its replicas keep no NEW-VIEWs."""

    def released(self, now: int, host: Host, effects: Effects) -> None:
        super().released(now, host, Effects(events=effects.events))


def test_it_complains_where_one_replica_has_not_kept_enough() -> None:
    plan = across_views(3)
    oracle = Forgetful()
    Simulation(plan, [oracle]).run()
    assert oracle.complaints[0].endswith("has kept convicts [] alone")


class Mistaken(Accountability):
    """It takes the traitors for correct."""

    def ended(self, now: int) -> None:
        for host in self._simulation.hosts:
            host.correct = True
        super().ended(now)


def test_it_complains_where_a_correct_replica_is_convicted() -> None:
    plan = replace(draw(4, 4, 1), traitors={0: "equivocate"})
    report = Simulation(plan, [Mistaken()]).run()
    assert [each for each in report.violations if each.startswith("accountability: replica 0 is")]
