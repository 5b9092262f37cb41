"""What convicts, and what must not: each rule from both sides."""

import pytest

from pbft.core.messages import Signable, Signed
from pbft.core.wire import batch_digest
from pbft.crypto.signing import SigningKey
from tests.core.lab import Lab
from tests.forensics.court import ONE, OTHER, accused, judged

TWO = ["two batches for one number"]
HIDDEN = ["a COMMIT hidden in a view change"]


@pytest.fixture
def lab() -> Lab:
    return Lab()


def test_two_votes_for_one_number_in_one_view_whatever_their_types(lab: Lab) -> None:
    first = lab.batch(lab.request(1))
    digest = batch_digest(first)
    votes: list[tuple[Signed[Signable], Signed[Signable], int]] = [
        (lab.prepare(2, 0, 5, ONE), lab.prepare(2, 0, 5, OTHER), 2),
        (lab.commit(3, 0, 5, ONE), lab.commit(3, 0, 5, OTHER), 3),
        (lab.prepare(2, 0, 5, ONE), lab.commit(2, 0, 5, OTHER), 2),
        (lab.pre_prepare(0, 5, first), lab.commit(0, 0, 5, OTHER), 0),
    ]
    for one, other, culprit in votes:
        assert accused(lab, one, other) == {culprit: TWO}
        assert accused(lab, one, one) == accused(lab, other) == {}
    assert accused(lab, lab.pre_prepare(0, 5, first), lab.commit(0, 0, 5, digest)) == {}


def test_votes_in_two_views_or_for_two_numbers_are_nothing(lab: Lab) -> None:
    assert accused(lab, lab.commit(2, 0, 5, ONE), lab.commit(2, 1, 5, OTHER)) == {}
    assert accused(lab, lab.commit(2, 0, 5, ONE), lab.commit(2, 0, 6, OTHER)) == {}


@pytest.mark.scenario("AC3", "T14")
def test_ac3_a_commit_that_a_later_view_change_does_not_own_up_to(lab: Lab) -> None:
    batch, other = lab.batch(lab.request(1)), lab.batch(lab.request(2))
    said = lab.commit(3, 1, 5, batch_digest(batch))
    older = lab.certificate(0, 5, other, (1, 2, 3))
    same_view = lab.certificate(1, 5, other, (0, 2, 3))
    for prepared in ((), (older,), (same_view,)):
        move = lab.view_change(3, 2, prepared)
        assert HIDDEN[0] in accused(lab, said, move)[3]
        assert HIDDEN[0] not in accused(lab, said, lab.view_change(2, 2, prepared)).get(2, [])


@pytest.mark.scenario("AC3")
def test_a_view_change_that_owns_up_or_need_not(lab: Lab) -> None:
    batch = lab.batch(lab.request(1))
    said = lab.commit(3, 1, 5, batch_digest(batch))
    owned = lab.certificate(1, 5, batch, (0, 2, 3))
    later = lab.certificate(2, 5, lab.batch(lab.request(2)), (0, 1, 3))
    proof = lab.proof(8, ONE, (0, 1, 2))
    for move in (
        lab.view_change(3, 2, (owned,)),
        lab.view_change(3, 3, (later,)),
        lab.view_change(3, 2, (), 8, proof),
        lab.view_change(3, 1),  # before it voted in view 1
    ):
        assert accused(lab, said, move) == {}


def test_two_view_changes_for_one_view(lab: Lab) -> None:
    proof = lab.proof(8, ONE, (0, 1, 2))
    one, other = lab.view_change(2, 1), lab.view_change(2, 1, (), 8, proof)
    assert accused(lab, one, other) == {2: ["two VIEW-CHANGEs for one view"]}
    assert accused(lab, one, lab.view_change(2, 2, (), 8, proof)) == {}


@pytest.mark.scenario("T35")
def test_who_recovered_moved_a_window_since_and_is_not_accused(lab: Lab) -> None:
    """It cannot remember the first; no peer had to be up that has seen it (T35)."""
    proof = lab.proof(lab.config.window, ONE, (0, 1, 2))
    one, other = lab.view_change(2, 1), lab.view_change(2, 1, (), lab.config.window, proof)
    assert accused(lab, one, other) == {}


