"""T1-T12: quorums, certificates and the normal case, one trace per trap."""

import pytest

from pbft.core.ids import Packet
from pbft.core.messages import (
    BatchBody,
    Commit,
    Decision,
    FetchBatch,
    Prepare,
    Proposal,
    Signed,
    StableProof,
    Status,
)
from pbft.core.quorum import faults, quorum
from pbft.core.records import Accepted
from pbft.core.wire import batch_digest, seal_signed, split_signed
from tests.core.lab import Lab, executed, of_type


@pytest.mark.scenario("T1")
@pytest.mark.parametrize("n", range(4, 60))
def test_t1_two_quorums_meet_in_a_correct_replica_and_the_correct_ones_are_a_quorum(n: int) -> None:
    f, q = faults(n), quorum(n)
    assert 2 * q - n >= f + 1
    assert q <= n - f
    assert 3 * f + 1 <= n < 3 * (f + 1) + 1


@pytest.mark.scenario("T1", "CF1")
def test_t1_five_replicas_need_four_commits() -> None:
    lab = Lab(me=1, n=5)
    batch = lab.batch(lab.request(1))
    digest = batch_digest(batch)
    lab.feed(lab.proposal(0, 1, batch), peer=0)
    lab.feed(*(lab.prepare(r, 0, 1, digest) for r in (2, 3)))
    assert executed(lab.feed(*(lab.commit(r, 0, 1, digest) for r in (0, 2)))) == []
    assert executed(lab.feed(lab.commit(3, 0, 1, digest))) == [1]


@pytest.mark.scenario("T2")
def test_t2_a_primarys_own_prepare_does_not_count() -> None:
    lab = Lab(me=2)
    batch = lab.batch(lab.request(1))
    digest = batch_digest(batch)
    effects = lab.feed(lab.proposal(0, 1, batch), lab.prepare(0, 0, 1, digest), peer=0)
    assert of_type(effects, Prepare)
    assert not of_type(effects, Commit)
    assert of_type(lab.feed(lab.prepare(1, 0, 1, digest)), Commit)


@pytest.mark.scenario("T3")
def test_t3_votes_for_another_digest_are_not_added_up() -> None:
    lab = Lab(me=0)
    lab.feed(lab.request(1))
    digest = next(m for m in lab.sent if isinstance(m, Proposal))
    mine = batch_digest(digest.batch)
    lab.feed(*(lab.prepare(r, 0, 1, mine) for r in (1, 2)))
    other = batch_digest(lab.batch(lab.request(2)))
    effects = lab.feed(lab.commit(1, 0, 1, mine), lab.commit(3, 0, 1, other))
    assert executed(effects) == []
    assert executed(lab.feed(lab.commit(2, 0, 1, mine))) == [1]


@pytest.mark.scenario("T4", "AU6", "AU5")
def test_t4_one_signer_counts_once_however_often_it_speaks() -> None:
    lab = Lab(me=1)
    batch = lab.batch(lab.request(1))
    digest = batch_digest(batch)
    lab.feed(lab.proposal(0, 1, batch), lab.prepare(2, 0, 1, digest), peer=0)
    twice = [lab.commit(3, 0, 1, digest)] * 4
    assert executed(lab.feed(*twice)) == []
    repeated = lab.decision(0, 1, batch, by=(3, 3, 3))
    assert executed(lab.feed(repeated)) == []
    proof = lab.proof(8, bytes(32), by=(3, 3, 3))
    lab.feed(StableProof(proof))
    assert lab.replica.status().drops["checkpoint proof with a repeated signer"] == 1


@pytest.mark.scenario("T5", "AU2")
def test_t5_a_signature_over_one_type_is_none_over_another() -> None:
    lab = Lab(me=1)
    batch = lab.batch(lab.request(1))
    digest = batch_digest(batch)
    lab.feed(lab.proposal(0, 1, batch), lab.prepare(2, 0, 1, digest), peer=0)
    for by in (2, 3):
        signature, _ = split_signed(lab.prepare(by, 0, 1, digest).raw)
        _, body = split_signed(lab.commit(by, 0, 1, digest).raw)
        assert executed(lab.feed_raw(seal_signed(body, signature), peer=by)) == []
    assert lab.replica.status().drops["bad signature"] == 2


@pytest.mark.scenario("T5")
def test_t5_another_clusters_votes_mean_nothing_here() -> None:
    lab, other = Lab(me=1), Lab(me=1)
    batch = lab.batch(lab.request(1))
    digest = batch_digest(batch)
    lab.feed(lab.proposal(0, 1, batch), lab.prepare(2, 0, 1, digest), peer=0)
    for signer in other._signers.values():
        signer._context = signer._context[:-16] + b"another cluster."
    effects = lab.feed(*(other.commit(r, 0, 1, digest) for r in (0, 2, 3)))
    assert executed(effects) == []


