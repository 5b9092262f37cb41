"""T29-T35, T41, T45-T56: checkpoints, clients, persistence, and what walking the design found."""

from typing import Any

import pytest

from pbft.core.config import Configuration
from pbft.core.effects import (
    BecameStable,
    Damaged,
    Diverged,
    Executed,
    Installed,
    TransferStarted,
)
from pbft.core.ids import Packet
from pbft.core.messages import (
    Attest,
    Checkpoint,
    Commit,
    Decision,
    NewView,
    Prepare,
    Proposal,
    Reply,
    StableProof,
    Status,
    ViewChange,
)
from pbft.core.protocol.execution import ATTESTS_PER_TURN, MAX_REFUSAL_BYTES
from pbft.core.records import (
    Accepted,
    Began,
    Leaf,
    Prepared,
    Snapshotted,
    Stabilised,
    ViewChanged,
    ViewEntered,
    decode_record,
    encode_record,
)
from pbft.core.service import FORGOTTEN, REFUSED, Context
from pbft.core.wire import NULL_BATCH, batch_digest
from tests.core.carry import lying, transfer
from tests.core.lab import Lab, executed, of_type


def stable_at(lab: Lab) -> int:
    return lab.replica.status().low_watermark


def own_root(lab: Lab) -> bytes:
    return lab.replica.status().state_digest


@pytest.mark.scenario("T29")
def test_t29_stable_takes_q_matching_votes_and_the_own_snapshot() -> None:
    lab = Lab(me=1)
    lab.settle_until(8)
    root = own_root(lab)
    lab.feed(lab.checkpoint(3, 8, bytes(32)), lab.checkpoint(0, 8, root))
    assert stable_at(lab) == 0
    effects = lab.feed(lab.checkpoint(2, 8, root))
    assert BecameStable(8, root) in effects.events
    assert [(e.kind, e.culprit) for e in effects.evidence] == [("checkpoint against a quorum", 3)]
    (record,) = [r for r in effects.records if isinstance(r, Stabilised)]
    laggard = Lab(me=2)
    laggard.feed(StableProof(record.proof))
    laggard.idle(0.5)
    assert laggard.replica.status().transferring


@pytest.mark.scenario("T29")
def test_t29_without_the_own_snapshot_the_watermark_stays() -> None:
    lab = Lab(me=1)
    effects = lab.feed(*(lab.checkpoint(r, 8, bytes(32)) for r in (0, 2, 3)))
    assert stable_at(lab) == 0
    assert not [e for e in effects.events if isinstance(e, BecameStable)]


@pytest.mark.scenario("T30", "ST6")
def test_t30_a_retry_after_a_transfer_is_answered_and_not_executed() -> None:
    ahead, behind = Lab(me=1), Lab(me=2)
    ahead.settle_until(8)
    transfer(ahead, behind)
    assert behind.service.operations == ahead.service.operations
    effects = behind.feed(behind.request(5))
    (reply,) = [send.message for send in effects.replies]
    assert isinstance(reply, Reply)
    assert (reply.timestamp, reply.results) == (5, (b"\x005",))
    effects = behind.settle(9, batch=behind.batch(behind.request(5)))
    assert executed(effects) == [9]
    assert behind.service.operations == ahead.service.operations


@pytest.mark.scenario("T30", "ST7")
def test_t30_the_client_table_is_in_the_digest() -> None:
    one, two = Lab(me=1), Lab(me=1)
    one.settle_until(8)
    for sequence in range(1, 9):
        request = two.request(sequence + 100, b"op-%d" % sequence)
        two.settle(sequence, batch=two.batch(request))
    assert one.service.operations == two.service.operations
    assert own_root(one) != own_root(two)


@pytest.mark.scenario("T30", "CL5", kills="CL5 the floor refuses nothing")
def test_t30_the_floor_rises_with_the_window_and_old_timestamps_never_execute() -> None:
    lab = Lab(me=1, client_window=4)
    lab.settle_until(6)
    assert lab.replica.status().executed == 6
    lab.settle(7, batch=lab.batch(lab.request(2, b"again")))
    assert b"again" not in lab.service.operations
    (said,) = (each.message for each in lab.feed(lab.request(1)).replies)
    assert isinstance(said, Reply)
    assert said.results == (FORGOTTEN,)


