"""T35: who lost its disk, or got an older one back, is found out and makes it good first."""

from typing import Any

import msgspec
import pytest

from pbft.core.effects import Effects, Forgotten
from pbft.core.messages import (
    Checkpoint,
    Commit,
    NewView,
    Prepare,
    PrePrepare,
    Proposal,
    Signed,
    Status,
    ViewChange,
    Witness,
)
from pbft.core.records import AnyRecord, Began, Recovering, ViewEntered
from pbft.core.state.recovery import recall
from pbft.core.wire import (
    NULL_BATCH,
    NULL_DIGEST,
    batch_digest,
    decode_signed,
    seal_signed,
    split_signed,
)
from tests.core.lab import Lab, of_type

NOTHING = Witness((), ())
RECOVERING = Status(0, True, 0, 0, True, recovering=True)
VOTES = (PrePrepare, Proposal, Prepare, Commit, ViewChange, NewView)


def votes(effects: Effects) -> list[Any]:
    return [send.message for send in effects.messages if isinstance(send.message, VOTES)]


def voting(lab: Lab) -> bool:
    return lab.replica.status().voting


def witness(*raws: "bytes | Signed[Any]", proof: tuple[bytes, ...] = ()) -> Witness:
    return Witness(tuple(r.raw if isinstance(r, Signed) else r for r in raws), proof)


def shown(keeper: Lab, to: int) -> Witness:
    """What `keeper` answers a replica that begins."""
    effects = keeper.feed(Status(0, True, 0, 0, True, False), peer=to)
    (answer,) = of_type(effects, Witness)
    assert isinstance(answer, Witness)
    return answer


# -- detection: without records --------------------------------------------------------------


@pytest.mark.scenario("T35")
def test_t35_a_fresh_replica_votes_only_when_nobody_holds_a_vote_of_its_own() -> None:
    lab = Lab(me=1, records=())
    batch = lab.batch(lab.request(1))
    effects = lab.feed(lab.proposal(0, 1, batch), peer=0)
    assert not of_type(effects, Prepare)
    lab.feed(NOTHING, peer=0)
    lab.feed(NOTHING, peer=0)
    assert not voting(lab)
    lab.feed(NOTHING, peer=2)
    effects = lab.feed(NOTHING, peer=3)
    assert of_type(effects, Prepare)
    assert isinstance(effects.records[0], Began)


@pytest.mark.scenario("T35")
def test_t35_a_quorum_suffices_where_one_replica_stays_silent() -> None:
    lab = Lab(me=1, records=())
    lab.feed(NOTHING, peer=0)
    lab.feed(NOTHING, peer=2)
    lab.idle(0.3)
    assert not voting(lab)
    lab.idle(0.5)
    assert voting(lab)


@pytest.mark.scenario("T35")
def test_t35_a_replica_that_forgot_its_votes_is_told() -> None:
    keeper, amnesiac = Lab(me=0), Lab(me=1, records=())
    keeper.feed(keeper.request(1))
    (proposal,) = [m for m in keeper.sent if isinstance(m, Proposal)]
    vote = keeper.prepare(1, 0, 1, batch_digest(proposal.batch))
    keeper.feed(vote, peer=1)
    answer = shown(keeper, to=1)
    assert answer.votes == (vote.raw,)
    effects = amnesiac.feed(answer, peer=0)
    assert effects.events == [Forgotten(vote.raw)]


@pytest.mark.scenario("T35")
def test_t35_a_witness_that_was_not_signed_by_us_stops_nobody() -> None:
    lab = Lab(me=1, records=())
    foreign = lab.prepare(2, 0, 1, bytes(32))
    effects = lab.feed(witness(foreign), witness(b"garbage"), peer=3)
    assert effects.events == []


# -- detection: with records -----------------------------------------------------------------


@pytest.mark.scenario("T35")
def test_t35_a_replica_with_records_votes_when_a_quorum_has_answered_at_once() -> None:
    lab = Lab(me=1)
    lab.settle(1)
    lab.reboot()
    batch = lab.batch(lab.request(2))
    assert lab.idle().messages[0].message == Status(0, True, 0, 0, True, False)
    assert votes(lab.feed(lab.proposal(0, 2, batch), peer=0)) == []
    assert votes(lab.feed(NOTHING, peer=0)) == []
    assert of_type(lab.feed(NOTHING, peer=2), Prepare)


