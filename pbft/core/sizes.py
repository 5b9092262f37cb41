"""How large the largest messages get, so that a configuration in which one could not be sent is
refused before it runs (FL2): a NEW-VIEW holds q VIEW-CHANGEs, each of which proves a whole window.

A signed message is a marker, a signature, and the header and the tag of its body before its fields.
"""

from pbft.core.messages import MAX_WINDOW
from pbft.core.quorum import quorum
from pbft.core.wire import MAX_MESSAGE_BYTES, SIGNATURE_BYTES

HEAD_BYTES = 1 + SIGNATURE_BYTES + 1 + 1
NUMBER_BYTES = 9
"""A view or sequence number; the number of a replica takes one."""
CHECKPOINT_BYTES = HEAD_BYTES + NUMBER_BYTES + 2 + 32 + 1
VOTE_BYTES = CHECKPOINT_BYTES + NUMBER_BYTES
"""A PRE-PREPARE or a PREPARE."""


def _list(count: int, size: int) -> int:
    """`count` byte strings of `size`, with all headers."""
    packed = size + (2 if size < 2**8 else 3 if size < 2**16 else 5)
    return (1 if count < 16 else 3) + count * packed


def view_change_bytes(n: int, window: int) -> int:
    """A VIEW-CHANGE that proves a checkpoint and `window` prepared batches, at most."""
    proof = _list(quorum(n), CHECKPOINT_BYTES)
    certificate = 1 + 2 + VOTE_BYTES + _list(quorum(n) - 1, VOTE_BYTES)
    prepared = (1 if window < 16 else 3) + window * certificate
    return HEAD_BYTES + 2 * NUMBER_BYTES + proof + prepared + 1


def new_view_bytes(n: int, window: int) -> int:
    """A NEW-VIEW over such VIEW-CHANGEs, at most."""
    changes = _list(quorum(n), view_change_bytes(n, window))
    return HEAD_BYTES + NUMBER_BYTES + changes + _list(window, VOTE_BYTES) + 1


def fits(n: int, window: int) -> bool:
    """Whether that is a message."""
    return window <= MAX_WINDOW and new_view_bytes(n, window) <= MAX_MESSAGE_BYTES


def largest_window(n: int) -> int:
    """The largest window that fits."""
    return max(window for window in range(MAX_WINDOW + 1) if fits(n, window))
