"""The oracles that look into a replica: each complaint has a defect that brings it, and is not made
without that."""

import random
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from pbft.core.effects import EnteredView, Executed, Installed, ViewChangeStarted
from pbft.core.messages import Node, Nodes, Proposal, Status
from pbft.core.records import Leaf, Settled
from pbft.core.state.log import Slot
from pbft.core.verified import ProvenViewChange, StableCheckpoint
from pbft.core.wire import batch_digest
from pbft.testing.disk import Disk
from pbft.testing.oracles import (
    Attention,
    BoundedMemory,
    Footing,
    Holdings,
    Storage,
    Suspicion,
)
from pbft.testing.oracles.bounds import LOOK_EVERY, PARTIALS
from pbft.testing.oracles.suspicion import JOINED, TIMED_OUT, WAITED
from tests.core.lab import Lab
from tests.testing.watched import Watched

SECOND = 10**9
ONE, TWO = b"1" * 32, b"2" * 32


@pytest.fixture
def lab() -> Lab:
    return Lab()


def held(lab: Lab, by: int, view: int, **more: Any) -> ProvenViewChange:
    return ProvenViewChange(lab.view_change(by, view, **more), StableCheckpoint(0, b"", ()), {})


def moved(watched: Watched, *views: int) -> None:
    """Replicas 0, 2 and 3 have moved to these views, as far as ours knows."""
    pairs = zip((0, 2, 3), views, strict=False)
    watched.state.views.view_changes = {r: held(watched.lab, r, v) for r, v in pairs}


# -- suspicion -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("views", "flagged"), [((5, 5, 0), False), ((5, 6, 0), False), ((5, 4), True), ((5,), True)]
)
def test_a_view_is_joined_where_f_plus_1_others_are(
    lab: Lab, views: tuple[int, ...], flagged: bool
) -> None:
    watched = Watched(Suspicion(), lab)
    moved(watched, *views)
    assert bool(watched.turn(ViewChangeStarted(5, JOINED))) == flagged


@pytest.mark.parametrize(("views", "flagged"), [((1, 1), False), ((1, 4), False), ((1,), True)])
def test_a_new_view_is_given_up_only_once_a_quorum_waits_for_it(
    lab: Lab, views: tuple[int, ...], flagged: bool
) -> None:
    watched = Watched(Suspicion(), lab)
    watched.turn(ViewChangeStarted(1, JOINED))
    watched.said.clear()
    moved(watched, *views)
    lab.now += 2 * SECOND
    assert bool(watched.turn(ViewChangeStarted(2, WAITED))) == flagged


@pytest.mark.parametrize(("waits", "flagged"), [((2, 4, 8, 8), False), ((2, 2), True)])
def test_each_view_that_gave_nothing_doubles_the_wait(
    lab: Lab, waits: tuple[int, ...], flagged: bool
) -> None:
    watched = Watched(Suspicion(), lab)
    moved(watched, 9, 9, 9)
    watched.turn(ViewChangeStarted(1, JOINED))
    found = []
    for view, wait in enumerate(waits, 2):
        lab.now += wait * SECOND
        found += watched.turn(ViewChangeStarted(view, WAITED))
    assert bool(found) == flagged
    watched.turn(EnteredView(9), Executed(1, ONE, (), 0), ViewChangeStarted(10, JOINED))
    lab.now += 2 * SECOND
    assert [each for each in watched.turn(ViewChangeStarted(11, WAITED)) if "early" in each] == []


@pytest.mark.parametrize("passed_on", [True, False])
def test_nobody_blames_a_primary_for_what_it_was_not_told(lab: Lab, passed_on: bool) -> None:
    watched = Watched(Suspicion(), lab)
    lab.feed(lab.request(1))
    if passed_on:
        watched.oracle.posted(0, 1, SimpleNamespace(to=(0,), message=lab.request(1).message), [0])
    assert bool(watched.turn(ViewChangeStarted(1, TIMED_OUT))) == (not passed_on)


def test_what_is_awaited_is_not_awaited_for_ever(lab: Lab) -> None:
    watched = Watched(Suspicion(), lab)
    lab.feed(lab.request(1))
    lab.now += 1
    assert watched.turn() == []
    lab.now += SECOND
    assert watched.turn() == []
    lab.now += 1
    assert len(watched.turn()) == 1
    watched.state.requests.drop(("alice", 1))
    lab.feed(lab.request(2))
    assert watched.turn() == []


