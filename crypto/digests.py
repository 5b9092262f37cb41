"""Tagged digests: SHA-256 over (tag, parts), each part framed by its length.

The tag separates domains: equal parts under different tags never give equal digests. The framing
is injective: (b"ab", b"c") and (b"a", b"bc") differ.
"""

import hashlib
from functools import cache

DIGEST_BYTES = 32


def domain(tag: bytes) -> bytes:
    """The tag's own digest twice, one whole block of SHA-256, as BIP-340 does: what is hashed
    behind it is in a domain of its own."""
    return hashlib.sha256(tag).digest() * 2


@cache
def _tagged(tag: bytes) -> "hashlib._Hash":
    return hashlib.sha256(domain(tag))


def digest(tag: bytes, *parts: bytes) -> bytes:
    """32 bytes that commit to the tag, the number of parts, and each part with its length.

    `tag` must come from a fixed set in the code: the states of tags are kept for ever.
    """
    state = _tagged(tag).copy()
    for part in parts:
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    state.update(len(parts).to_bytes(8, "big"))
    return state.digest()
