"""The largest NEW-VIEW and VIEW-CHANGE, as they are really encoded."""

import pytest

from pbft.core.errors import ConfigurationError
from pbft.core.messages import (
    MAX_WINDOW,
    Certificate,
    Checkpoint,
    NewView,
    Prepare,
    PrePrepare,
    Signed,
    StableProof,
    ViewChange,
)
from pbft.core.quorum import quorum
from pbft.core.sizes import largest_window, new_view_bytes, view_change_bytes
from pbft.core.wire import MAX_MESSAGE_BYTES, decode, encode_body, seal_signed
from tests.core.lab import Lab, configuration, of_type

TOP = 2**63 - 1
SIZES = [4, 7, 10, 25, 31, 100]
REPLICA = 99


def signed(message: PrePrepare | Prepare | Checkpoint | ViewChange | NewView) -> bytes:
    return seal_signed(encode_body(message), bytes(64))


def worst_view_change(n: int, window: int) -> bytes:
    q = quorum(n)
    prepares = tuple(signed(Prepare(TOP, TOP, bytes(32), REPLICA)) for _ in range(q - 1))
    certificate = Certificate(signed(PrePrepare(TOP, TOP, bytes(32), REPLICA)), prepares)
    proof = tuple(signed(Checkpoint(TOP, bytes(32), REPLICA)) for _ in range(q))
    return signed(ViewChange(TOP, TOP, proof, (certificate,) * window, REPLICA))


def worst_new_view(n: int, window: int) -> bytes:
    changes = (worst_view_change(n, window),) * quorum(n)
    pre_prepares = (signed(PrePrepare(TOP, TOP, bytes(32), REPLICA)),) * window
    return signed(NewView(TOP, changes, pre_prepares, REPLICA))


@pytest.mark.parametrize("n", SIZES)
def test_the_largest_view_change_is_as_large_as_is_said(n: int) -> None:
    for window in (2, 15, 16, largest_window(n)):
        assert len(worst_view_change(n, window)) == view_change_bytes(n, window)


@pytest.mark.parametrize("n", SIZES)
def test_the_largest_window_is_what_fits_into_a_message(n: int) -> None:
    window = largest_window(n)
    raw = worst_new_view(n, window)
    assert len(raw) == new_view_bytes(n, window) <= MAX_MESSAGE_BYTES
    assert isinstance(decode(raw), NewView)
    if n == 4:  # the list of certificates is at its limit first
        assert window == MAX_WINDOW
    else:
        assert len(worst_new_view(n, window + 1)) > MAX_MESSAGE_BYTES


@pytest.mark.parametrize("n", SIZES)
def test_a_window_whose_new_view_does_not_fit_is_refused(n: int) -> None:
    window = largest_window(n)
    assert configuration(n, checkpoint_interval=2, window=window)
    with pytest.raises(ConfigurationError, match=f"n = {n} .*lower window to {window} or less"):
        configuration(n, checkpoint_interval=2, window=window + 1)


@pytest.mark.scenario("VC24", "T39")
def test_a_new_view_stands_on_a_quorum_though_everybody_has_moved() -> None:
    """One more than q of the largest would not be a message, and no view would ever begin."""
    lab = Lab(me=1)
    turn = lab.feed(*(lab.view_change(by, 1) for by in (0, 2, 3)))
    (sent,) = of_type(turn, NewView)
    assert isinstance(sent, NewView)
    senders = [getattr(decode(each), "replica", None) for each in sent.view_changes]
    assert len(senders) == 3
    assert 1 in senders


@pytest.mark.scenario("VC24", "T39")
def test_a_view_change_with_more_votes_than_prove_it_is_not_taken() -> None:
    """A traitor that put all votes into its certificates would make a NEW-VIEW over them larger
    than is said here."""
    lab = Lab(me=1, n=7, checkpoint_interval=2, window=6)
    batches = [lab.batch(lab.request(each)) for each in range(1, 7)]

    def moved(by: int, voters: int) -> Signed[ViewChange]:
        chosen = range(1, 1 + voters)
        proofs = [lab.certificate(0, n, batch, chosen) for n, batch in enumerate(batches, 1)]
        return lab.view_change(by, 1, proofs)

    lab.feed(moved(6, 6), moved(5, 4))
    assert lab.replica.status().drops == {"view change with more than it needs": 1}


def test_of_a_proof_with_more_votes_than_it_takes_a_quorum_is_kept() -> None:
    """It goes into our own VIEW-CHANGE."""
    lab = Lab(me=1)
    lab.settle_until(8)
    root = lab.replica.status().state_digest
    lab.feed(StableProof(lab.proof(8, root, (0, 1, 2, 3))), peer=3)
    assert lab.replica.status().low_watermark == 8
    (sent,) = of_type(lab.feed(*(lab.view_change(by, 1) for by in (0, 3))), ViewChange)
    assert isinstance(sent, ViewChange)
    assert len(sent.checkpoint_proof) == 3