# -- attention -------------------------------------------------------------------------------------


def test_what_a_replica_hears_in_its_view_it_keeps(lab: Lab) -> None:
    watched = Watched(Attention(), lab)
    batch = lab.batch(lab.request(1))
    digest = batch_digest(batch)
    assert watched.hear(2, lab.prepare(2, 0, 20, ONE), lab.commit(2, 0, 3, digest)) == []
    assert watched.hear(0, lab.proposal(0, 30, batch)) == []
    assert watched.hear(2, lab.checkpoint(2, 8, ONE), lab.decision(0, 1, batch, (0, 2, 3))) == []


@pytest.mark.parametrize("kind", ["prepare", "commit", "proposal", "checkpoint", "decision"])
def test_what_is_not_kept_is_noticed_in_the_same_turn(lab: Lab, kind: str) -> None:
    watched = Watched(Attention(), lab)
    batch = lab.batch(lab.request(1))
    what: Any = {
        "prepare": lab.prepare(2, 0, 20, ONE),
        "commit": lab.commit(2, 0, 20, ONE),
        "proposal": lab.proposal(0, 20, batch),
        "checkpoint": lab.checkpoint(2, 8, ONE),
        "decision": lab.decision(0, 2, batch, (0, 2, 3)),
    }[kind]
    watched.send(0 if kind == "proposal" else 2, what)
    assert len(watched.turn()) == 1


def test_what_is_beyond_reach_or_of_another_view_need_not_be_kept(lab: Lab) -> None:
    watched = Watched(Attention(), lab)
    watched.send(
        2, lab.prepare(2, 0, 33, ONE), lab.commit(2, 1, 3, ONE), lab.checkpoint(2, 40, ONE)
    )
    watched.send(3, lab.prepare(3, 0, 20, ONE))
    assert watched.turn() == []
    watched.send(2, lab.prepare(2, 0, 20, ONE))
    watched.host.inbox = ["a timer was first"]
    assert watched.turn() == []
    watched.host.life, watched.host.inbox = 1, []
    assert watched.turn() == []


@pytest.mark.parametrize("event", [Installed(0, ONE), EnteredView(0)])
def test_what_was_kept_stays_whatever_happens(lab: Lab, event: Any) -> None:
    watched = Watched(Attention(), lab)
    assert watched.hear(2, lab.prepare(2, 0, 20, ONE), lab.checkpoint(2, 8, ONE)) == []
    assert watched.turn(event) == []
    watched.state.log.slots.clear()
    watched.state.checkpoints.votes.clear()
    assert len(watched.turn(event)) == 2


def test_who_has_what_it_takes_acts(lab: Lab) -> None:
    batch = lab.batch(lab.request(1))
    digest = batch_digest(batch)
    watched = Watched(Attention(), lab)
    assert watched.hear(0, lab.proposal(0, 1, batch)) == []
    assert watched.hear(2, lab.prepare(2, 0, 1, digest)) == []
    watched.state.log.slots[1].committed = False
    watched.send(2, lab.prepare(2, 0, 1, digest))
    assert "does not commit it" in watched.turn()[0]
    watched.state.log.slots[1].committed = True
    assert watched.hear(0, lab.decision(0, 1, batch, (0, 2, 3))) == []
    watched.state.executed = 0
    assert "does not execute 1" in watched.turn()[0]


def test_a_primary_proposes_what_it_has_room_for() -> None:
    lab = Lab(me=0)
    watched = Watched(Attention(), lab)
    assert watched.over(lab.feed(lab.request(1))) == []
    watched.state.requests.unproposed["alice", 1] = lab.request(1)
    assert "does not propose it" in watched.turn()[0]
    watched.state.log.next_sequence = 6
    assert watched.turn() == []


def test_who_says_twice_that_it_is_behind_is_told_what_it_lacks(lab: Lab) -> None:
    watched = Watched(Attention(), lab)
    lab.settle_until(2)
    status = Status(0, True, 0, 0, False)
    assert watched.hear(2, status) == []
    assert watched.hear(2, status) == []
    lab.feed(status, peer=2)
    watched.send(2, status)
    assert len(watched.turn()) == 2
    stable = watched.state.checkpoints.stable
    watched.state.checkpoints.stable = msgspec.structs.replace(stable, sequence=8)
    watched.state.views.view, watched.state.views.accepted = 1, lab.new_view(1, (), {})
    watched.state.views.view_changes[1] = held(lab, 1, 1)
    watched.send(2, status)
    assert len(watched.turn()) == 5