@pytest.mark.scenario("T31")
def test_t31_two_bodies_under_one_timestamp_end_one_wait() -> None:
    lab = Lab(me=1)
    lab.feed(lab.request(5, b"mine"))
    assert lab.replica.status().waiting == 1
    lab.settle(1, batch=lab.batch(lab.request(5, b"the other")))
    assert lab.replica.status().waiting == 0
    assert lab.service.operations == [b"the other"]


@pytest.mark.scenario("T33")
def test_t33_a_restart_in_a_view_change_stays_in_it_and_sends_the_same() -> None:
    lab = Lab(me=2)
    batch = lab.batch(lab.request(1))
    digest = batch_digest(batch)
    lab.feed(lab.proposal(0, 1, batch), peer=0)
    lab.feed(*(lab.view_change(r, 1) for r in (1, 3)))
    (before,) = [m for m in lab.sent if isinstance(m, ViewChange)]
    lab.sent.clear()
    lab.restart()
    status = lab.replica.status()
    assert (status.view, status.active) == (1, False)
    lab.feed(*(lab.prepare(r, 0, 1, digest) for r in (1, 3)))
    for _ in range(2):
        lab.feed(Status(0, True, 0, 0, False, False), peer=0)
    assert not [m for m in lab.sent if isinstance(m, Prepare | Commit)]
    assert {m for m in lab.sent if isinstance(m, ViewChange)} == {before}


@pytest.mark.scenario("T34")
def test_t34_records_come_with_the_messages_they_must_precede() -> None:
    lab = Lab(me=1)
    batch = lab.batch(lab.request(1))
    digest = batch_digest(batch)
    effects = lab.feed(lab.proposal(0, 1, batch), peer=0)
    assert of_type(effects, Prepare)
    assert [type(r) for r in effects.records] == [Accepted]
    effects = lab.feed(lab.prepare(2, 0, 1, digest))
    assert of_type(effects, Commit)
    assert [type(r) for r in effects.records] == [Prepared]
    lab.feed(lab.commit(0, 0, 1, digest), lab.commit(2, 0, 1, digest))
    for sequence in range(2, 8):
        lab.settle(sequence)
    effects = lab.settle(8)
    assert of_type(effects, Checkpoint)
    assert [type(r) for r in effects.records] == [Leaf, Snapshotted]
    effects = lab.feed(*(lab.view_change(r, 1) for r in (2, 3)))
    assert of_type(effects, ViewChange)
    assert [type(r) for r in effects.records][:2] == [ViewChanged, ViewEntered]


@pytest.mark.scenario("T34")
def test_t34_a_proposal_is_recorded_before_it_leaves() -> None:
    lab = Lab(me=0)
    effects = lab.feed(lab.request(1))
    (proposal,) = of_type(effects, Proposal)
    (record,) = effects.records
    assert isinstance(proposal, Proposal)
    assert record == Accepted(proposal.pre_prepare, proposal.batch)


@pytest.mark.scenario("T34")
def test_t34_a_restarted_primary_does_not_reuse_a_number() -> None:
    lab = Lab(me=0)
    lab.feed(lab.request(1))
    lab.sent.clear()
    lab.restart()
    lab.feed(lab.request(2))
    first = batch_digest(lab.batch(lab.request(1)))
    for message in lab.sent:
        if isinstance(message, Proposal):
            assert batch_digest(message.batch) != first
    assert lab.replica.status().evidence == {}
    numbers = [m for m in lab.sent if isinstance(m, Proposal)]
    assert len(numbers) == 1


def test_records_survive_their_encoding() -> None:
    lab = Lab(me=1)
    lab.settle_until(9)
    lab.feed(*(lab.checkpoint(r, 8, own_root(lab)) for r in (0, 2)))
    lab.feed(*(lab.view_change(r, 1) for r in (2, 3)))
    assert {type(r) for r in lab.records} == {
        Began,
        Accepted,
        Prepared,
        Leaf,
        Snapshotted,
        Stabilised,
        ViewChanged,
        ViewEntered,
    }
    assert [decode_record(encode_record(r)) for r in lab.records] == lab.records


