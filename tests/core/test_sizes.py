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
    ViewChange,
)
from pbft.core.quorum import quorum
from pbft.core.sizes import largest_window, new_view_bytes, view_change_bytes
from pbft.core.wire import MAX_MESSAGE_BYTES, decode, encode_body, seal_signed
from tests.core.lab import configuration

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