@pytest.mark.parametrize(("me", "says"), [(0, ["proposal", "vote"]), (1, ["vote", "vote"])])
def test_who_may_have_missed_a_vote_is_told_it_again(me: int, says: list[str]) -> None:
    lab = Lab(me=me)
    watched = Watched(Attention(), lab)
    batch = lab.batch(lab.request(1))
    lab.feed(lab.proposal(0, 1, batch) if me else lab.request(1), peer=0)
    lab.feed(*(lab.prepare(by, 0, 1, batch_digest(batch)) for by in (2, 3)))
    status = Status(0, True, 0, 0, False)
    assert watched.hear(2, status) == []
    assert watched.hear(2, status) == []
    lab.feed(status, peer=2)
    watched.send(2, status)
    assert [said.split()[-4] for said in watched.turn()] == says


# -- footing ---------------------------------------------------------------------------------------


def test_what_is_stable_has_no_slot_any_more(lab: Lab) -> None:
    watched = Watched(Footing(), lab)
    watched.state.log.low_watermark = 8
    watched.state.log.slot(9)
    assert watched.turn() == []
    watched.state.log.slot(8)
    assert len(watched.turn()) == 1


@pytest.mark.parametrize("kind", ["pre-prepare", "prepare", "commit"])
def test_a_new_view_begins_without_what_was_said_in_the_last(lab: Lab, kind: str) -> None:
    watched = Watched(Footing(), lab)
    slot = watched.state.log.slot(1)
    slot.prepares[2] = lab.prepare(2, 1, 1, ONE)
    watched.state.views.view = 1
    assert watched.turn(EnteredView(1)) == []
    match kind:
        case "pre-prepare":
            slot.pre_prepare = lab.pre_prepare(0, 1, lab.batch())
        case "prepare":
            slot.prepares[3] = lab.prepare(3, 0, 1, ONE)
        case _:
            slot.commits[3] = lab.commit(3, 0, 1, ONE)
    assert watched.turn() == []
    assert len(watched.turn(EnteredView(1))) == 1
    watched.state.views.active = False
    assert watched.turn(EnteredView(1)) == []


def test_every_checkpoint_is_taken_when_its_number_executes(lab: Lab) -> None:
    watched = Watched(Footing(), lab)
    lab.settle_until(9)
    assert watched.turn() == []
    kept = watched.state.checkpoints.own.pop(8)
    assert len(watched.turn()) == 1
    watched.state.checkpoints.diverged = True
    assert watched.turn() == []
    watched.state.checkpoints.diverged = False
    watched.state.checkpoints.stable = StableCheckpoint(8, kept.root, ())
    assert watched.turn() == []


def test_nobody_goes_back_unless_its_state_is_damaged_or_its_life_another(lab: Lab) -> None:
    watched = Watched(Footing(), lab)
    lab.settle_until(3)
    assert watched.turn() == []
    watched.state.executed = 2
    assert len(watched.turn()) == 1
    assert watched.turn() == []
    watched.state.checkpoints.diverged = True
    assert watched.turn() == []
    watched.state.executed, watched.state.checkpoints.diverged = 1, False
    assert watched.turn() == []
    watched.state.executed, watched.host.life = 0, 1
    assert watched.turn() == []


# -- holdings --------------------------------------------------------------------------------------


def test_a_view_change_that_is_held_proves_what_it_claims(lab: Lab) -> None:
    watched = Watched(Holdings(), lab)
    moved(watched, 1, 1)
    assert watched.turn() == []
    watched.state.views.view_changes[3] = held(lab, 3, 1, low_watermark=8)
    assert len(watched.turn()) == 1
    assert watched.turn() == []


@pytest.mark.parametrize(("signers", "flagged"), [((0, 2, 3), False), ((3, 3, 3), True)])
def test_a_certified_checkpoint_has_q_signers(
    lab: Lab, signers: tuple[int, ...], flagged: bool
) -> None:
    watched = Watched(Holdings(), lab)
    stable = StableCheckpoint(8, ONE, lab.proof(8, ONE, signers))
    watched.state.checkpoints.certified = stable
    assert bool(watched.turn()) == flagged


