"""Checkpoints: our own, everybody's votes for theirs, and the last stable one (OSDI'99 §4.3)."""

from dataclasses import dataclass, field

from pbft.core.ids import Digest, ReplicaId, SequenceNumber
from pbft.core.ingress import GENESIS
from pbft.core.messages import Checkpoint, Signed
from pbft.core.records import Places
from pbft.core.verified import StableCheckpoint
from pbft.crypto.trie import Path, Snapshot

BEYOND_PER_SENDER = 2
"""Votes kept per sender for sequence numbers above the window (CP9)."""


@dataclass(slots=True)
class OwnCheckpoint:
    """The state as of one sequence number, and how its leaves differ from our previous one's."""

    sequence: SequenceNumber
    snapshot: Snapshot
    placed: Places = ()
    removed: Places = ()

    @property
    def root(self) -> Digest:
        return self.snapshot.digest


@dataclass(slots=True)
class Checkpoints:
    """`certified` is the highest checkpoint known to be stable *somewhere* (q signatures); it
    becomes `stable` here once our own matching snapshot is at hand (T29)."""

    stable: StableCheckpoint = GENESIS
    certified: StableCheckpoint = GENESIS
    own: dict[SequenceNumber, OwnCheckpoint] = field(default_factory=dict)
    cast: dict[SequenceNumber, Signed[Checkpoint]] = field(default_factory=dict)
    """Our own votes, kept to be re-sent."""
    votes: dict[SequenceNumber, dict[ReplicaId, Signed[Checkpoint]]] = field(default_factory=dict)
    diverged: bool = False
    """Our state contradicts q certified ones: we neither reply nor checkpoint (T54)."""
    abandoned: dict[SequenceNumber, Digest] = field(default_factory=dict)
    """What we may have voted for above the stable checkpoint before we gave that state up: it is
    remembered, and not contradicted (T35, T54)."""
    lost: Places = ()
    """What the disk says of a state that it does not hold any more; `lost_until`: of snapshots up
    to there."""
    lost_until: SequenceNumber = 0
    scrubbed: Path | None = None
    """How far leaves have been digested again in this rotation."""

    @property
    def newest(self) -> Snapshot:
        """Our last snapshot; the empty state before the first."""
        return self.own[max(self.own)].snapshot if self.own else Snapshot(None)

    def count_beyond(self, sender: ReplicaId, limit: SequenceNumber) -> list[SequenceNumber]:
        """Where `sender` has votes above `limit`, ascending."""
        return sorted(s for s, votes in self.votes.items() if s > limit and sender in votes)

    def withdraw(self, sequence: SequenceNumber, sender: ReplicaId) -> None:
        """Forget one vote, so that a sender's look-ahead stays bounded."""
        votes = self.votes[sequence]
        del votes[sender]
        if not votes:
            del self.votes[sequence]

    def drop_below(self, sequence: SequenceNumber, keep_own: SequenceNumber) -> None:
        """Forget what a stable checkpoint at `sequence` covers; serve snapshots >= `keep_own`."""
        self.votes = {s: votes for s, votes in self.votes.items() if s > sequence}
        self.cast = {s: vote for s, vote in self.cast.items() if s > sequence}
        self.own = {s: own for s, own in self.own.items() if s >= keep_own}
        self.abandoned = {s: root for s, root in self.abandoned.items() if s > sequence}