@pytest.mark.scenario("T6")
def test_t6_a_rejected_proposal_leaves_no_trace() -> None:
    lab = Lab(me=1)
    batch, other = lab.batch(lab.request(1)), lab.batch(lab.request(2))
    lying = Proposal(lab.pre_prepare(0, 1, batch).raw, other)
    before = lab.replica.deadline
    assert not lab.feed(lying, peer=0).messages
    assert lab.replica.deadline == before
    assert of_type(lab.feed(lab.proposal(0, 1, batch), peer=0), Prepare)


@pytest.mark.scenario("T7", "NW2", "EQ11", kills="EQ11 what nobody has prepared is decided")
def test_t7_any_order_of_arrival_executes_once() -> None:
    lab = Lab(me=1)
    batch = lab.batch(lab.request(1))
    digest = batch_digest(batch)
    assert executed(lab.feed(*(lab.commit(r, 0, 1, digest) for r in (0, 2, 3)))) == []
    assert executed(lab.feed(lab.proposal(0, 1, batch), peer=0)) == []
    assert executed(lab.feed(lab.prepare(2, 0, 1, digest))) == [1]
    assert executed(lab.feed(lab.prepare(3, 0, 1, digest), lab.commit(0, 0, 1, digest))) == []
    assert lab.service.operations == [b"op-1"]


@pytest.mark.scenario("T8")
def test_t8_the_digest_is_recomputed_from_the_body() -> None:
    lab = Lab(me=1)
    claimed, real = lab.batch(lab.request(1)), lab.batch(lab.request(2))
    lab.feed(Proposal(lab.pre_prepare(0, 1, claimed).raw, real), peer=0)
    assert lab.replica.status().drops["body does not match its digest"] == 1
    first, second = lab.request(1), lab.request(2)
    assert batch_digest(lab.batch(first, second)) != batch_digest(lab.batch(second, first))
    assert batch_digest(lab.batch(first, time=1)) != batch_digest(lab.batch(first, time=2))


@pytest.mark.scenario("T9", "RP9", kills="RP9 the same evidence is told again")
def test_t9_the_first_pre_prepare_wins_and_the_second_convicts() -> None:
    lab = Lab(me=1)
    first, second = lab.batch(lab.request(1)), lab.batch(lab.request(2))
    prepares = of_type(lab.feed(lab.proposal(0, 1, first), peer=0), Prepare)
    effects = lab.feed(lab.proposal(0, 1, second), peer=0)
    assert len(prepares) == 1
    assert not of_type(effects, Prepare)
    assert [(e.kind, e.culprit) for e in effects.evidence] == [("conflicting pre-prepares", 0)]
    assert not lab.feed(lab.proposal(0, 1, second), peer=0).evidence


@pytest.mark.scenario("T9")
def test_t9_the_accepted_pre_prepare_survives_a_restart() -> None:
    lab = Lab(me=1)
    first, second = lab.batch(lab.request(1)), lab.batch(lab.request(2))
    lab.feed(lab.proposal(0, 1, first), peer=0)
    again = lab.restart()
    votes = [m for m in of_type(again, Prepare) if isinstance(m, Prepare)]
    votes += [
        m
        for m in of_type(lab.feed(lab.proposal(0, 1, second), peer=0), Prepare)
        if isinstance(m, Prepare)
    ]
    assert {vote.digest for vote in votes} == {batch_digest(first)}


@pytest.mark.scenario("T12")
def test_t12_a_restart_casts_again_what_it_had_cast_without_a_word_of_others() -> None:
    """They have said theirs, and need not be there any more."""
    lab = Lab(me=1)
    batch = lab.batch(lab.request(1))
    lab.feed(lab.proposal(0, 1, batch), peer=0)
    lab.feed(lab.prepare(2, 0, 1, batch_digest(batch)))
    before = [m for m in lab.sent if isinstance(m, Prepare | Commit)]
    assert [type(m) for m in before] == [Prepare, Commit]
    again = [send.message for send in lab.restart().messages]
    assert [m for m in again if isinstance(m, Prepare | Commit)] == before