@pytest.mark.scenario("T35")
def test_t35_first_trace_an_older_disk_is_found_out_before_it_votes_again() -> None:
    """R2 restored to last week votes B at (v, n) where it voted A."""
    lab, keeper = Lab(me=2), Lab(me=3)
    lab.settle_until(3)
    batch = lab.batch(lab.request(4, b"A"))
    (vote,) = of_type(lab.feed(lab.proposal(0, 4, batch), peer=0), Prepare)
    signed = lab.prepare(2, 0, 4, batch_digest(batch))
    assert signed.message == vote
    keeper.feed(signed, peer=2)
    answer, whole = shown(keeper, to=2), list(lab.records)
    for kept in range(1, len(whole)):
        lab.records = whole[:kept]
        lab.reboot()
        lab.feed(NOTHING, peer=0)
        effects = lab.feed(answer, peer=3)
        assert effects.events[:1] == [Forgotten(signed.raw)]
        assert votes(effects) == []
        other = lab.batch(lab.request(4, b"B"))
        assert votes(lab.feed(lab.proposal(0, 4, other), peer=0)) == []
    lab.records = whole
    lab.restart()
    assert voting(lab)


@pytest.mark.scenario("T35")
def test_t35_every_kind_of_vote_betrays_an_older_disk_and_none_an_intact_one() -> None:
    lab = Lab(me=1)
    lab.settle_until(9)
    own = lab.replica.status().checkpoints[8]
    begun = list(lab.records)
    lab.feed(*(lab.view_change(r, 1) for r in (2, 3)))
    lab.settle(10, view=1)
    vote = lab.view_change(1, 3)
    said: list[Signed[Any]] = [
        lab.prepare(1, 0, 9, batch_digest(lab.batch(lab.request(9)))),
        lab.commit(1, 0, 9, batch_digest(lab.batch(lab.request(9)))),
        lab.checkpoint(1, 8, own),
    ]
    moved = next(m for m in lab.sent if isinstance(m, ViewChange))
    for intact in (begun, lab.records):
        assert _events(intact, said) == []
    raw = lab.view_change(1, 1, moved.prepared).raw
    assert _events(lab.records, [raw]) == []
    assert _events(begun, [raw]) == [Forgotten(raw)]
    assert _events(lab.records, [vote]) == [Forgotten(vote.raw)]
    for each in said:
        older = [r for r in begun if not _is_of(r, each.message)]
        assert _events(older, [each]) == [Forgotten(each.raw)]


def _is_of(record: Any, vote: Any) -> bool:
    kinds = {"Prepare": "Accepted", "Commit": "Prepared", "Checkpoint": "Snapshotted"}
    return type(record).__name__ == kinds[type(vote).__name__]


def _events(records: list[Any], said: list[Any], me: int = 1) -> list[Any]:
    lab = Lab(me=me)
    lab.records = list(records)
    lab.reboot()
    return lab.feed(witness(*said), peer=2 if me == 3 else 3).events


@pytest.mark.scenario("T35")
def test_t35_votes_below_the_stable_checkpoint_are_covered() -> None:
    """An intact disk has let go of them."""
    lab = Lab(me=1)
    lab.settle_until(9)
    own = lab.replica.status().checkpoints[8]
    lab.feed(*(lab.checkpoint(r, 8, own) for r in (0, 2)))
    assert lab.replica.status().low_watermark == 8
    kept = [r for r in lab.records if type(r).__name__ not in ("Accepted", "Prepared")]
    old = lab.commit(1, 0, 8, bytes(32))
    assert _events(kept, [old, lab.checkpoint(1, 8, own)]) == []
    new = lab.commit(1, 0, 9, bytes(32))
    assert _events(kept, [new]) == [Forgotten(new.raw)]


@pytest.mark.scenario("T35")
def test_t35_a_pre_prepare_of_ones_own_new_view_is_remembered_without_its_body() -> None:
    lab = Lab(me=1)
    batch = lab.batch(lab.request(1))
    certificate = lab.certificate(0, 1, batch, (2, 3))
    lab.feed(*(lab.view_change(r, 1, [certificate]) for r in (0, 2, 3)))
    (new_view,) = [m for m in lab.sent if isinstance(m, NewView)]
    assert _events(lab.records, [new_view.pre_prepares[0]]) == []


