"""EQ: traitors that say one thing to some and another to others, in whole runs."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import msgspec
import pytest

from pbft.core.effects import Send
from pbft.core.ids import Instant, Principal, ReplicaId
from pbft.core.messages import (
    AnyMessage,
    Commit,
    NewView,
    Prepare,
    PrePrepare,
    Status,
    ViewChange,
)
from pbft.core.protocol.new_view import choose
from pbft.testing.byzantine.behaviour import Behaviour
from pbft.testing.byzantine.ordering import Equivocate, Flood
from pbft.testing.plan import Partition
from tests.simulation.script import LOST, Script, calm, place, seconds


@pytest.mark.scenario("EQ1", "T9", "AC1", kills="T9 a later pre-prepare replaces the first")
@pytest.mark.parametrize("n", [4, 7])
def test_a_primary_that_proposes_two_batches_under_one_number(n: int) -> None:
    traitors = range((n - 1) // 3)
    run = Script(calm(n), traitors=dict.fromkeys(traitors, Equivocate))
    run.held(within=6.0)
    assert run.blamed() == set(traitors)
    assert "conflicting pre-prepares" in run.kinds()


class HalfSilent(Behaviour):
    """Leaves one backup out of everything but its statuses."""

    LEFT_OUT = 3

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        if isinstance(send.message, Status):
            return (send,)
        self.acted += self.LEFT_OUT in send.to
        kept = tuple(to for to in send.to if to != self.LEFT_OUT)
        return (Send(kept, send.data, send.message),) if kept else ()


@pytest.mark.scenario("EQ2", "T12", kills="T12 no decision for laggards")
def test_a_backup_that_the_primary_leaves_out_is_given_the_decisions() -> None:
    run = Script(calm(operations=6), traitors={0: HalfSilent})
    run.held(within=1.0)
    assert run.views() == {0}
    assert run.installed() == []


class Twinned(Script):
    """The same identity on both sides of what `sides` cuts, until the network is well."""

    def __init__(self, twin: ReplicaId, sides: Mapping[ReplicaId, int]) -> None:
        self._split = dict(sides)
        group = frozenset(r for r, side in sides.items() if side)
        plan = replace(calm(operations=24), twins=True, traitors={twin: "silent"})
        plan = replace(plan, partitions=[Partition(0, seconds(4), group, False)], gst_ns=seconds(4))
        super().__init__(plan)

    def _sides(self) -> dict[ReplicaId, int]:
        return self._split


@pytest.mark.scenario(
    "EQ5",
    "EQ6",
    "AU12",
    "T1",
    kills="T1 f+1 in the place of the quorum",
    control="tests/simulation/test_seeds.py::test_the_control_breaks_agreement_and_is_caught",
)
def test_an_identity_that_runs_twice_is_one_voter() -> None:
    """Every way to divide the three correct replicas, with a twin that leads and one that does
    not."""
    for twin in (0, 3):
        correct = [r for r in range(4) if r != twin]
        for pattern in range(1, 4):
            sides = {r: pattern >> index & 1 for index, r in enumerate(correct)}
            Twinned(twin, sides).held()


@pytest.mark.scenario("EQ7", "T3", "AC1", kills="EQ7 second votes are not looked at")
def test_a_backup_that_votes_for_everything_convicts_itself() -> None:
    run = Script(calm(), traitors={3: Equivocate})
    run.held(within=1.0)
    assert run.views() == {0}
    assert run.blamed() == {3}
    assert run.kinds() == {"conflicting prepares", "conflicting commits"}


class TwoNewViews(Behaviour):
    """As new primary: a second NEW-VIEW, as valid as the first, over other VIEW-CHANGEs."""

    _said: NewView | None = None

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        if not isinstance(send.message, NewView) or self._said is not None:
            return (send,)
        self._said = send.message
        return (Send((2,), send.data, send.message),)

    def extra(self, now: Instant) -> Iterable[Send]:
        said = self._said
        if said is None or self.acted:
            return
        known = self.honest._state.views.supporters(said.view)
        others = [vc for vc in known if vc.signed.raw not in said.view_changes]
        if not others:
            return
        chosen = [*others, *(vc for vc in known if vc not in others)][:3]
        chosen.sort(key=lambda vc: vc.signed.message.replica)
        pps = (
            self.signed(PrePrepare(said.view, sequence, digest, said.replica))
            for sequence, digest in choose(chosen).digests.items()
        )
        message = NewView(
            said.view, tuple(vc.signed.raw for vc in chosen), tuple(pps), said.replica
        )
        assert message != said
        yield self.say(Send((0, 3), b"", message), message)


def _only_three_prepares(
    run: Script, source: Principal, target: Principal, message: AnyMessage
) -> int | None:
    """In view 0 replica 3 alone hears PREPAREs, and nobody COMMITs; its VIEW-CHANGE is late."""
    if isinstance(message, Prepare) and place(message)[0] == 0 and target != 3:
        return LOST
    if isinstance(message, Commit) and place(message)[0] == 0:
        return LOST
    late = isinstance(message, ViewChange) and source == 3 and message.view == 1
    return seconds(0.1) if late else None


@pytest.mark.scenario("EQ8", "T26")
def test_two_valid_new_views_of_one_primary() -> None:
    run = Script(calm(operations=12), traitors={1: TwoNewViews}, network=_only_three_prepares)
    report = run.held(within=12.0)
    assert report.faults["attack: scripted"] == 1
    assert run.entered()[:1] == [1]


class TwoViewChanges(Behaviour):
    """What it prepared to one replica, nothing of it to the others."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        if not isinstance(send.message, ViewChange):
            return (send,)
        bare = msgspec.structs.replace(send.message, prepared=())
        other = tuple(to for to in send.to if to != 1)
        return (Send((1,), send.data, send.message), self.say(Send(other, b"", bare), bare))


@pytest.mark.scenario("EQ9", "AC1", kills="EQ9 what is inside a new view is not compared")
def test_two_view_changes_of_one_sender_convict_it_once_the_new_view_shows_the_other() -> None:
    run = Script(calm(operations=12), traitors={3: TwoViewChanges}, network=_no_commits_in_view_0)
    run.held(within=6.0)
    assert run.kinds() == {"conflicting view changes"}
    assert run.blamed() == {3}


def _no_commits_in_view_0(
    run: Script, source: Principal, target: Principal, message: AnyMessage
) -> int | None:
    """And replica 0's VIEW-CHANGE is late, so that the one of the traitor is in the NEW-VIEW."""
    if isinstance(message, Commit) and message.view == 0:
        return LOST
    late = isinstance(message, ViewChange) and source == 0 and message.view == 1
    return seconds(0.3) if late else None


@pytest.mark.scenario("EQ11", "FL5")
def test_votes_for_what_nobody_proposed_execute_nothing() -> None:
    run = Script(calm(), traitors={3: Flood})
    report = run.held(within=1.0)
    assert report.faults["attack: scripted"] > 50
    assert run.views() == {0}