@pytest.mark.scenario("T41")
def test_t41_hostile_bytes_never_raise() -> None:
    lab = Lab(me=1)
    batch = lab.batch(lab.request(1))
    whole = lab.commit(0, 0, 1, batch_digest(batch)).raw
    lab.feed_raw(*(whole[:cut] for cut in range(len(whole))))
    lab.feed_raw(b"", b"\x00", b"\x01", b"\x02\x91", b"\x02" + b"\x91" * 5000, bytes(2**16))
    lab.feed(Proposal(b"x", batch), Decision(b"", (b"",), b""), StableProof(()), peer=0)
    assert sum(lab.replica.status().drops.values()) > len(whole)


@pytest.mark.scenario("T46", "VC30", kills="T46 checkpoint votes end with their view")
def test_t46_checkpoints_of_replicas_in_different_views_match() -> None:
    lab = Lab(me=1)
    lab.settle_until(8)
    lab.feed(lab.checkpoint(0, 8, own_root(lab)))
    lab.feed(*(lab.view_change(r, 1) for r in (2, 3)))
    lab.feed(lab.checkpoint(2, 8, own_root(lab)))
    assert stable_at(lab) == 8


@pytest.mark.scenario("T47")
def test_t47_one_burst_may_hold_the_new_view_and_the_votes_that_follow_it() -> None:
    lab = Lab(me=2)
    batch = lab.batch(lab.request(1))
    digest = batch_digest(batch)
    vcs = [lab.view_change(r, 1) for r in (0, 1, 3)]
    effects = lab.feed(
        *(lab.commit(r, 1, 1, digest) for r in (0, 1, 3)),
        *(lab.prepare(r, 1, 1, digest) for r in (0, 3)),
        lab.proposal(1, 1, batch),
        lab.new_view(1, vcs, {}),
        peer=1,
    )
    assert executed(effects) == [1]


@pytest.mark.scenario("T47")
def test_t47_a_proposal_above_the_window_waits_for_the_checkpoint_that_moves_it() -> None:
    lab = Lab(me=1)
    lab.settle_until(16)
    batch = lab.batch(lab.request(17))
    assert not of_type(lab.feed(lab.proposal(0, 17, batch), peer=0), Prepare)
    root = lab.replica.status().checkpoints[8]
    effects = lab.feed(lab.checkpoint(0, 8, root), lab.checkpoint(2, 8, root))
    assert of_type(effects, Prepare)


@pytest.mark.scenario("T47", "T10")
def test_t47_nothing_above_the_window_is_committed_though_all_others_have_prepared_it() -> None:
    """Who has not prepared it has no record of its body, and may be asked for it later."""
    lab = Lab(me=1)
    batch = lab.batch(lab.request(17))
    said = [lab.prepare(by, 0, 17, batch_digest(batch)) for by in (2, 3)]
    assert lab.feed(lab.proposal(0, 17, batch), *said, peer=0).messages == []
    lab.settle_until(16)
    root = lab.replica.status().checkpoints[8]
    effects = lab.feed(lab.checkpoint(0, 8, root), lab.checkpoint(2, 8, root))
    assert of_type(effects, Prepare)
    assert of_type(effects, Commit)


@pytest.mark.scenario("T44", "T47")
def test_t44_what_the_low_watermark_has_reached_meanwhile_is_voted_for_by_nobody() -> None:
    """It was within reach when it came, early; the checkpoint of its number is stable now."""
    ahead, lab = Lab(me=1), Lab(me=2)
    lab.feed(lab.proposal(1, 8, lab.batch(lab.request(99))), peer=1)
    ahead.settle_until(8)
    transfer(ahead, lab)
    assert stable_at(lab) == 8
    proof = lab.proof(8, own_root(ahead), (0, 1, 3))
    changes = [lab.view_change(by, 1, (), 8, proof) for by in (0, 1, 3)]
    effects = lab.feed(lab.new_view(1, changes, {}), peer=1)
    assert lab.replica.status().active
    assert not of_type(effects, Prepare)