@pytest.mark.scenario("T35", kills="T35 a view change of a forgotten life is forgotten again")
def test_t35_a_view_change_of_a_forgotten_life_is_on_record_in_the_new_view() -> None:
    """Whoever recovers may enter a view before a peer shows what it had sent for it."""
    lab = Lab(me=2)
    forgotten = lab.view_change(2, 1)
    new_view = lab.new_view(1, [lab.view_change(0, 1), forgotten, lab.view_change(3, 1)], {})
    records: list[AnyRecord] = [Began(8), ViewEntered(new_view.raw)]
    assert recall(records, 2).remembers(forgotten.message, forgotten.raw)
    other = lab.view_change(2, 1, [lab.certificate(0, 1, lab.batch(lab.request(1)), (2, 3))])
    assert not recall(records, 2).remembers(other.message, other.raw)


@pytest.mark.scenario("T35", kills="T35 a view change to a view that was left is asked for")
def test_t35_a_view_change_of_a_forgotten_life_is_covered_by_a_later_view() -> None:
    """The NEW-VIEW that held it gives way to one that does not, and it is in no record any more."""
    lab = Lab(me=3, records=(Recovering(),))
    forgotten = lab.view_change(3, 1)
    lab.feed(lab.new_view(1, [lab.view_change(0, 1), lab.view_change(1, 1), forgotten], {}), peer=1)
    lab.feed(lab.new_view(2, [lab.view_change(each, 2) for each in range(3)], {}), peer=2)
    for peer in range(3):
        lab.feed(witness(forgotten), peer=peer)
    records = [*lab.records, Began(32)]
    promised = lab.view_change(3, 3)
    assert _events(records, [promised], me=3) == [Forgotten(promised.raw)]
    assert _events(records, [forgotten], me=3) == []


@pytest.mark.scenario("T35")
def test_t35_peers_show_what_they_hold_after_a_restart_of_their_own() -> None:
    keeper = Lab(me=1)
    keeper.settle(1)
    keeper.feed(keeper.view_change(2, 1), peer=2)
    keeper.restart()
    seen = [decode_signed(raw) for raw in shown(keeper, to=2).votes]
    assert any(isinstance(vote, Prepare) and vote.sequence == 1 for vote in seen)


@pytest.mark.scenario("T35")
def test_t35_surplus_votes_that_are_never_verified_are_kept_all_the_same() -> None:
    keeper = Lab(me=1)
    batch = keeper.batch(keeper.request(1))
    keeper.feed(keeper.decision(0, 1, batch, (0, 1, 3)))
    late = keeper.commit(2, 0, 1, batch_digest(batch))
    keeper.feed(keeper.proposal(0, 1, batch), late, peer=2)
    assert keeper.replica.status().drops["old or settled"] == 1
    assert late.raw in shown(keeper, to=2).votes
    keeper.feed(keeper.commit(3, 0, 2, bytes(32)), peer=2)
    assert all(decode_signed(raw).replica == 2 for raw in shown(keeper, to=2).votes)  # type: ignore[union-attr]


@pytest.mark.scenario("T35")
def test_t35_whoever_speaks_is_asked_at_once_and_not_again_in_the_same_interval() -> None:
    lab = Lab(me=1)
    lab.reboot()
    lab.idle()
    asks = [
        len(of_type(lab.feed(Status(0, True, 0, 0, True, False), peer=3), Status)) for _ in range(3)
    ]
    assert asks == [1, 0, 0]
    lab.clear()
    assert of_type(lab.feed(Status(0, True, 0, 0, True, False), peer=3), Status) == []


@pytest.mark.scenario("T35")
def test_t35_a_peer_is_shown_its_votes_a_few_times_per_interval() -> None:
    keeper = Lab(me=1)
    ask = Status(0, True, 0, 0, True, False)
    assert sum(len(of_type(keeper.feed(ask, peer=2), Witness)) for _ in range(50)) == 4


# -- recovery --------------------------------------------------------------------------------


def recovering(me: int = 2, **changes: int) -> Lab:
    """Just started after `pbft recover`; K = 8, L = 16."""
    return Lab(me=me, records=(Recovering(),), **changes)