@pytest.mark.scenario("T10", "T20")
def test_t10_no_prepare_without_the_body_and_its_record() -> None:
    lab = Lab(me=2)
    batch = lab.batch(lab.request(1))
    digest = batch_digest(batch)
    vcs = [
        lab.view_change(r, 1, [lab.certificate(0, 1, batch, (1, 3))] if r == 3 else [])
        for r in (0, 1, 3)
    ]
    effects = lab.feed(lab.new_view(1, vcs, {1: digest}), peer=1)
    assert not of_type(effects, Prepare)
    assert of_type(effects, FetchBatch)
    effects = lab.feed(BatchBody(batch), peer=0)
    assert of_type(effects, Prepare)
    assert [r.batch for r in effects.records if isinstance(r, Accepted)] == [batch]


@pytest.mark.scenario("T11")
def test_t11_execution_is_strictly_contiguous() -> None:
    lab = Lab(me=1)
    assert executed(lab.settle(2)) == []
    assert executed(lab.settle(1)) == [1, 2]
    assert lab.service.operations == [b"op-1", b"op-2"]


@pytest.mark.scenario("T11", "RP6")
def test_t11_an_old_batch_proposed_again_is_skipped() -> None:
    lab = Lab(me=1)
    batch = lab.batch(lab.request(1))
    lab.settle(1, batch=batch)
    effects = lab.settle(2, batch=batch)
    assert executed(effects) == [2]
    assert lab.service.operations == [b"op-1"]


@pytest.mark.scenario("T12")
def test_t12_who_has_decided_still_helps_a_laggard() -> None:
    lab = Lab(me=1)
    lab.settle(1)
    status = Status(0, True, 0, 0, False, False)
    lab.feed(status, peer=3)
    effects = lab.feed(status, peer=3)
    (decision,) = of_type(effects, Decision)
    laggard = Lab(me=3)
    assert isinstance(decision, Decision)
    assert executed(laggard.feed(decision, peer=1)) == [1]


def test_votes_with_garbage_signatures_never_count() -> None:
    lab = Lab(me=1)
    batch = lab.batch(lab.request(1))
    digest = batch_digest(batch)
    lab.feed(lab.proposal(0, 1, batch), lab.prepare(2, 0, 1, digest), peer=0)
    forged = [Signed(lab.commit(r, 0, 1, digest).message, b"") for r in (0, 2, 3)]
    packets = []
    for vote in forged:
        _, body = split_signed(lab.commit(vote.message.replica, 0, 1, digest).raw)
        packets.append(Packet(3, seal_signed(body, bytes(64))))
    assert executed(lab.replica.receive(packets, lab.instant)) == []


@pytest.mark.scenario("T3")
def test_t3_a_late_vote_for_another_digest_convicts_its_signer_too() -> None:
    """What is settled needs no more votes; but who votes twice is noticed then as well."""
    lab = Lab(n=7)
    batch = lab.batch(lab.request(1))
    digest = batch_digest(batch)
    lab.feed(lab.proposal(0, 1, batch), peer=0)
    lab.feed(*(lab.prepare(r, 0, 1, digest) for r in (2, 3, 4, 5)))
    lab.feed(*(lab.commit(r, 0, 1, digest) for r in (0, 2, 3, 4, 5)))
    assert lab.replica.status().executed == 1
    for vote in (lab.prepare, lab.commit):
        lab.feed(vote(6, 0, 1, bytes(32)), peer=6)
        lab.feed(vote(6, 0, 1, digest), peer=6)
    assert lab.replica.status().evidence == {6: ["conflicting prepares", "conflicting commits"]}


@pytest.mark.scenario("T3", "T4")
def test_t3_the_first_vote_of_each_counts_and_no_later_one_takes_it_back() -> None:
    lab = Lab(me=1)
    batch = lab.batch(lab.request(1))
    digest = batch_digest(batch)
    lab.feed(lab.prepare(3, 0, 1, digest), lab.prepare(3, 0, 1, bytes(32)))
    lab.feed(lab.commit(3, 0, 1, digest), lab.commit(3, 0, 1, bytes(32)))
    assert of_type(lab.feed(lab.proposal(0, 1, batch), peer=0), Commit)
    assert executed(lab.feed(lab.commit(0, 0, 1, digest))) == [1]


@pytest.mark.scenario("T9")
def test_a_primary_may_propose_another_batch_under_the_same_number_in_a_later_view() -> None:
    """Nobody had prepared the first one. Who sees only the decision of the later view, by the same
    primary, blames nobody."""
    lab = Lab(me=1)
    first, later = lab.batch(lab.request(1)), lab.batch(lab.request(2))
    lab.feed(lab.proposal(0, 1, first), peer=0)
    effects = lab.feed(lab.decision(4, 1, later, (0, 2, 3)), peer=0)
    assert executed(effects) == [1]
    assert effects.evidence == []
