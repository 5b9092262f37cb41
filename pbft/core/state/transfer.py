"""Fetching the state at a stable checkpoint, node by verified node (OSDI'99 §4.3)."""

from dataclasses import dataclass, field

from pbft.core.ids import ReplicaId
from pbft.core.verified import StableCheckpoint
from pbft.crypto.graft import Graft
from pbft.crypto.trie import Path


@dataclass(slots=True)
class Transfer:
    """`liars` sent nodes that did not verify and are asked no more for this target."""

    target: StableCheckpoint | None = None
    graft: Graft | None = None
    asked: dict[Path, ReplicaId] = field(default_factory=dict)
    liars: set[ReplicaId] = field(default_factory=set)
    ticks: int = 0
    """How often the retry timer fired; rotates the sources."""
    progressed_at: int = 0
    """`ticks` when a node last arrived."""
