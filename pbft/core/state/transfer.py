"""Fetching the state at a stable checkpoint, node by verified node (OSDI'99 §4.3, TOCS'02 §6.2)."""

from dataclasses import dataclass, field

from pbft.core.ids import Digest, ReplicaId
from pbft.core.verified import StableCheckpoint
from pbft.crypto.graft import Graft, Known
from pbft.crypto.trie import Path


@dataclass(slots=True)
class Source:
    """Another replica, as a source of one target. `asked`: what, and at which tick. `window`: how
    many nodes may be asked of it at once: one more for every answer, half of it once answers stay
    away. `resting`: until which tick it is left alone. One that `lied` is asked no more."""

    window: int
    asked: dict[Path, int] = field(default_factory=dict)
    heard: int = 0
    resting: int = 0
    lied: bool = False


@dataclass(slots=True)
class Transfer:
    """`known`: verified nodes by digest, for whichever target they were fetched, in this life or
    an earlier one; they outlive a target that moves."""

    target: StableCheckpoint | None = None
    graft: Graft | None = None
    known: dict[Digest, Known] = field(default_factory=dict)
    todo: list[Path] = field(default_factory=list)
    """Wanted, and asked of nobody now."""
    sources: dict[ReplicaId, Source] = field(default_factory=dict)
    ticks: int = 0
    """How often the retry timer fired."""
    progressed_at: int = 0
    """`ticks` when a node last arrived."""
