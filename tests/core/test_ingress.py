"""Verification all the way down: one bad part rejects the whole, and only that."""

import pytest

from pbft.core.authentication import Authentication
from pbft.core.ingress import GENESIS, DropError, Ingress
from pbft.core.messages import Batch, Certificate, Decision, PrePrepare, Request, ViewChange
from pbft.core.wire import NULL_BATCH, batch_digest, encode_body, reference_to
from tests.core.lab import Lab, configuration


@pytest.fixture
def lab() -> Lab:
    return Lab(n=7)


@pytest.fixture
def ingress(lab: Lab) -> Ingress:
    return Ingress(lab.config, Authentication(lab.config.cluster_id, lab.keys[1], lab.verifier))


def test_a_prepared_certificate_needs_q_minus_1_distinct_backups(
    lab: Lab, ingress: Ingress
) -> None:
    batch = lab.batch(lab.request(1))
    proof = ingress.prepared(lab.certificate(0, 3, batch, (1, 2, 3, 4)))
    assert (proof.view, proof.sequence, proof.digest) == (0, 3, batch_digest(batch))
    for signers in ((1, 2, 3), (1, 2, 3, 3), (1, 2, 3, 4, 4), (0, 1, 2, 3), (1, 2, 3, 3, 3)):
        with pytest.raises(DropError):
            ingress.prepared(lab.certificate(0, 3, batch, signers))


def test_votes_of_unknown_replicas_count_for_nothing(lab: Lab, ingress: Ingress) -> None:
    batch = lab.batch(lab.request(1))
    good = lab.certificate(0, 3, batch, (1, 2, 3))
    stranger = lab._signers[4].sign(
        type(lab.prepare(4, 0, 3, batch_digest(batch)).message)(0, 3, batch_digest(batch), 99)
    )
    with pytest.raises(DropError, match="bad signature"):
        ingress.prepared(Certificate(good.pre_prepare, (*good.prepares, stranger.raw)))


def test_an_inner_message_of_another_type_is_no_vote(lab: Lab, ingress: Ingress) -> None:
    batch = lab.batch(lab.request(1))
    commits = tuple(lab.commit(r, 0, 3, batch_digest(batch)).raw for r in (1, 2, 3, 4))
    with pytest.raises(DropError, match="another type"):
        ingress.prepared(Certificate(lab.pre_prepare(0, 3, batch).raw, commits))
    with pytest.raises(DropError, match="another type"):
        ingress.signed(lab.request(1).raw, PrePrepare)
    with pytest.raises(DropError, match="malformed"):
        ingress.signed(b"\x01" + bytes(80), Request)


def test_a_decision_needs_a_quorum_and_its_body(lab: Lab, ingress: Ingress) -> None:
    batch = lab.batch(lab.request(1))
    decision = lab.decision(0, 3, batch, (0, 1, 2, 3, 4))
    ingress.verify(decision, b"")
    with pytest.raises(DropError, match="quorum"):
        ingress.verify(lab.decision(0, 3, batch, (0, 1, 2, 3)), b"")
    other = lab.batch(lab.request(2))
    with pytest.raises(DropError, match="digest"):
        ingress.verify(type(decision)(decision.pre_prepare, decision.commits, other), b"")


def test_checkpoint_proofs(lab: Lab, ingress: Ingress) -> None:
    stable = ingress.stable(lab.proof(8, bytes(32), range(5)))
    assert (stable.sequence, stable.digest) == (8, bytes(32))
    for bad in (lab.proof(8, bytes(32), range(4)), lab.proof(8, bytes(32), (0,) * 5), ()):
        with pytest.raises(DropError):
            ingress.stable(bad)


def test_a_checkpoint_proof_is_about_one_number_and_one_state(lab: Lab, ingress: Ingress) -> None:
    four = lab.proof(8, bytes(32), range(4))
    for sequence, digest in ((16, bytes(32)), (8, b"\1" * 32)):
        with pytest.raises(DropError, match="mixed votes"):
            ingress.stable((*four, *lab.proof(sequence, digest, (4,))))


def test_votes_of_another_view_number_or_digest_prove_nothing(lab: Lab, ingress: Ingress) -> None:
    """Each of the three by itself: votes of view 0 decide nothing that is proposed in view 7 (T15),
    whoever was the primary of both."""
    batch, other = (lab.batch(lab.request(each)) for each in (1, 2))
    prepares = lab.certificate(7, 3, batch, (1, 2, 3, 4)).prepares
    commits = lab.decision(7, 3, batch, (0, 1, 2, 3, 4)).commits
    for view, sequence, body in ((0, 3, batch), (14, 3, batch), (7, 2, batch), (7, 3, other)):
        pre_prepare = lab.pre_prepare(view, sequence, body).raw
        with pytest.raises(DropError, match="mixed votes"):
            ingress.prepared(Certificate(pre_prepare, prepares))
        with pytest.raises(DropError, match="mixed votes"):
            ingress.verify(Decision(pre_prepare, commits, body), b"")