def test_no_later_view_is_active_without_its_new_view(lab: Lab) -> None:
    watched = Watched(Holdings(), lab)
    watched.state.views.view = 1
    assert len(watched.turn()) == 1
    watched.state.views.active = False
    assert watched.turn() == []


def test_nothing_executes_that_is_dated_far_ahead(lab: Lab) -> None:
    watched = Watched(Holdings(), lab)
    watched.state.sessions.time = lab.wall + lab.config.clock_bound_ns
    assert watched.turn() == []
    watched.state.sessions.time += 1
    assert len(watched.turn()) == 1


def test_a_proposal_with_another_body_is_none() -> None:
    lab = Lab()
    watched = Watched(Holdings(), lab, liars=(0,))
    batch, other = lab.batch(lab.request(1)), lab.batch(lab.request(2))
    pp = lab.pre_prepare(0, 1, batch)
    lie = Proposal(pp.raw, other)
    assert watched.hear(0, lie) == []
    watched.send(0, lie)
    watched.state.log.slots[1] = Slot(1, pp)
    assert len(watched.turn()) == 1


def test_a_value_in_another_encoding_is_malformed() -> None:
    lab = Lab()
    watched = Watched(Holdings(), lab, liars=(2,))
    vote = lab.prepare(2, 0, 1, ONE)
    body = vote.raw[65:]
    longer = b"\xdc" + (body[0] & 0x0F).to_bytes(2, "big") + body[1:]
    reworded = msgspec.structs.replace(vote, raw=vote.raw[:65] + longer)
    assert watched.hear(2, reworded, vote) == []
    watched.send(2, reworded)
    assert len(watched.turn()) == 1


@pytest.mark.parametrize("lied", [True, False])
def test_a_source_that_lies_is_asked_no_more(lab: Lab, lied: bool) -> None:
    watched = Watched(Holdings(), lab)
    transfer: Any = watched.state.transfer
    transfer.target = StableCheckpoint(8, ONE, ())
    transfer.graft = SimpleNamespace(wanted={b"": ONE})
    transfer.sources = {3: SimpleNamespace(lied=lied)}
    watched.send(3, Nodes((Node(b"", TWO, b"Lnot wanted"),)))
    assert watched.turn() == []
    watched.send(3, Nodes((Node(b"", ONE, b"La lie"),)))
    assert bool(watched.turn()) == (not lied)


# -- storage ---------------------------------------------------------------------------------------


def test_a_disk_holds_the_state_and_no_more() -> None:
    lab = Lab(checkpoint_interval=2)
    lab.settle_until(2)
    proof = [lab.checkpoint(r, 2, lab.replica.status().state_digest) for r in (0, 2, 3)]
    lab.feed(*proof)
    disk = Disk(random.Random(0))
    disk.sync(disk.write(lab.records))
    watched = Watched(Storage(), lab)
    watched.host.disk = disk
    watched.oracle.ended(0)
    assert lab.replica.status().low_watermark == 2
    assert watched.said == []
    disk.sync(disk.write([Leaf(ONE, b"nobody's")]))
    watched.oracle.ended(0)
    assert len(watched.said) == 1
    disk.sync(disk.write([Settled(b"\x01\x02", ONE)]))
    watched.oracle.ended(0)
    assert len(watched.said) == 3


# -- bounds ----------------------------------------------------------------------------------------


def test_what_large_requests_take_is_bounded(lab: Lab) -> None:
    watched = Watched(BoundedMemory(), lab)
    log, limit = watched.state.log, 3 * lab.config.request_max_bytes * (1 + PARTIALS)
    request = lab.request(1, bytes(limit // 200))
    for count, flagged in ((100, False), (250, True)):
        log.large = {b"%d" % number: request for number in range(count)}
        assert any(watched.turn() for _ in range(LOOK_EVERY)) == flagged


def test_of_what_is_missing_so_much_is_asked_for(lab: Lab) -> None:
    watched = Watched(BoundedMemory(), lab)
    limit = PARTIALS * lab.config.batch_max_requests
    for count, flagged in ((limit, False), (limit + 1, True)):
        watched.state.log.missing = {b"%d" % number: 0 for number in range(count)}
        assert any(watched.turn() for _ in range(LOOK_EVERY)) == flagged