@pytest.mark.scenario("T48")
def test_t48_acceptance_does_not_depend_on_the_previous_time() -> None:
    lab = Lab(me=1)
    late = lab.batch(lab.request(1), time=lab.wall + 10**9)
    early = lab.batch(lab.request(2), time=lab.wall - 10**9)
    assert executed(lab.settle(1, batch=late)) == [1]
    assert executed(lab.settle(2, batch=early)) == [2]


@pytest.mark.scenario("T48")
@pytest.mark.parametrize("hours", [-1, 1])
def test_t48_a_first_proposal_far_from_our_clock_is_not_accepted(hours: int) -> None:
    lab = Lab(me=1)
    wrong = lab.batch(lab.request(1), time=lab.wall + hours * 3_600 * 10**9)
    assert not of_type(lab.feed(lab.proposal(0, 1, wrong), peer=0), Prepare)


@pytest.mark.scenario("T48", "TM7")
@pytest.mark.parametrize("step", [3_600 * 10**9, -3_600 * 10**9])
def test_t48_what_was_under_way_when_all_clocks_stepped_is_not_late(step: int) -> None:
    lab = Lab(me=1)
    before, after = (lab.batch(lab.request(k), time=lab.wall + step * (k - 1)) for k in (1, 2))
    wrong = lab.batch(lab.request(3), time=lab.wall + 2 * step)
    lab.wall, lab.stepped = lab.wall + step, step
    assert of_type(lab.feed(lab.proposal(0, 1, before), peer=0), Prepare)
    assert of_type(lab.feed(lab.proposal(0, 2, after), peer=0), Prepare)
    assert not of_type(lab.feed(lab.proposal(0, 3, wrong), peer=0), Prepare)


@pytest.mark.scenario("T48")
def test_t48_a_re_proposed_batch_is_not_judged_by_the_clock_again() -> None:
    lab = Lab(me=2)
    batch = lab.batch(lab.request(1))
    lab.feed(lab.proposal(0, 1, batch), peer=0)
    lab.wall += 7_200 * 10**9
    vcs = [lab.view_change(0, 1), lab.view_change(1, 1)]
    vcs.append(lab.view_change(3, 1, [lab.certificate(0, 1, batch, (1, 3))]))
    effects = lab.feed(lab.new_view(1, vcs, {1: batch_digest(batch)}), peer=1)
    assert of_type(effects, Prepare)


@pytest.mark.scenario("T49")
def test_t49_a_turn_that_hits_its_bound_asks_to_be_called_again() -> None:
    lab = Lab(me=1, checkpoint_interval=512, window=1024)
    burst = [lab.decision(0, s, lab.batch(lab.request(s)), (0, 2, 3)) for s in range(600, 0, -1)]
    total = len(executed(lab.feed(*burst)))
    assert 0 < total < 600
    assert lab.replica.deadline == 0
    while lab.replica.deadline == 0:
        total += len(executed(lab.replica.expire(lab.instant)))
    assert total == 600


@pytest.mark.scenario("T51")
def test_t51_installing_a_checkpoint_drops_nothing_above_it() -> None:
    ahead, behind = Lab(me=1), Lab(me=2)
    ahead.settle_until(8)
    batch = behind.batch(behind.request(9))
    behind.settle(9, batch=batch)
    assert behind.replica.status().executed == 0
    events = transfer(ahead, behind)
    assert Installed(8, own_root(ahead)) in events
    assert [e.sequence for e in events if isinstance(e, Executed)] == [9]
    effects = behind.feed(*(behind.view_change(r, 1) for r in (0, 3)))
    (mine,) = of_type(effects, ViewChange)
    assert isinstance(mine, ViewChange)
    assert len(mine.prepared) == 1


def test_a_lying_source_is_left_and_nothing_of_it_is_kept() -> None:
    ahead, behind = Lab(me=1), Lab(me=2)
    ahead.settle_until(8)
    first = transfer(ahead, behind, lying(0))
    assert Installed(8, own_root(ahead)) in first
    assert behind.replica.status().drops["node that does not verify"] <= 1
    assert behind.service.operations == ahead.service.operations


def test_a_target_that_moves_fast_does_not_starve_the_laggard() -> None:
    """A timer's key changes no faster than its delay: others' progress is not in it."""
    lab = Lab(me=2)
    started: list[object] = []
    for step in range(1, 9):
        lab.feed(StableProof(lab.proof(8 * step, bytes([step]) * 32, (0, 1, 3))))
        started += [e for e in lab.idle(0.08).events if isinstance(e, TransferStarted)]
    assert started


