"""What we know of the other replicas: their last status, what they signed, what they are owed."""

from dataclasses import dataclass, field

from pbft.core.ids import ClientId, Digest, Principal, ReplicaId, RequestKey, SequenceNumber, View
from pbft.core.messages import (
    Checkpoint,
    Commit,
    Prepare,
    PrePrepare,
    Signable,
    Status,
    ViewChange,
)

MAX_VOTES = 16
"""The highest (view, number) of a replica's votes that are kept to be shown to it: several, since
numbers are voted for out of order while a few are under way."""


@dataclass(slots=True)
class Votes:
    """The last that one replica has signed: should it forget that, we can show it (T35)."""

    ordering: dict[tuple[View, SequenceNumber, bool], bytes] = field(default_factory=dict)
    """By (v, n, whether it is a COMMIT)."""
    checkpoint: tuple[SequenceNumber, bytes] = (0, b"")
    view_change: tuple[View, bytes] = (0, b"")

    def add(self, vote: Signable, raw: bytes) -> None:
        """Keep it where it is among the highest."""
        match vote:
            case PrePrepare() | Prepare() | Commit():
                place = (vote.view, vote.sequence, isinstance(vote, Commit))
                self.ordering[place] = raw
                if len(self.ordering) > MAX_VOTES:
                    del self.ordering[min(self.ordering)]
            case Checkpoint():
                self.checkpoint = max(self.checkpoint, (vote.sequence, raw))
            case ViewChange():
                self.view_change = max(self.view_change, (vote.view, raw))

    def all(self) -> tuple[bytes, ...]:
        """To be shown."""
        others = (self.checkpoint[1], self.view_change[1])
        return (*self.ordering.values(), *filter(None, others))


@dataclass(slots=True)
class Peer:
    """`stalled`: two statuses in a row showed the same progress, so something was lost on the way;
    only then is anything re-sent. `spent` bounds the bytes re-sent per status interval (FL7),
    `served` those of nodes."""

    status: Status | None = None
    votes: Votes = field(default_factory=Votes)
    shown: int = 0
    """How often its votes were shown to it in this status interval."""
    stalled: bool = False
    unanswered: bool = False
    wants: dict[Digest, None] = field(default_factory=dict)
    lacks: dict[ClientId, set[Digest]] = field(default_factory=dict)
    """Whose large requests it had to ask us for of late; which of a backlog it was given."""
    shared: int = 0
    """How many it was given unasked in this status interval."""
    wants_nodes: dict[tuple[bytes, Digest], None] = field(default_factory=dict)
    spent: int = 0
    served: int = 0


@dataclass(slots=True)
class Peers:
    by_id: dict[ReplicaId, Peer] = field(default_factory=dict)
    head: tuple[RequestKey | None, int] = (None, 0)
    """The oldest waiting request at the last status, and for how many it has been that."""

    def get(self, principal: Principal) -> Peer | None:
        """The peer, where `principal` is another replica."""
        return self.by_id.get(principal) if isinstance(principal, int) else None