def followed(lab: Lab, first: int, last: int) -> list[Any]:
    """The others decide numbers from `first` to `last`; what the replica votes meanwhile."""
    others = [r for r in range(4) if r != lab.me]
    said = []
    for sequence in range(first, last + 1):
        batch = lab.batch(lab.request(sequence))
        said += votes(lab.feed(lab.proposal(0, sequence, batch), peer=0))
        digest = batch_digest(batch)
        said += votes(lab.feed(*(lab.commit(r, 0, sequence, digest) for r in others)))
        if sequence % 8 == 0:
            root = lab.replica.status().checkpoints[sequence]
            said += votes(lab.feed(*(lab.checkpoint(r, sequence, root) for r in others)))
    return said


def answered(lab: Lab, *raws: "bytes | Signed[Any]") -> None:
    """All others answer, the last of them shows `raws`."""
    for peer in [r for r in range(4) if r != lab.me]:
        lab.feed(witness(*raws) if peer == max(0, 3 - (lab.me == 3)) else NOTHING, peer=peer)


@pytest.mark.scenario("T35")
def test_t35_a_recovering_replica_is_silent_until_its_stable_checkpoint_is_at_the_floor() -> None:
    lab = recovering()
    answered(lab, lab.prepare(2, 0, 5, bytes(32)))
    assert lab.replica.status().floor == 32
    assert followed(lab, 1, 31) == []
    assert [m.sequence for m in lab.sent if isinstance(m, Checkpoint)] == [8, 16, 24]
    lab.idle(5.0)
    assert not voting(lab)
    assert not any(isinstance(m, ViewChange) for m in lab.sent)
    followed(lab, 32, 32)
    assert voting(lab)
    assert Began(32) in lab.records
    assert [type(vote) for vote in followed(lab, 33, 33)] == [Prepare]


@pytest.mark.scenario("T35", "T14")
def test_t35_who_has_executed_beyond_the_floor_waits_for_its_stable_checkpoint_too() -> None:
    """It has forgotten what it had prepared above that, and a VIEW-CHANGE would leave it out."""
    lab = recovering()
    answered(lab)
    assert lab.replica.status().floor == 32
    followed(lab, 1, 31)
    for sequence in range(32, 36):
        decision = lab.decision(0, sequence, lab.batch(lab.request(sequence)), (0, 1, 3))
        lab.feed(decision, peer=0)
    assert lab.replica.status().executed == 35
    assert not voting(lab)
    root = lab.replica.status().checkpoints[32]
    lab.feed(*(lab.checkpoint(by, 32, root) for by in (0, 1, 3)))
    assert voting(lab)


@pytest.mark.scenario("T35")
def test_t35_the_floor_is_two_windows_above_the_highest_proven_checkpoint() -> None:
    lab = recovering()
    lab.feed(witness(proof=lab.proof(40, bytes(32), (0, 1, 3))), peer=0)
    lab.feed(witness(proof=lab.proof(48, bytes(32), (0, 1, 3))), peer=1)
    assert lab.replica.status().floor == 0
    lab.feed(witness(proof=lab.proof(32, bytes(32), (0, 1, 3))), peer=3)
    assert lab.replica.status().floor == 48 + 2 * 16
    assert lab.records[-2] == Recovering(80)


@pytest.mark.scenario("T35")
def test_t35_a_claim_without_proof_moves_no_floor() -> None:
    lab = recovering()
    for proof in (
        lab.proof(4000, bytes(32), (3,)),
        lab.proof(4000, bytes(32), (3, 3, 3)),
        (*lab.proof(4000, bytes(32), (0, 3)), lab.checkpoint(1, 8, bytes(32)).raw),
    ):
        lab.feed(witness(proof=proof), peer=3)
    lab.feed(NOTHING, peer=0)
    lab.feed(NOTHING, peer=1)
    assert lab.replica.status().floor == 0
    lab.feed(NOTHING, peer=3)
    assert lab.replica.status().floor == 32


@pytest.mark.scenario("T35")
def test_t35_all_who_need_not_be_faulty_must_answer() -> None:
    """n - f others: the recovering replica is one of the f itself."""
    lab = Lab(me=2, n=7, records=(Recovering(),))
    for peer in (0, 1, 3, 4):
        lab.feed(NOTHING, peer=peer)
    lab.idle(10.0)
    assert lab.replica.status().floor == 0
    lab.feed(NOTHING, peer=5)
    assert lab.replica.status().floor == 32