@pytest.mark.scenario("T52")
def test_t52_the_stable_record_follows_the_snapshot_record() -> None:
    lab = Lab(me=1)
    lab.settle_until(8)
    lab.feed(*(lab.checkpoint(r, 8, own_root(lab)) for r in (0, 2)))
    kinds = [type(r) for r in lab.records]
    assert kinds.index(Snapshotted) < kinds.index(Stabilised)
    ahead, behind = Lab(me=1), Lab(me=2)
    ahead.settle_until(8)
    transfer(ahead, behind)
    kinds = [type(r) for r in behind.records]
    assert kinds.index(Leaf) < kinds.index(Stabilised)
    behind.restart()
    assert behind.replica.status().executed == 8
    assert behind.service.operations == ahead.service.operations


@pytest.mark.scenario("T53", "NW1")
def test_t53_status_is_answered_with_all_that_is_lacking() -> None:
    lab = Lab(me=1)
    lab.settle_until(8)
    root = own_root(lab)
    lab.feed(*(lab.checkpoint(r, 8, root) for r in (0, 2)))
    lab.settle(9)
    behind = Status(0, True, 0, 0, False, False)
    lab.feed(behind, peer=3)
    effects = lab.feed(behind, peer=3)
    assert of_type(effects, StableProof)
    lab = Lab(me=1)
    lab.settle_until(8)
    lab.feed(behind, peer=3)
    effects = lab.feed(behind, peer=3)
    assert len(of_type(effects, Decision)) == 8
    assert of_type(effects, Checkpoint)


@pytest.mark.scenario("T12", "T53")
def test_t12_the_last_number_of_the_window_is_said_again_too() -> None:
    lab = Lab(me=1)
    lab.settle_until(15)
    lab.feed(lab.proposal(0, 16, lab.batch(lab.request(16))), peer=0)
    stalled = Status(0, True, 0, 15, False, False)
    lab.feed(stalled, peer=3)
    (again,) = of_type(lab.feed(stalled, peer=3), Prepare)
    assert isinstance(again, Prepare)
    assert again.sequence == 16


@pytest.mark.scenario("T33")
def test_t33_a_restart_in_a_view_that_it_asked_for_and_entered_is_active_there() -> None:
    lab = Lab(me=2)
    lab.feed(*(lab.view_change(by, 1) for by in (0, 3)))
    lab.feed(lab.new_view(1, [lab.view_change(by, 1) for by in (0, 1, 3)], {}), peer=1)
    lab.restart()
    status = lab.replica.status()
    assert (status.view, status.active) == (1, True)


@pytest.mark.scenario("CP9")
def test_votes_far_ahead_do_not_displace_those_within_reach() -> None:
    """Two of each sender are kept above h + 2L, and all up to there (T47)."""
    lab = Lab(me=1)
    lab.feed(*(lab.checkpoint(3, at, bytes(32)) for at in (24, 32, 40, 48)))
    lab.feed(*(lab.checkpoint(by, 24, bytes(32)) for by in (0, 2)))
    assert TransferStarted(24) in lab.idle(0.5).events


@pytest.mark.scenario("T12", "T53")
@pytest.mark.parametrize("me", [0, 1])
def test_t12_what_is_not_decided_is_said_again_to_who_may_have_missed_it(me: int) -> None:
    """Each may have lost all votes but its own: without a word again, a view change has to help."""
    lab = Lab(me=me)
    batch = lab.batch(lab.request(1))
    lab.feed(lab.proposal(0, 1, batch) if me else lab.request(1), peer=0)
    lab.feed(*(lab.prepare(by, 0, 1, batch_digest(batch)) for by in (2, 3)))
    said = [m for m in lab.sent if isinstance(m, Proposal | Prepare | Commit)]
    assert [type(m) for m in said] == [Prepare if me else Proposal, Commit]
    stalled = Status(0, True, 0, 0, False, False)
    lab.feed(stalled, peer=3)
    again = [send.message for send in lab.feed(stalled, peer=3).messages]
    assert again == said


