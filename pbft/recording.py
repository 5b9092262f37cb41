"""The lines of a recording: what `pbft.recorder` writes, and a timeline is drawn from.

Each line is a life or a turn, as JSON. Messages that were sent are there whole, those of other
replicas by their digest, since their sender's file has them. A message stands where its turn began,
although it leaves only when the turn's records are durable.

Recordings hold operations and results in the clear: who may read them may read the state.
"""

from typing import Any

from msgspec import Struct

from pbft.core.ids import Principal, ReplicaId

FORMAT = 1
MAX_RECORDING_BYTES = 64 * 1024 * 1024
"""Of one file: the turn that reaches it is the last that is written, also after a restart."""
MAX_RECORDED_BYTES = 16 * 1024
"""Of one message; of a longer one, the digest and the size."""
SUFFIX = ".jsonl"


class Header(Struct, frozen=True, tag="life"):
    """The first line of each life of the replica. Times are nanoseconds: `at` is monotonic, which
    is the same for all processes of one machine."""

    format: int
    at: int
    wall: int
    replica: ReplicaId
    n: int
    cluster: str
    service: str
    view: int
    active: bool
    note: str = ""
    """The behaviour, of a traitor."""


class Said(Struct, frozen=True, array_like=True):
    to: tuple[Principal, ...]
    digest: str
    size: int
    data: bytes | None


class Heard(Struct, frozen=True, array_like=True):
    """`data` where its sender is a client, which writes no file."""

    peer: Principal
    digest: str
    size: int
    data: bytes | None


class Turned(Struct, frozen=True, tag="turn"):
    """Events by the name of their type and their fields; evidence by its kind and its culprit."""

    at: int
    heard: list[Heard] = []
    said: list[Said] = []
    events: list[tuple[str, dict[str, Any]]] = []
    evidence: list[tuple[str, ReplicaId]] = []


class Full(Struct, frozen=True, tag="full"):
    """The file has reached its limit: what came later is missing."""

    at: int
