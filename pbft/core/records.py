"""What must be durable before which message leaves (T34), and all that a restart starts from.

| record | durable before |
|---|---|
| Began | the first vote of a replica that started without records, or that has recovered |
| Accepted | PRE-PREPARE(v,n,d) by the primary, PREPARE(v,n,d) by a backup; holds the body |
| Prepared | COMMIT(v,n,d) |
| ViewChanged | VIEW-CHANGE(v): the replica is in v and inactive, and this is what it signed |
| ViewEntered | NEW-VIEW(v) by its primary, and the first PREPARE in v |
| Leaf, Snapshotted | CHECKPOINT(n,d): how the state at n differs from the last one recorded |
| Acknowledged | REPLY and the answer to a read after executing n, with fast reads |
| Stabilised | nothing; allows dropping all records at or below n (T52) |
| Recovering | nothing; a replica that finds it has lost what it voted (T35) |
"""

from typing import TypeAlias

import msgspec
from msgspec import Struct

from pbft.core.errors import RecordError
from pbft.core.ids import Digest
from pbft.core.messages import Certificate, Number

Places: TypeAlias = tuple[tuple[bytes, Digest], ...]
"""Leaves of the state tree: the path and the digest of each."""
Votes: TypeAlias = tuple[tuple[Number, Digest], ...]
"""What CHECKPOINTs of ours say."""


class Record(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A record is an array whose first element is its type."""


class Began(Record, frozen=True, tag=1):
    """This replica has been given leave to vote; from here on, no records means lost records.
    `floor`: what it voted up to here in a life that it has forgotten is made good."""

    floor: Number = 0


class Accepted(Record, frozen=True, tag=2):
    """`large`: the requests that the batch names by their digests, in its order."""

    pre_prepare: bytes
    batch: bytes
    large: tuple[bytes, ...] = ()


class Prepared(Record, frozen=True, tag=3):
    sequence: Number
    certificate: Certificate


class ViewChanged(Record, frozen=True, tag=4):
    view_change: bytes


class ViewEntered(Record, frozen=True, tag=5):
    new_view: bytes


class Snapshotted(Record, frozen=True, tag=6):
    """Service state and client table at `sequence`: the leaves that differ from those of the
    snapshot before, which is the stable one where there is no other."""

    sequence: Number
    root: Digest
    placed: Places
    removed: Places


class Stabilised(Record, frozen=True, tag=7):
    """`placed` and `removed` turn the stable tree before into the one at `sequence`. Nobody needs
    the leaves `dropped` and our snapshots up to `superseded` any more; of `abandoned` ones, above
    `sequence`, it is kept what we voted for."""

    sequence: Number
    proof: tuple[bytes, ...]
    placed: Places = ()
    removed: tuple[bytes, ...] = ()
    dropped: tuple[Digest, ...] = ()
    superseded: Number = 0
    abandoned: Votes = ()


class Acknowledged(Record, frozen=True, tag=8):
    """A client may have been told what executing up to `sequence` gave: no read is answered from
    an older state, whatever a restart has to execute again (T34)."""

    sequence: Number


class Leaf(Record, frozen=True, tag=9):
    """A leaf of the state tree, known by its digest to all trees that have it."""

    digest: Digest
    data: bytes


class Settled(Record, frozen=True, tag=10):
    """Which leaf the stable tree has at `path`."""

    path: bytes
    digest: Digest


class Recovering(Record, frozen=True, tag=11):
    """In the place of `Began`: the disk of this replica was lost, and it may not vote until its
    stable checkpoint has reached a floor that others give it, this one at least (T35)."""

    floor: Number = 0


AnyRecord: TypeAlias = (
    Began
    | Accepted
    | Prepared
    | ViewChanged
    | ViewEntered
    | Snapshotted
    | Stabilised
    | Acknowledged
    | Leaf
    | Settled
    | Recovering
)

_encoder = msgspec.msgpack.Encoder()
_decoder: "msgspec.msgpack.Decoder[AnyRecord]" = msgspec.msgpack.Decoder(AnyRecord)


def encode_record(record: AnyRecord) -> bytes:
    """The canonical bytes of a record, for whatever store lies under the driver."""
    return _encoder.encode(record)


def decode_record(data: bytes) -> AnyRecord:
    """The record behind `data`. Raises `RecordError`."""
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RecordError(f"not a record: {error}; restore this replica's store") from None
