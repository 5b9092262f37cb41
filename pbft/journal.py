"""Records as writes to an ordered map of keys: what a store must hold, and when it may let go.

A store knows nothing of the protocol. It keeps a map from byte strings to byte strings, applies
the writes of a turn all or none, in order, and gives the whole map back. What a record replaces
and what a stable checkpoint makes superfluous (T52) is said here, once, for every store: so disk
use is bounded by the window and the state. Keys ascend in the order in which a restart reads them.

| key | record |
|---|---|
| 0 | Began, or Recovering |
| 1 | Stabilised: the newest |
| 2, sequence number | Snapshotted: those above the newest stable one |
| 3 | ViewChanged: the newest |
| 4 | ViewEntered: the newest |
| 5, sequence number, view | Accepted: above the newest stable checkpoint |
| 6, sequence number | Prepared: of the highest view, above the newest stable checkpoint |
| 7 | Acknowledged: the newest |
| 8, path | Settled: the stable tree |
| 9, digest | Leaf: of the stable tree and of the snapshots above it |
"""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from msgspec import Struct

from pbft.core.errors import DecodeError, RecordError
from pbft.core.ids import Digest, SequenceNumber
from pbft.core.messages import PrePrepare
from pbft.core.records import (
    Accepted,
    Acknowledged,
    AnyRecord,
    Began,
    Leaf,
    Prepared,
    Recovering,
    Settled,
    Snapshotted,
    Stabilised,
    ViewChanged,
    ViewEntered,
    decode_record,
    encode_record,
)
from pbft.core.wire import decode_signed
from pbft.crypto.trie import Path

STABLE = b"1"
PLACE = b"8"
LEAF = b"9"
"""The keys of the state's leaves begin so: each is named by its digest, and whoever has the others
can fetch it."""


class Put(Struct, frozen=True):
    """Set one key."""

    key: bytes
    value: bytes


class Drop(Struct, frozen=True):
    """Remove every key from `first` to `last`, both included."""

    first: bytes
    last: bytes


Write: TypeAlias = Put | Drop


class Rotten(Struct, frozen=True):
    """What a store has lost of the state: leaves by their digests, and what lies at which place."""

    leaves: tuple[Digest, ...] = ()
    places: tuple[Path, ...] = ()


def rotten(keys: Iterable[bytes]) -> Rotten:
    """What was kept under these keys."""
    parts: dict[bytes, list[bytes]] = {LEAF: [], PLACE: []}
    for key in keys:
        parts[key[:1]].append(key[1:])
    return Rotten(tuple(parts[LEAF]), tuple(parts[PLACE]))


def writes(record: AnyRecord) -> Iterator[Write]:
    """What making `record` durable means, in order."""
    if not isinstance(record, Stabilised):
        yield Put(_key(record), encode_record(record))
        return
    stable = record.sequence
    kept = Stabilised(stable, record.proof, abandoned=record.abandoned)
    yield Put(STABLE, encode_record(kept))
    yield Drop(b"5", b"5" + _number(stable) + b"\xff" * 8)
    yield Drop(b"6", b"6" + _number(stable))
    yield Drop(b"2", b"2" + _number(record.superseded))
    for path in record.removed:
        yield Drop(PLACE + path, PLACE + path)
    for path, digest in record.placed:
        yield Put(PLACE + path, encode_record(Settled(path, digest)))
    for digest in record.dropped:
        yield Drop(LEAF + digest, LEAF + digest)


def read(entries: Iterable[tuple[bytes, bytes]]) -> list[AnyRecord]:
    """The records in a store's map, as a restart wants them; `entries` may come in any order.
    Raises `RecordError`."""
    return [decode_record(value) for _, value in sorted(entries)]


def _number(value: int) -> bytes:
    return value.to_bytes(8, "big")


def _key(record: AnyRecord) -> bytes:
    match record:
        case Began() | Recovering():
            return b"0"
        case Stabilised():
            return STABLE
        case Snapshotted(sequence):
            return b"2" + _number(sequence)
        case ViewChanged():
            return b"3"
        case ViewEntered():
            return b"4"
        case Prepared(sequence):
            return b"6" + _number(sequence)
        case Acknowledged():
            return b"7"
        case Settled(path):
            return PLACE + path
        case Leaf(digest):
            return LEAF + digest
        case Accepted():
            view, at = _place(record)
            return b"5" + _number(at) + _number(view)


def _place(record: Accepted) -> tuple[int, SequenceNumber]:
    try:
        pp = decode_signed(record.pre_prepare)
    except DecodeError as error:
        raise RecordError(f"an accepted pre-prepare that does not decode: {error}") from None
    if not isinstance(pp, PrePrepare):
        raise RecordError("an accepted pre-prepare that is another message")
    return pp.view, pp.sequence