@pytest.mark.scenario("T35")
def test_t35_second_trace_a_view_change_that_one_replica_kept_is_taken_up() -> None:
    """R2 sends VC(1, P = {}) that only R3 gets, is wiped, rejoins view 0 above H; R0, R2, R3*
    commit A; R3* replays the old VC: NV(1) from {R1, R2-old, R3*} omits A."""
    lab = recovering()
    old = lab.view_change(2, 1)
    answered(lab, old)
    assert (lab.replica.status().view, lab.replica.status().active) == (1, False)
    assert told(lab, 32) == []
    assert voting(lab)
    batch = lab.batch(lab.request(33))
    assert votes(lab.feed(lab.proposal(0, 33, batch), peer=0)) == []
    lab.reboot()
    lab.feed(witness(old), peer=3)
    lab.clear()
    assert voting(lab)
    assert votes(lab.feed(lab.proposal(0, 33, batch), peer=0)) == []
    (sent,) = of_type(lab.feed(*(lab.view_change(r, 2) for r in (0, 3))), ViewChange)
    assert isinstance(sent, ViewChange)
    assert (sent.view, sent.low_watermark) == (2, 32)


def told(lab: Lab, last: int) -> list[Any]:
    """The others hand over what they decided up to `last`; what the replica votes meanwhile."""
    others, said = [r for r in range(4) if r != lab.me], []
    for n in range(1, last + 1):
        said += votes(lab.feed(lab.decision(0, n, lab.batch(lab.request(n)), others)))
        if n % 8 == 0:
            root = lab.replica.status().checkpoints[n]
            said += votes(lab.feed(*(lab.checkpoint(r, n, root) for r in others)))
    return said


def decision_at(decision: Any) -> int:
    pp = decode_signed(decision.pre_prepare)
    assert isinstance(pp, PrePrepare)
    return pp.sequence


@pytest.mark.scenario("T35")
def test_t35_the_new_view_of_a_view_taken_up_is_not_made_again() -> None:
    """R1 may have led view 1 before its disk was lost: it leads the next view that falls to it."""
    lab = recovering(me=1)
    for peer in (0, 2, 3):
        lab.feed(witness(lab.view_change(1, 1)), peer=peer)
    lab.feed(*(lab.view_change(r, 1) for r in (0, 2, 3)))
    told(lab, 32)
    assert voting(lab)
    assert not any(isinstance(m, NewView) for m in lab.sent)
    assert [m.view for m in lab.sent if isinstance(m, ViewChange)] == [2]


@pytest.mark.scenario("T35")
def test_t35_a_crash_in_mid_recovery_goes_on_with_at_least_the_same_floors() -> None:
    lab = recovering()
    old = lab.view_change(2, 1)
    for peer, proof in ((0, lab.proof(8, bytes(32), (0, 1, 3))), (1, ()), (3, ())):
        lab.feed(witness(old, proof=proof), peer=peer)
    assert lab.replica.status().floor == 40
    for _ in range(2):
        lab.reboot()
        status = lab.replica.status()
        assert (status.voting, status.floor) == (False, 0)
        assert (status.view, status.active) == (1, False)
        answered(lab)
        assert lab.replica.status().floor == 40


@pytest.mark.scenario("T35")
def test_t35_a_copy_from_the_time_of_the_recovery_asks_again() -> None:
    """Its floor is as old as the copy."""
    lab = recovering()
    answered(lab)
    lab.records = [Recovering(32)]
    lab.reboot()
    for peer in (0, 1, 3):
        lab.feed(witness(proof=lab.proof(800, bytes(32), (0, 1, 3))), peer=peer)
    assert lab.replica.status().floor == 832


@pytest.mark.scenario("T35")
def test_t35_what_was_made_good_is_no_forgotten_vote_later() -> None:
    lab = Lab(me=2, records=(Began(32),))
    lab.reboot()
    old = (lab.prepare(2, 5, 32, bytes(32)), lab.checkpoint(2, 32, bytes(32)))
    assert lab.feed(witness(*old), peer=0).events == []
    new = lab.prepare(2, 5, 33, bytes(32))
    assert lab.feed(witness(new), peer=1).events == [Forgotten(new.raw)]


@pytest.mark.scenario("T35")
def test_t35_no_read_is_answered_below_the_floor() -> None:
    lab = recovering(fast_reads=True)
    answered(lab)
    lab.reboot()
    assert lab.replica._state.acknowledged == 32


# -- nulls for whoever recovers ----------------------------------------------------------------


