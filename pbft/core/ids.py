"""Names and units of the paper, as types.

Replicas are numbered 0 .. n-1 (OSDI'99 §2), clients carry the name that the cluster file gives
them; a guest, whom one of those admits, is `admitter/slot`. All times are integer nanoseconds:
`monotonic` drives timers, `wall` is only ever proposed.
"""

from typing import NamedTuple, TypeAlias

ReplicaId: TypeAlias = int
ClientId: TypeAlias = str
Principal: TypeAlias = ReplicaId | ClientId
"""Whoever stands at the far end of an authenticated link."""

View: TypeAlias = int
SequenceNumber: TypeAlias = int
Timestamp: TypeAlias = int
"""A client's own number for a request; strictly increasing per client."""

Digest: TypeAlias = bytes
"""32 bytes from `pbft.crypto.digests`."""

MAX_GUESTS = 64
"""Slots of one admitter, numbered from 0."""
MILLISECOND = 1_000_000
SECOND = 1_000_000_000


class Instant(NamedTuple):
    """A reading of both clocks, in nanoseconds, taken by the driver when a turn begins. `stepped`:
    how far the wall clock was set forward, or back, within the last seconds."""

    monotonic: int
    wall: int
    stepped: int = 0


class Packet(NamedTuple):
    """One whole message as a link delivered it: the link vouches for `peer`, for nothing else."""

    peer: Principal
    data: bytes


RequestKey: TypeAlias = tuple[ClientId, Timestamp]
"""What a request waits, executes and is answered under: at most one operation per key (T31)."""


def admitter(client: ClientId) -> ClientId:
    """The client of the cluster file that answers for `client`: itself, or who admitted it."""
    return client.partition("/")[0]
