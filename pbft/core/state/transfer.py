"""Fetching the snapshot of a stable checkpoint, chunk by verified chunk (OSDI'99 §4.3)."""

from dataclasses import dataclass, field

from pbft.core.ids import ReplicaId
from pbft.core.verified import StableCheckpoint


@dataclass(slots=True)
class Transfer:
    """`count` is unknown (0) until a first chunk verified; the root binds it. `liars` sent chunks
    that did not verify and are asked no more for this target."""

    target: StableCheckpoint | None = None
    count: int = 0
    chunks: dict[int, bytes] = field(default_factory=dict)
    asked: dict[int, ReplicaId] = field(default_factory=dict)
    liars: set[ReplicaId] = field(default_factory=set)
    ticks: int = 0
    """How often the retry timer fired; rotates the sources."""
    progressed_at: int = 0
    """`ticks` when a chunk last arrived."""