@pytest.mark.scenario("T35")
def test_t35_the_primary_of_an_idle_cluster_proposes_nulls_for_who_recovers() -> None:
    lab = Lab(me=0, pipeline=16)
    assert votes(lab.idle(1.0)) == []
    lab.feed(RECOVERING, peer=2)
    proposals = [m for m in votes(lab.idle(0.1)) if isinstance(m, Proposal)]
    assert {m.batch for m in proposals} == {NULL_BATCH}
    assert len(proposals) == 16
    lab.feed(Status(0, True, 0, 0, False, False), peer=2)
    assert votes(lab.idle(1.0)) == []


def nulls(lab: Lab, follows: bool) -> list[int]:
    """How many a primary proposes in each of forty intervals for a peer that recovers and that
    follows all of them, or is down."""
    lab.idle()
    lab.feed(RECOVERING, peer=2)
    counts = []
    for _ in range(40):
        numbers = [m for m in votes(lab.idle(0.1)) if isinstance(m, Proposal)]
        counts.append(len(numbers))
        for number in numbers:
            at = decision_at(number)
            lab.feed(lab.decision(0, at, NULL_BATCH, (1, 2, 3)))
            if at % 8 == 0:
                root = lab.replica.status().checkpoints[at]
                lab.feed(*(lab.checkpoint(r, at, root) for r in (1, 2, 3)))
        executed = lab.replica.status().executed if follows else 0
        lab.feed(msgspec.structs.replace(RECOVERING, executed=executed), peer=2)
    return counts


@pytest.mark.scenario("T35")
def test_t35_nulls_are_limited_in_every_interval_and_in_all() -> None:
    counts = nulls(Lab(me=0, window=64, pipeline=64), follows=True)
    assert max(counts) == 32
    assert sum(counts) == 8 * 64


@pytest.mark.scenario("T35")
def test_t35_nulls_wait_for_a_peer_that_does_not_follow() -> None:
    assert sum(nulls(Lab(me=0, window=64, pipeline=64), follows=False)) == 64


@pytest.mark.scenario("T35")
def test_t35_a_primary_that_lets_a_peer_wait_is_replaced() -> None:
    lab = Lab(me=1)
    lab.feed(RECOVERING, peer=2)
    assert of_type(lab.idle(3.5), ViewChange) == []
    assert of_type(lab.idle(1.0), ViewChange) != []


@pytest.mark.scenario("T35")
@pytest.mark.parametrize("follows", [True, False])
def test_t35_no_primary_is_blamed_for_a_peer_without_end(follows: bool) -> None:
    """Where the peer does not follow, or has had half of its grant: others may count otherwise."""
    lab = Lab(me=1, window=16)
    lab.feed(RECOVERING, peer=2)
    lab.idle(0.15)
    for at in range(1, (4 * 16 if follows else 16) + 1):
        lab.feed(lab.decision(0, at, NULL_BATCH, (1, 2, 3)))
        if at % 8 == 0:
            root = lab.replica.status().checkpoints[at]
            lab.feed(*(lab.checkpoint(r, at, root) for r in (0, 2, 3)))
    executed = lab.replica.status().executed
    assert executed == (64 if follows else 16)
    lies = msgspec.structs.replace(RECOVERING, executed=executed if follows else 0)
    for _ in range(20):
        lab.feed(lies, peer=2)
        assert of_type(lab.idle(1.0), ViewChange) == []


@pytest.mark.scenario("T35")
def test_t35_a_backup_accepts_a_null_whatever_its_clock_says() -> None:
    lab = Lab(me=1)
    (vote,) = of_type(lab.feed(lab.proposal(0, 1, NULL_BATCH), peer=0), Prepare)
    assert isinstance(vote, Prepare)
    assert vote.digest == NULL_DIGEST


@pytest.mark.scenario("T35")
def test_t35_a_primary_that_recovers_is_replaced_though_nothing_waits() -> None:
    lab = Lab(me=1)
    lab.feed(RECOVERING, peer=2)
    assert of_type(lab.idle(2.0), ViewChange) == []
    lab.feed(RECOVERING, peer=0)
    assert of_type(lab.idle(1.5), ViewChange), "before the nulls that are owed to the other are due"


