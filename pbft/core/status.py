"""A frozen look at a replica, for people, the command line and checkers."""

from msgspec import Struct

from pbft.core.ids import Digest, ReplicaId, SequenceNumber, View


class ReplicaStatus(Struct, frozen=True):
    """`state_digest` is the checkpoint digest at `state_digest_at`, the last one taken here."""

    replica: ReplicaId
    view: View
    active: bool
    voting: bool
    primary: ReplicaId
    low_watermark: SequenceNumber
    high_watermark: SequenceNumber
    executed: SequenceNumber
    waiting: int
    transferring: bool
    state_digest_at: SequenceNumber
    state_digest: Digest
    checkpoints: dict[SequenceNumber, Digest]
    """Digests of own recent checkpoints (the last few kept), so that replicas can be compared."""
    drops: dict[str, int]
    evidence: dict[ReplicaId, list[str]]
    """Kinds of evidence held, by culprit."""
    floor: SequenceNumber | None = None
    """While it recovers: the stable checkpoint it has to reach, 0 where that is not known yet."""