@pytest.mark.scenario("T53", "ST8", kills="T53 the accepted new view is passed on to nobody")
def test_t53_who_is_behind_is_given_the_new_view_that_was_accepted() -> None:
    lab = Lab(me=2)
    accepted = lab.new_view(1, [lab.view_change(r, 1) for r in (0, 1, 3)], {})
    lab.feed(accepted, peer=1)
    behind = Status(0, True, 0, 0, False, False)
    lab.feed(behind, peer=3)
    assert of_type(lab.feed(behind, peer=3), NewView) == [accepted.message]


def test_nothing_is_re_sent_to_a_peer_that_moves() -> None:
    lab = Lab(me=1)
    lab.settle_until(4)
    for behind_by in (0, 1, 2, 3):
        effects = lab.feed(Status(0, True, 0, behind_by, False, False), peer=3)
        assert effects.messages == []


@pytest.mark.scenario("T54")
def test_t54_a_diverged_replica_is_silent_to_clients_and_repairs_itself() -> None:
    ahead, broken = Lab(me=1), Lab(me=2)
    ahead.settle_until(8)
    broken.settle_until(7)
    broken.service.noise = b" and what was not said"
    broken.settle(8)
    broken.service.noise = b""
    effects = broken.feed(*(broken.checkpoint(r, 8, own_root(ahead)) for r in (0, 1, 3)))
    assert [type(e) for e in effects.events][:1] == [Diverged]
    assert not broken.feed(broken.request(3)).replies
    events = transfer(ahead, broken)
    if not any(isinstance(e, Installed) for e in events):
        events += [e for _ in range(5) for e in broken.idle(0.2).events]
    assert broken.service.operations == ahead.service.operations
    assert broken.feed(broken.request(3)).replies


@pytest.mark.scenario("T54")
def test_t54_a_flipped_bit_in_memory_is_noticed_at_the_next_checkpoint_and_repaired() -> None:
    """Nobody reads or writes the damaged leaf: it is found because leaves are digested again."""
    ahead, broken = Lab(me=1), Lab(me=2)
    for lab in (ahead, broken):
        lab.settle(1, batch=lab.batch(lab.request(1, *(b"op-%03d" % i for i in range(200)))))
        lab.settle_until(8, first=2)
        lab.feed(*(lab.checkpoint(r, 8, own_root(lab)) for r in range(4) if r != lab.me))
    for _, leaf in broken.replica._state.machine.tree.leaves():
        leaf.data = leaf.data.replace(b"op-077", b"op-?77")
    for sequence in range(9, 16):
        broken.settle(sequence, batch=broken.batch(broken.request(2)))
    effects = broken.settle(16, batch=broken.batch(broken.request(2)))
    assert Damaged(16, 1) in effects.events
    assert not of_type(effects, Checkpoint)
    assert not any(isinstance(each, Snapshotted) for each in effects.records)
    assert not broken.feed(broken.request(3)).replies
    for sequence in range(9, 17):
        ahead.settle(sequence, batch=ahead.batch(ahead.request(2)))
    transfer(ahead, broken)
    assert broken.service.operations == ahead.service.operations
    assert broken.replica.status().checkpoints[16] == own_root(ahead)
    broken.restart()
    assert broken.service.operations == ahead.service.operations


@pytest.mark.scenario("T54")
def test_t54_damage_before_anything_is_stable_is_repaired_by_executing_again() -> None:
    lab = Lab(me=2)
    lab.settle(1, batch=lab.batch(lab.request(1, *(b"op-%03d" % i for i in range(200)))))
    lab.settle_until(8, first=2)
    whole = own_root(lab)
    for _, leaf in lab.replica._state.machine.tree.leaves():
        leaf.data = leaf.data.replace(b"op-077", b"op-?77")
    for sequence in range(9, 17):
        lab.settle(sequence, batch=lab.batch(lab.request(2)))
    status = lab.replica.status()
    assert (status.executed, status.checkpoints[8], status.transferring) == (16, whole, False)
    assert lab.service.operations[77] == b"op-077"
    lab.restart()
    assert lab.replica.status().checkpoints == {at: status.checkpoints[at] for at in (8, 16)}


