"""A primary below the timeout costs what the floor says, and no more; a correct one is left alone.

The floor: in one view, a client's requests take at most T/2 each on average, and once in a view 4 T
more: T/4 until the client asks all replicas, and T/4 from then on; what is slower is replaced.
Fault-free runs of the same seeds say what the cluster can do.
"""

import random
from dataclasses import replace
from functools import cache

import pytest

from pbft.core.authentication import Authentication
from pbft.core.effects import Event, Send, ViewChangeStarted
from pbft.core.ids import MILLISECOND, SECOND, Principal
from pbft.core.messages import NewView, Proposal, Request
from pbft.testing.byzantine import PACING
from pbft.testing.plan import Plan, draw
from pbft.testing.simulator import Report, Simulation

T = SECOND
SEEDS = range(1)
CALLS = 300


def calm(seed: int, traitor: str | None) -> Plan:
    """No fault but the primary of view 0."""
    plan = draw(seed, 4, 0)
    return replace(
        plan,
        config=replace(plan.config, pipeline=4, batch_max_requests=8),
        traitors={0: traitor} if traitor else {},
        faulty_clients=0,
        operations=CALLS,
        loss=0.0,
        gst_ns=SECOND,
        partitions=[],
        crashes=[],
        stops=[],
        damages=[],
    )


@cache
def waits(seed: int, traitor: str | None) -> tuple[Report, list[float]]:
    """What the run showed, and how long each client's calls took on average (in T)."""
    simulation = Simulation(calm(seed, traitor))
    report = simulation.run()
    means = []
    for work in simulation.workloads.values():
        waited = [at - work.asked[call] for call, at in work.answered_at.items()]
        means.append(sum(waited) / len(waited) / T)
    return report, means


REACHED = {
    "slow-20%": (0, 0.08),
    "slow-40%": (1, 0.1),
    "slow-60%": (1, 0.2),
    "slow-90%": (1, 0.25),
    "slow-110%": (1, 0.3),
    "starve-one": (1, 0.5),
    "one-by-one": (1, 0.3),
    "fail-views": (1, 0.45),
}
"""View changes, and the part of the throughput without faults that is reached over 300 calls."""


def test_every_way_of_being_slow_is_tried() -> None:
    assert set(REACHED) == set(PACING)


@pytest.mark.scenario("TM1", "TM2", "T37")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("traitor", sorted(REACHED))
def test_the_floor_holds_and_who_is_below_it_is_replaced(seed: int, traitor: str) -> None:
    """T/2 per call; once 4 T of debt, the call that exceeds it, and a view change (T each)."""
    (_, without), (report, means) = waits(seed, None), waits(seed, traitor)
    assert (report.finished, report.violations) == (True, [])
    changes, ratio = REACHED[traitor]
    assert report.view_changes == 3 * changes
    assert _reached(without, means) >= ratio
    for well, now in zip(without, means, strict=True):
        assert now <= well + 1 / 2 + (4 + 1 + 1) * len(means) / CALLS


@pytest.mark.scenario("VC2", "CR12", "TM1")
@pytest.mark.parametrize("pair", [("slow-60%", "starve-one"), ("fail-views", "fail-views")])
def test_two_of_seven_in_turn_are_replaced_in_turn(pair: tuple[str, str]) -> None:
    """T for the first, 2T for the second that fails its view, and time for two view changes."""
    plan = replace(calm(3, None), traitors=dict(enumerate(pair)))
    plan = replace(plan, config=replace(plan.config, n=7))
    simulation = Simulation(plan)
    report = simulation.run()
    assert (report.finished, report.violations) == (True, [])
    assert {host.replica.status().view for host in simulation.hosts} == {2}
    assert report.longest_wait_ns < 5 * T


def _reached(without: list[float], means: list[float]) -> float:
    """Throughput with the traitor in that without: of closed loops, the inverse of their waits."""
    reached = [well / now for well, now in zip(without, means, strict=True)]
    return sum(reached) / len(reached)


@pytest.mark.parametrize("first", range(0, 48, 12))
def test_a_correct_primary_is_never_found_slow_whatever_the_network_loses(first: int) -> None:
    """48 seeds with no fault but the network's: it loses up to a fifth, delays, repeats, reorders.

    Where nothing is lost no view ends; elsewhere none but by the timeout of what waits longest."""
    for seed in range(first, first + 12):
        plan = draw(seed, 4, 0)
        plan = replace(plan, partitions=[], crashes=[], stops=[], damages=[], faulty_clients=0)
        reasons = _reasons(Simulation(plan))
        assert not [reason for reason in reasons if "slow" in reason or "due" in reason]
        assert not reasons or plan.loss


