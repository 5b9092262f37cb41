"""What we know of the other replicas: their last status, and what they are owed."""

from dataclasses import dataclass, field

from pbft.core.ids import Digest, Principal, ReplicaId, RequestKey
from pbft.core.messages import Status


@dataclass(slots=True)
class Peer:
    """`stalled`: two statuses in a row showed the same progress, so something was lost on the way;
    only then is anything re-sent. `spent` bounds the bytes re-sent per status interval (FL7),
    `served` those of nodes."""

    status: Status | None = None
    vote: bytes = b""
    """The last signed vote of this peer that was verified here."""
    stalled: bool = False
    unanswered: bool = False
    wants: dict[Digest, None] = field(default_factory=dict)
    wants_nodes: dict[tuple[bytes, Digest], None] = field(default_factory=dict)
    spent: int = 0
    served: int = 0


@dataclass(slots=True)
class Peers:
    by_id: dict[ReplicaId, Peer] = field(default_factory=dict)
    cleared: set[ReplicaId] = field(default_factory=set)
    """Who told us, while we are fresh, that it holds no vote of ours."""
    head: tuple[RequestKey | None, int] = (None, 0)
    """The oldest waiting request at the last status, and for how many it has been that."""

    def get(self, principal: Principal) -> Peer | None:
        """The peer, where `principal` is another replica."""
        return self.by_id.get(principal) if isinstance(principal, int) else None