@pytest.mark.scenario("T55")
def test_t55_resending_does_not_refresh_a_wait() -> None:
    lab = Lab(me=1)
    lab.feed(lab.request(1))
    for _ in range(4):
        lab.idle(0.24)
        lab.feed(lab.request(1))
    assert lab.replica.status().view == 0
    lab.idle(0.06)
    assert lab.replica.status().view == 1


@pytest.mark.scenario("T55")
def test_t55_a_clients_waiting_requests_are_bounded() -> None:
    lab = Lab(me=1, client_window=4)
    lab.feed(*(lab.request(t) for t in range(1, 100)))
    assert lab.replica.status().waiting == 4
    lab.feed(lab.request(1, client="bob"))
    assert lab.replica.status().waiting == 5


def test_t55_a_timestamp_that_no_session_will_ever_admit_does_not_wait() -> None:
    """0 is the floor of every session: known or not, its client cannot have it executed."""
    lab = Lab(me=1)
    lab.feed(lab.request(0))
    lab.settle(1, batch=lab.batch(lab.request(0), lab.request(1)))
    assert (lab.replica.status().waiting, len(lab.service.operations)) == (0, 1)
    lab.idle(1.2)
    assert lab.replica.status().view == 0


def test_a_refusal_is_a_result_and_leaves_the_rest_alone() -> None:
    lab = Lab(me=1)
    effects = lab.settle(1, batch=lab.batch(lab.request(1, b"a", b"refuse", b"b")))
    (reply,) = [send.message for send in effects.replies]
    assert isinstance(reply, Reply)
    assert reply.results == (b"\x001", b"\x01ValueError: refused by the service", b"\x002")


def test_a_reply_is_bounded_and_says_that_the_operation_took_effect() -> None:
    lab = Lab(me=1, reply_max_bytes=3, session_max_bytes=100)
    effects = lab.settle(1, batch=lab.batch(lab.request(1, b"a", b"b", b"c")))
    (reply,) = [send.message for send in effects.replies]
    assert isinstance(reply, Reply)
    assert isinstance(reply.results, tuple)
    assert reply.results[0] == b"\x001"
    assert reply.results[1].startswith(b"\x01ResultTooLarge")
    assert len(lab.service.operations) == 3


def test_a_request_of_another_client_over_a_clients_link_is_dropped() -> None:
    lab = Lab(me=1)
    request = lab.request(1, client="bob")
    lab.replica.receive([Packet("alice", request.raw)], lab.instant)
    assert lab.replica.status().waiting == 0


@pytest.mark.parametrize("limit", ["window", "pipeline", "batch_max_requests"])
def test_limits_must_be_positive(limit: str) -> None:
    from pbft.core.errors import ConfigurationError

    changes: dict[str, Any] = {limit: 0}
    with pytest.raises(ConfigurationError, match=limit):
        Configuration(cluster_id=bytes(16), n=4, **changes)


@pytest.mark.scenario("T48")
def test_t48_agreed_time_rises_with_every_batch_and_with_no_null() -> None:
    lab = Lab(me=1)
    times: list[int] = []
    run = lab.service.execute

    def noted(operation: bytes, context: Context) -> bytes:
        times.append(context.time)
        return run(operation, context)

    lab.service.execute = noted  # type: ignore[method-assign]
    for sequence, time in ((1, 7), (2, 7), (3, 5)):
        lab.settle(sequence, batch=lab.batch(lab.request(sequence), time=lab.wall + time))
    lab.settle(4, batch=NULL_BATCH)
    lab.settle(5, batch=lab.batch(lab.request(5), time=lab.wall))
    assert [time - lab.wall for time in times] == [7, 8, 9, 10]


@pytest.mark.scenario("T55")
def test_t55_what_a_transfer_covers_waits_no_more() -> None:
    ahead, behind = Lab(me=1), Lab(me=2)
    behind.feed(behind.request(3))
    ahead.settle_until(8)
    assert any(isinstance(each, Installed) for each in transfer(ahead, behind))
    assert behind.replica.status().waiting == 0
    behind.idle(5)
    assert behind.replica.status().view == 0


