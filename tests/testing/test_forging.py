"""Forged view changes: no correct replica takes one, and each is wrong in a way of its own."""

import random

import pytest

from pbft.core.ingress import DropError
from pbft.core.messages import Checkpoint, NewView, Prepare, PrePrepare, Signable, ViewChange
from pbft.core.wire import batch_digest, decode_signed
from pbft.testing.byzantine.attacks import Form
from pbft.testing.byzantine.colluding import Ring
from pbft.testing.byzantine.forging import Forger
from pbft.testing.rounds import Rounds
from tests.core.lab import Lab

US = 3


@pytest.fixture
def lab() -> Lab:
    return Lab(n=7)


@pytest.fixture
def ring(lab: Lab) -> Ring:
    return Ring(lab.config, {US: lab.keys[US]}, lab.verifier, Rounds(), lambda _: None)


def said(lab: Lab) -> ViewChange:
    """What the forger would say if it were honest: it stands on 8, and has prepared 9."""
    certificate = lab.certificate(0, 9, lab.batch(lab.request(1)), (1, 2, 3, 4))
    proof = lab.proof(8, bytes(32), range(5))
    return lab.view_change(US, 1, [certificate], 8, proof).message


def forged(lab: Lab, ring: Ring, form: Form, times: int) -> list[ViewChange]:
    """One forgery after another; all are refused."""
    forger = Forger(ring, US, random.Random(1))
    found = []
    for _ in range(times):
        message = forger.forged(said(lab), form)
        assert isinstance(message, ViewChange)
        raw = ring.sign(message, US)
        with pytest.raises(DropError):
            ring.ingress(US).view_change(message, raw)
        found.append(message)
    return found


def ours(raws: tuple[bytes, ...]) -> Signable:
    (vote,) = (
        v
        for v in map(decode_signed, raws)
        if isinstance(v, Checkpoint | Prepare) and v.replica == US
    )
    return vote


def test_a_vote_that_does_not_match_is_for_another_digest_view_or_number(
    lab: Lab, ring: Ring
) -> None:
    found = [ours(each.prepared[0].prepares) for each in forged(lab, ring, Form.MIXED, 3)]
    digest = batch_digest(lab.batch(lab.request(1)))
    votes = [vote for vote in found if isinstance(vote, Prepare)]
    assert {(vote.view, vote.sequence, vote.digest == digest) for vote in votes} == {
        (0, 9, False),
        (1, 9, True),
        (0, 10, True),
    }


def test_a_low_watermark_is_proven_by_one_signer_or_with_a_vote_for_another_state(
    lab: Lab, ring: Ring
) -> None:
    one, mixed = forged(lab, ring, Form.REPEATED_PROOF, 2)
    assert one.low_watermark == 16
    assert len(set(one.checkpoint_proof)) == 1
    vote = ours(mixed.checkpoint_proof)
    assert isinstance(vote, Checkpoint)
    assert mixed.low_watermark == vote.sequence == 8
    assert vote.digest != bytes(32)
    assert len(set(mixed.checkpoint_proof)) == 5


@pytest.mark.parametrize("count", [1, 2])
def test_digests_stand_under_other_numbers_also_where_there_is_only_one(
    lab: Lab, ring: Ring, count: int
) -> None:
    digests = {at: bytes([at]) * 32 for at in range(1, count + 1)}
    message = Forger(ring, US, random.Random(1)).forged(
        lab.new_view(US, (), digests).message, Form.SWAPPED
    )
    assert isinstance(message, NewView)
    said = [pp for pp in map(decode_signed, message.pre_prepares) if isinstance(pp, PrePrepare)]
    assert len(said) == count
    assert not any(digests.get(pp.sequence) == pp.digest for pp in said)