@pytest.mark.scenario("T35")
def test_t35_a_new_view_of_our_own_that_we_have_forgotten_is_recorded_like_anybodys() -> None:
    """Else the next restart would begin in view 0, having voted in view 1."""
    lab = Lab(me=1, records=(Recovering(),))
    forgotten = lab.new_view(1, [lab.view_change(by, 1) for by in (1, 2, 3)], {})
    lab.feed(forgotten, peer=2)
    assert (lab.replica.status().view, lab.replica.status().active) == (1, True)
    lab.reboot()
    assert (lab.replica.status().view, lab.replica.status().active) == (1, True)


@pytest.mark.scenario("T35")
def test_t35_nobody_forges_a_vote_that_stops_a_replica() -> None:
    """A liar shows a vote in our name, under a signature that is not ours."""
    lab = Lab(me=1, records=())
    ours, theirs = lab.prepare(1, 0, 1, bytes(32)), lab.prepare(3, 0, 1, bytes(32))
    forged = seal_signed(split_signed(ours.raw)[1], split_signed(theirs.raw)[0])
    lab.replica = lab._boot()
    assert lab.feed(witness(forged), peer=3).events == []
    assert lab.replica.status().drops == {"bad signature": 1}


@pytest.mark.scenario("T35")
def test_t35_the_new_view_that_we_are_in_is_no_forgotten_one() -> None:
    lab = Lab(me=1)
    lab.feed(*(lab.view_change(r, 1) for r in (2, 3)))
    (ours,) = [each for each in lab.sent if isinstance(each, NewView)]
    raw = lab._signers[1].sign(ours)
    assert _events(lab.records, [raw]) == []
    assert _events([Began()], [raw]) != []


@pytest.mark.scenario("T35")
def test_t35_a_view_change_that_came_inside_a_new_view_is_shown_to_its_sender() -> None:
    keeper = Lab(me=2)
    inside = [keeper.view_change(r, 1) for r in (0, 1, 3)]
    keeper.feed(keeper.new_view(1, inside, {}), peer=1)
    assert inside[2].raw in shown(keeper, to=3).votes


@pytest.mark.scenario("T35")
def test_t35_what_a_replica_holds_of_ours_is_heard_once() -> None:
    lab = Lab(me=1, records=())
    for _ in range(3):
        lab.feed(NOTHING, peer=3)
    assert lab.replica.status().drops == {"witness that was not asked for": 2}


@pytest.mark.scenario("T35")
def test_t35_the_commits_of_a_decision_are_shown_to_those_who_cast_them() -> None:
    keeper = Lab(me=1)
    batch = keeper.batch(keeper.request(1))
    keeper.feed(keeper.decision(0, 1, batch, (0, 2, 3)), peer=0)
    assert shown(keeper, to=2).votes == (keeper.commit(2, 0, 1, batch_digest(batch)).raw,)


@pytest.mark.scenario("T35")
def test_t35_a_view_change_that_a_traitor_repeats_first_is_taken_up_all_the_same() -> None:
    """R2 sends VC(1) and is wiped. A traitor says it to R2 as a VIEW-CHANGE before the others show
    it: R2 would take it for known, and go on voting in view 0; the traitor replays it next year."""
    lab = Lab(me=2, n=7, records=(Recovering(),))
    old = lab.view_change(2, 1)
    lab.feed(old, peer=6)
    for peer in (0, 1, 3, 4, 5):
        lab.feed(witness(old), peer=peer)
    assert (lab.replica.status().view, lab.replica.status().active) == (1, False)
    lab.reboot()
    assert (lab.replica.status().view, lab.replica.status().active) == (1, False)


@pytest.mark.scenario("FL7", "FL10", "T35")
def test_t35_what_a_peer_is_shown_of_its_own_is_within_its_share_of_an_interval() -> None:
    """A megabyte that counts for nothing, said once, would come back four times per interval."""
    keeper = Lab(me=1)
    genuine = keeper.view_change(3, 1)
    keeper.feed(genuine, peer=3)
    padded = ViewChange(2, 0, (bytes(1_000_000),), (), 3)
    keeper.feed(keeper._signers[3].sign(padded), peer=3)
    assert genuine.raw in shown(keeper, 3).votes
    keeper = Lab(me=1, answer_max_bytes=100)
    keeper.feed(genuine, peer=3)
    ask = Status(0, True, 0, 0, True, False)
    assert sum(len(of_type(keeper.feed(ask, peer=3), Witness)) for _ in range(4)) == 2
