"""NW and CR: bad networks, crashes and lost power, in whole runs."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from pbft.core.effects import BecameStable, Executed, Send
from pbft.core.ids import MILLISECOND, Principal
from pbft.core.messages import AnyMessage, Proposal, ViewChange
from pbft.testing.disk import Harm
from pbft.testing.plan import Damage, Partition, Plan
from tests.simulation.script import LOST, K, Script, calm, seconds

BAD = 5.0
"""Seconds until the network is well."""


def bad(plan: Plan, **changes: object) -> Plan:
    """Bad for so long."""
    return replace(plan, gst_ns=seconds(BAD), **changes)  # type: ignore[arg-type]


@pytest.mark.scenario("NW1", "T53")
def test_a_third_of_all_messages_is_lost() -> None:
    run = Script(bad(calm(operations=60), loss=0.3))
    report = run.held(within=6.0)
    assert report.faults["lost"] > 500


@pytest.mark.scenario("NW2", "T7")
def test_half_of_all_messages_come_twice_and_some_late() -> None:
    run = Script(bad(calm(operations=60), duplicates=0.5, delay_ns=40 * MILLISECOND))
    report = run.held(within=2.0)
    assert report.faults["duplicated"] > 500
    assert report.view_changes == 0


@pytest.mark.scenario("NW3", kills="T1 f+1 in the place of the quorum")
def test_two_and_two_stand_still_and_go_on_together() -> None:
    cut = Partition(seconds(1.2), seconds(4), frozenset({0, 1}), False)
    run = Script(bad(calm(operations=60), partitions=[cut]))
    run.held(within=6.0)
    apart = [
        event
        for at, _, event in run.happened
        if isinstance(event, Executed) and seconds(1.3) < at < seconds(4)
    ]
    assert apart == []


@pytest.mark.scenario("NW4", "T27", kills="ST4 whoever is behind never asks for the state")
def test_each_replica_alone_in_turn() -> None:
    cuts = [
        Partition(seconds(1 + turn), seconds(2 + turn), frozenset({turn}), False)
        for turn in (1, 2, 3)
    ]
    run = Script(bad(calm(operations=240), partitions=cuts))
    run.held(within=1.0)
    assert run.executed(0, seconds(3.9)) > 6 * K


@pytest.mark.scenario("NW6")
def test_a_primary_that_hears_and_cannot_speak() -> None:
    cut = Partition(seconds(1.2), seconds(BAD), frozenset({0}), True)
    run = Script(bad(calm(operations=60), partitions=[cut]))
    run.held(within=2.0)
    assert run.views() == {1}


@pytest.mark.scenario("NW8", kills="T24 view changes are sent once")
def test_links_that_are_stopped_one_by_one_and_opened_in_another_order() -> None:
    order = [(a, b) for a in range(4) for b in range(4) if a != b]
    back = [order[(5 * index) % 12] for index in range(12)]

    def rule(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        link = (source, target)
        if link not in order:
            return None
        stopped = seconds(1 + 0.1 * order.index(link))
        opened = seconds(4 + 0.3 * back.index(link))
        return LOST if stopped <= run.now < opened else None

    run = Script(replace(calm(operations=60), gst_ns=seconds(8)), network=rule)
    run.held(within=6.0)


@pytest.mark.scenario("NW14")
def test_one_delay_above_the_timeout_costs_one_view_change_at_most() -> None:
    def rule(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        spike = seconds(1.2) <= run.now < seconds(1.25)
        return seconds(1.4) if spike and isinstance(source, int) else None

    run = Script(calm(operations=60), network=rule)
    run.held(within=3.0)
    assert max(run.views()) <= 1


def everybody(run: Script, act: Callable[[Script, int], None]) -> None:
    for replica in range(4):
        act(run, replica)


def down(run: Script, replica: int) -> None:
    run.crash(run.hosts[replica])


def up(run: Script, replica: int) -> None:
    run.restart(run.hosts[replica])


@pytest.mark.scenario("CR10", "T34", kills="T34 no record before COMMIT")
@pytest.mark.parametrize("moment", [1.13, 1.2, 1.31, 1.47])
def test_the_power_fails_everywhere_and_nothing_acknowledged_is_gone(moment: float) -> None:
    run = Script(replace(calm(operations=60), disk_delay_ns=5 * MILLISECOND))
    run.at(seconds(moment), lambda: everybody(run, down))
    run.at(seconds(moment + 0.3), lambda: everybody(run, up))
    report = run.held(within=3.0)
    assert (report.faults["crash"], report.faults["restart"]) == (4, 4)


@pytest.mark.scenario("CR14", "T33", kills="T33 a restart is active again")
def test_all_are_killed_in_the_middle_of_a_view_change() -> None:
    """As soon as two have said VIEW-CHANGE; they come back inactive, and end it."""
    said: list[Principal] = []

    def rule(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        if isinstance(message, ViewChange) and run.now < seconds(4):
            said.append(source)
            if len(set(said)) == 2:
                run.at(run.now + 1, lambda: everybody(run, down))
                run.at(seconds(4), lambda: everybody(run, lambda r, n: up(r, n) if n else None))
        lost = isinstance(message, Proposal) and run.now < seconds(4)
        return LOST if lost else None

    run = Script(calm(operations=12), network=rule)
    run.at(seconds(12), lambda: up(run, 0))
    run.held(within=9.0)
    assert run.views() == {1}


@pytest.mark.scenario("CR15", kills="ST4 whoever is behind never asks for the state")
def test_all_come_back_one_of_them_with_an_older_checkpoint() -> None:
    """R3 has missed the last stable checkpoint when the power fails everywhere."""

    def rule(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        behind = target == 3 and seconds(1.2) < run.now < seconds(3)
        return LOST if behind and isinstance(source, int) else None

    run = Script(calm(operations=240), network=rule)
    run.at(seconds(2.6), lambda: everybody(run, down))
    run.at(seconds(3), lambda: everybody(run, up))
    run.held(within=3.0)
    stable = {
        who: [e.sequence for _, w, e in run.happened if w == who and isinstance(e, BecameStable)]
        for who in range(4)
    }
    assert all(numbers == sorted(numbers) for numbers in stable.values())
    assert 3 in run.installed()


@pytest.mark.scenario("CR5", "CR7")
@pytest.mark.parametrize("harm", [Harm.ROT, Harm.MISDIRECTED, Harm.MISSING])
def test_a_disk_that_is_damaged_stops_its_replica_and_nobody_else(harm: Harm) -> None:
    run = Script(replace(calm(operations=60), damages=[Damage(seconds(1.3), 2, harm)]))
    run.at(seconds(1.25), lambda: down(run, 2))
    run.at(seconds(1.6), lambda: up(run, 2))
    report = run.held(within=3.0)
    assert report.faults["refused to run"] == 1


class Remembers(Script):
    """Says everything of the first seconds again later, in another order."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._kept: list[tuple[Principal, Send]] = []

    def post(self, source: Principal, send: Send, node: Principal | None = None) -> None:
        if self.now < seconds(2) and isinstance(source, int):
            self._kept.append((source, send))
        super().post(source, send, node)

    def say_again(self) -> None:
        for step, (source, send) in enumerate(reversed(self._kept)):
            later = self.now + step * MILLISECOND // 2
            self.at(later, lambda source=source, send=send: self.arrives(source, send))  # type: ignore[misc]


@pytest.mark.scenario("RP2", "RP1")
def test_what_was_said_before_a_restart_of_all_is_said_again_after_it() -> None:
    """Past the links, which refuse every one of these datagrams: the core alone stands it, too."""
    run = Remembers(calm(operations=60))
    run.at(seconds(2.0), lambda: everybody(run, down))
    run.at(seconds(2.2), lambda: everybody(run, up))
    run.at(seconds(2.4), run.say_again)
    run.held(within=2.0)
    assert run.views() == {0}