@pytest.mark.scenario("T55")
def test_t55_what_a_transfer_puts_below_the_floor_waits_no_more_though_it_never_executed() -> None:
    ahead, behind = Lab(me=1, client_window=4), Lab(me=2, client_window=4)
    behind.feed(behind.request(1))
    for sequence in range(1, 9):
        ahead.settle(sequence, batch=ahead.batch(ahead.request(sequence + 1)))
    transfer(ahead, behind)
    assert behind.replica.status().executed == 8
    assert behind.replica.status().waiting == 0


def test_nobody_is_suspected_while_a_transfer_runs() -> None:
    """What we wait for may be in it."""
    ahead, behind = Lab(me=1), Lab(me=2)
    ahead.settle_until(8)
    behind.feed(behind.request(3))
    behind.feed(StableProof(behind.proof(8, own_root(ahead), (0, 1, 3))))
    assert TransferStarted(8) in behind.idle(0.3).events
    behind.idle(20)
    assert behind.replica.status().view == 0


@pytest.mark.scenario("T55")
def test_t55_a_client_whose_room_is_used_up_is_still_answered_about_what_executed() -> None:
    lab = Lab(me=1, client_window=4)
    lab.settle(1)
    lab.feed(*(lab.request(t) for t in range(2, 20)))
    assert lab.replica.status().waiting == 4
    (reply,) = [send.message for send in lab.feed(lab.request(1)).replies]
    assert isinstance(reply, Reply)
    assert reply.results == (b"\x001",)


def test_a_refusal_is_cut_to_its_limit() -> None:
    lab = Lab(me=1)

    def refuse(operation: bytes, context: Context) -> bytes:
        raise ValueError("no" * 10_000)

    lab.service.execute = refuse  # type: ignore[method-assign]
    (reply,) = [send.message for send in lab.settle(1).replies]
    assert isinstance(reply, Reply)
    assert isinstance(reply.results, tuple)
    assert len(reply.results[0]) == len(REFUSED) + MAX_REFUSAL_BYTES


@pytest.mark.scenario("T54")
def test_t54_a_diverged_replica_signs_no_receipt_and_a_sound_one_a_bounded_number() -> None:
    ahead, broken = Lab(me=1, client_window=128), Lab(me=2, client_window=128)
    broken.service.noise = b"!"
    for lab in (ahead, broken):
        for sequence in range(1, 9):
            requests = (lab.request(10 * sequence + each) for each in range(10))
            lab.settle(sequence, batch=lab.batch(*requests))
    asks = [Attest(timestamp) for timestamp in range(10, 90)]
    assert len(ahead.feed(*asks, peer="alice").replies) == ATTESTS_PER_TURN
    broken.feed(*(broken.checkpoint(r, 8, own_root(ahead)) for r in (0, 1, 3)))
    assert broken.feed(*asks, peer="alice").replies == []


@pytest.mark.scenario("T54")
def test_t54_who_repairs_itself_casts_no_other_vote_for_what_it_voted_for() -> None:
    """It is the damage of its memory that it voted for at 16, before it heard of it at 8."""
    ahead, broken = Lab(me=1), Lab(me=2)
    broken.service.noise = b"!"
    ahead.settle_until(8)
    broken.settle_until(16)
    roots = {m.sequence: m.digest for m in broken.sent if isinstance(m, Checkpoint)}
    assert sorted(roots) == [8, 16]
    broken.service.noise = b""
    broken.feed(*(broken.checkpoint(r, 8, own_root(ahead)) for r in (0, 1, 3)))
    events = transfer(ahead, broken)
    assert any(isinstance(each, Installed) for each in events)
    assert broken.replica.status().executed == 16
    broken.restart()
    said = {(m.sequence, m.digest) for m in broken.sent if isinstance(m, Checkpoint)}
    assert said == set(roots.items())


def test_sources_that_were_silent_for_long_are_asked_again() -> None:
    """A network that carries nothing for a while leaves nobody in the dust."""
    ahead, behind = Lab(me=1), Lab(me=2)
    ahead.settle_until(8)
    transfer(ahead, behind, lambda source, nodes: None, 120)
    assert behind.replica.status().executed == 0
    assert any(isinstance(each, Installed) for each in transfer(ahead, behind))
