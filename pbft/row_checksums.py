"""The checksum of a row of the journal: 128 bits, which SQLite keeps as two integers."""

from collections.abc import Sequence
from hashlib import blake2b
from struct import Struct
from struct import error as StructError

CHECKSUM_BYTES = 16
HALVES = Struct(">qq")
FEW_BITS = 16
"""Checksums of different rows have more bits that differ, but once in 10^18 times."""


def checksum(key: bytes, value: bytes) -> int:
    """Of a row with this key and value."""
    hasher = blake2b(len(key).to_bytes(8, "big"), digest_size=CHECKSUM_BYTES)
    hasher.update(key)
    hasher.update(value)
    return int.from_bytes(hasher.digest(), "big")


def halves(whole: int) -> tuple[int, ...]:
    """As the columns hold it."""
    return HALVES.unpack(whole.to_bytes(CHECKSUM_BYTES, "big"))


def joined(columns: Sequence[int]) -> int:
    """The whole again. Raises `struct.error` where a column is of another type."""
    return int.from_bytes(HALVES.pack(*columns), "big")


def wrong_bits(key: object, value: object, columns: Sequence[int]) -> int:
    """In how many bits the columns differ from the checksum of the row: 0 where it is sound. Up to
    `FEW_BITS`, the columns have rotted and the content has not. A column that rotted into another
    type counts as all bits wrong: one bit makes bytes a text, under which nothing is found."""
    if not isinstance(key, bytes) or not isinstance(value, bytes):
        return 8 * CHECKSUM_BYTES
    try:
        return (joined(columns) ^ checksum(key, value)).bit_count()
    except (TypeError, StructError):
        return 8 * CHECKSUM_BYTES