def test_a_view_change_with_entries_out_of_order_is_rejected(lab: Lab, ingress: Ingress) -> None:
    one, two = (lab.certificate(0, s, lab.batch(lab.request(s)), (1, 2, 3, 4)) for s in (1, 2))
    good = lab.view_change(3, 1, [one, two])
    assert sorted(ingress.view_change(good.message, good.raw).prepared) == [1, 2]
    assert ingress.view_change(good.message, good.raw).stable is GENESIS
    for entries in ([two, one], [one, one]):
        bad = lab.view_change(3, 1, entries)
        with pytest.raises(DropError, match="out of order"):
            ingress.view_change(bad.message, bad.raw)


def test_bodies_are_bounded_and_their_requests_signed(lab: Lab, ingress: Ingress) -> None:
    assert ingress.body(NULL_BATCH).requests == ()
    body = ingress.body(lab.batch(lab.request(1), lab.request(2)))
    assert [r.message.timestamp for r in body.requests] == [1, 2]
    forged = lab.request(1).raw[:-1] + b"?"

    for requests in ((forged,), (lab.pre_prepare(0, 1, NULL_BATCH).raw,), (b"",)):
        with pytest.raises(DropError):
            ingress.body(encode_body(Batch(1, requests)))
    with pytest.raises(DropError, match="malformed batch"):
        ingress.body(b"\x93")


def test_a_message_that_is_only_ever_inside_others_is_refused_alone(
    lab: Lab, ingress: Ingress
) -> None:
    pp = lab.pre_prepare(0, 1, NULL_BATCH)
    with pytest.raises(DropError, match="on its own"):
        ingress.verify(pp.message, pp.raw)
    vc = lab.view_change(3, 1)
    assert isinstance(vc.message, ViewChange)


def test_a_certificate_of_the_view_that_is_moved_to_is_refused(lab: Lab, ingress: Ingress) -> None:
    """Nobody can have prepared in a view that it has not left yet (T15)."""
    batch = lab.batch(lab.request(1))
    for view, fits in ((1, True), (2, False), (3, False)):
        backups = [each for each in range(7) if each != view][:4]
        said = lab.view_change(3, 2, [lab.certificate(view, 1, batch, backups)])
        if fits:
            assert list(ingress.view_change(said.message, said.raw).prepared) == [1]
            continue
        with pytest.raises(DropError, match="not yet left"):
            ingress.view_change(said.message, said.raw)


@pytest.mark.parametrize("low", [0, 8])
def test_a_certificate_is_of_a_number_in_the_window_its_ends_included(
    lab: Lab, ingress: Ingress, low: int
) -> None:
    batch = lab.batch(lab.request(1))
    proof = lab.proof(low, bytes(32), range(5)) if low else ()
    for sequence, fits in ((low, False), (low + 1, True), (low + 16, True), (low + 17, False)):
        prepared = [lab.certificate(0, sequence, batch, (1, 2, 3, 4))]
        said = lab.view_change(3, 1, prepared, low, proof)
        if fits:
            assert list(ingress.view_change(said.message, said.raw).prepared) == [sequence]
            continue
        with pytest.raises(DropError, match="outside the window"):
            ingress.view_change(said.message, said.raw)


def test_a_view_change_from_the_beginning_carries_no_proof(lab: Lab, ingress: Ingress) -> None:
    said = lab.view_change(3, 1, (), 0, (bytes(1000),))
    with pytest.raises(DropError, match="proof of nothing"):
        ingress.view_change(said.message, said.raw)


def test_a_batch_is_judged_by_the_limits_of_the_cluster(lab: Lab) -> None:
    """Whatever its primary signs: no request, too many, or one with too many operations."""
    config = configuration(7, batch_max_requests=2, request_max_operations=3)
    judge = Ingress(config, Authentication(config.cluster_id, lab.keys[1], lab.verifier))
    fits = lab.request(1, b"a", b"b", b"c")
    assert len(judge.body(lab.batch(fits, lab.request(2))).requests) == 2
    for requests, says in (
        ((), "wrong number"),
        ((fits, lab.request(2), lab.request(3)), "wrong number"),
        ((lab.request(1, b"a", b"b", b"c", b"d"),), "too many operations"),
    ):
        with pytest.raises(DropError, match=says):
            judge.body(lab.batch(*requests))


def test_a_batch_is_as_large_as_the_cluster_allows_and_no_larger(lab: Lab) -> None:
    config = configuration(7, batch_max_bytes=400, inline_max_bytes=200)
    judge = Ingress(config, Authentication(config.cluster_id, lab.keys[1], lab.verifier))
    largest = 400 + 64
    for room in range(largest):
        fits = lab.batch(lab.request(1, bytes(room)))
        if len(fits) == largest:
            break
    assert judge.body(fits).raw == fits
    with pytest.raises(DropError, match="batch too large"):
        judge.body(lab.batch(lab.request(1, bytes(room + 1))))


def test_a_batch_names_a_large_request_by_a_whole_digest(lab: Lab, ingress: Ingress) -> None:
    """Any other name is one that no request has: its batch would wait for ever."""
    (name,) = ingress.body(encode_body(Batch(1, (reference_to(bytes(32)),)))).references
    assert name == (0, bytes(32))
    for size in (0, 31, 33):
        with pytest.raises(DropError, match="malformed"):
            ingress.body(encode_body(Batch(1, (reference_to(bytes(size)),))))