def _reasons(simulation: Simulation) -> list[str]:
    """Why replicas left their views."""
    reasons: list[str] = []
    happened = simulation.checkers.happened

    def listen(replica: int, event: Event) -> None:
        if isinstance(event, ViewChangeStarted):
            reasons.append(event.reason)
        happened(replica, event)

    simulation.checkers.happened = listen  # type: ignore[method-assign]
    report = simulation.run()
    assert report.violations == []
    assert report.finished
    return reasons


@pytest.mark.scenario("TM3", "T25")
@pytest.mark.parametrize("seed", SEEDS)
def test_a_bad_hour_leaves_no_timeout_inflated(seed: int) -> None:
    """Half a minute in which view after view fails, each after a longer time; then all is well and
    calls are answered; then the primary dies: it is replaced after T, not after the longest."""
    bad, dies = 40 * SECOND, 44 * SECOND
    plan = replace(calm(seed, None), gst_ns=bad, operations=800)
    simulation = _NoNewViews(plan, bad)
    simulation.at(dies, simulation.kill_the_primary)
    report = simulation.run()
    assert report.violations == []
    assert report.view_changes > 0
    assert min(simulation.views_at_death) >= 9
    after = [
        at - max(work.asked[call], dies)
        for work in simulation.workloads.values()
        for call, at in work.answered_at.items()
        if at > dies
    ]
    assert T < max(after) < 1.5 * T


class _NoNewViews(Simulation):
    """No NEW-VIEW arrives before `until`, and no proposal of view 0."""

    def __init__(self, plan: Plan, until: int) -> None:
        super().__init__(plan)
        self._until = until
        self.views_at_death: list[int] = []

    def post(self, source: Principal, send: Send, node: Principal | None = None) -> None:
        if self.now >= self._until or not isinstance(send.message, NewView | Proposal):
            super().post(source, send, node)

    def kill_the_primary(self) -> None:
        statuses = [host.replica.status() for host in self.hosts]
        self.views_at_death = [status.view for status in statuses]
        primary = self.hosts[statuses[0].primary]
        self.misfortunes.crash(primary)
        self.at(self.now + 20 * SECOND, lambda: self.misfortunes.restart(primary))


@pytest.mark.scenario("CL1")
@pytest.mark.parametrize("seed", SEEDS)
def test_a_client_that_floods_deposes_nobody_and_starves_nobody(seed: int) -> None:
    """More requests than can be ordered, each to some of the replicas and in another order: who
    waits behind them is not due, and each replica lets only so many of one client wait."""
    plan = replace(calm(seed, None), faulty_clients=1, gst_ns=8 * SECOND)
    (_, without) = waits(seed, None)
    simulation = _Flooded(plan)
    assert _reasons(simulation) == []
    waited = [
        (at - work.asked[call]) / T
        for work in simulation.workloads.values()
        for call, at in work.answered_at.items()
    ]
    assert simulation.flooded > 5000
    assert sum(waited) / len(waited) < 10 * sum(without) / len(without)


class _Flooded(Simulation):
    """For five seconds one client sends eight requests every five milliseconds."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._flood = Authentication(
            plan.config.cluster_id, self.casting.signers["mallory-0"], self.casting.verifier
        )
        self._dice = random.Random(f"flood {plan.seed}")
        self.flooded = 0
        for step in range(1000):
            self.at(SECOND + step * 5 * MILLISECOND, lambda step=step: self._pour(step))  # type: ignore[misc]

    def _pour(self, step: int) -> None:
        stamps = list(range(1 + 8 * step, 9 + 8 * step))
        self._dice.shuffle(stamps)
        for stamp in stamps:
            signed = self._flood.sign(Request("mallory-0", stamp, (b"flood",)))
            to = tuple(self._dice.sample(range(4), self._dice.randrange(1, 5)))
            self.checkers.signed_by_clients.add(("mallory-0", stamp))
            self.post("mallory-0", Send(to, signed.raw, signed.message))
            self.flooded += 1