def test_two_new_views_for_one_view(lab: Lab) -> None:
    changes = [lab.view_change(each, 1) for each in range(4)]
    one, other = lab.new_view(1, changes[:3], {}), lab.new_view(1, changes[1:], {})
    assert accused(lab, one, other) == {1: ["two NEW-VIEWs for one view"]}
    assert accused(lab, one) == {}


def test_a_new_view_that_leaves_out_what_was_prepared(lab: Lab) -> None:
    batch = lab.batch(lab.request(1))
    prepared = lab.certificate(0, 1, batch, (1, 2, 3))
    changes = [lab.view_change(each, 1, (prepared,)) for each in (0, 2, 3)]
    right = lab.new_view(1, changes, {1: batch_digest(batch)})
    assert accused(lab, right) == {}
    wrong = lab.new_view(1, changes, {})
    assert accused(lab, wrong) == {1: ["a NEW-VIEW against its view changes"]}


def test_moves_that_prove_nothing(lab: Lab) -> None:
    short = lab.view_change(3, 1, (lab.certificate(0, 1, lab.batch(lab.request(1)), (1,)),))
    assert accused(lab, short) == {3: ["an unproven move"]}
    few = lab.new_view(1, [lab.view_change(each, 1) for each in (0, 2)], {})
    assert accused(lab, few) == {1: ["an unproven move"]}


def test_votes_that_are_not_its_own(lab: Lab) -> None:
    batch = lab.batch(lab.request(1))
    for said, culprit in (
        (lab.prepare(0, 0, 5, ONE), 0),
        (lab.pre_prepare(0, 5, batch, by=2), 2),
    ):
        assert accused(lab, said) == {culprit: ["not its vote"]}
    assert accused(lab, lab.prepare(0, 1, 5, ONE)) == {}


def test_limits_that_were_others_then_convict_nobody() -> None:
    """The operators may have changed the cluster file since."""
    before = Lab(checkpoint_interval=16, window=64, batch_max_requests=64)
    after = Lab(checkpoint_interval=8, window=16, batch_max_requests=1)
    batch = before.batch(*(before.request(each) for each in range(1, 4)))
    far = before.certificate(0, 60, batch, (1, 2, 3))
    said = (before.view_change(3, 1, (far,)), before.checkpoint(3, 4, ONE), batch)
    assert accused(after, *said) == {}


def test_a_batch_that_no_client_signed(lab: Lab) -> None:
    genuine = lab.request(1)
    forged = genuine.raw[:5] + bytes([genuine.raw[5] ^ 1]) + genuine.raw[6:]
    bad = lab.batch(Signed(genuine.message, forged))
    good = lab.batch(genuine)
    assert accused(lab, lab.pre_prepare(0, 1, bad), bad) == {0: ["a bad batch"]}
    assert accused(lab, lab.pre_prepare(0, 1, bad)) == {}, "the batch is not at hand"
    assert accused(lab, lab.pre_prepare(0, 1, good), good) == {}


def test_a_client_that_the_auditor_does_not_know_proves_nothing(lab: Lab) -> None:
    batch = lab.batch(lab.request(1, client="frank"))
    unsigned = batch.replace(b"frank", b"grace")
    assert accused(lab, lab.pre_prepare(0, 1, unsigned), unsigned) == {}


@pytest.mark.scenario("AC6")
def test_two_states_are_a_doubt_and_no_proof(lab: Lab) -> None:
    found = judged(lab, lab.checkpoint(2, 8, ONE), lab.checkpoint(2, 8, OTHER))
    assert found.culprits == {}
    assert "replica 2 signed 2 digests of the state at 8" in found.doubts[0]


@pytest.mark.scenario("AC1")
def test_what_somebody_else_signed_in_its_name_is_refused(lab: Lab) -> None:
    lab.keys[2] = SigningKey.generate()
    other = Lab()
    votes = (lab.commit(2, 0, 5, ONE), other.commit(2, 0, 5, OTHER))
    forged = votes[0].raw[:1] + bytes(64) + votes[0].raw[65:]
    found = judged(other, forged, votes[1], b"no statement at all", lab.request(1))
    assert (found.culprits, found.refused, found.statements) == ({}, 2, 1)
