"""All that a replica knows, and the table of who may write which part of it.

Absorbing handlers and acting rules are functions over this. A field is assigned in the modules
that the table names and nowhere else (`restore` apart, which runs before the first turn); a test
reads the table and the code.
"""

from collections import Counter
from dataclasses import dataclass, field

from pbft.core.authentication import Authentication
from pbft.core.config import Configuration
from pbft.core.effects import Evidence
from pbft.core.ids import ReplicaId, SequenceNumber
from pbft.core.state.checkpoints import Checkpoints
from pbft.core.state.log import Log
from pbft.core.state.machine import Machine
from pbft.core.state.pace import Pace
from pbft.core.state.peers import Peer, Peers
from pbft.core.state.recovery import Recovery
from pbft.core.state.requests import Requests
from pbft.core.state.sessions import Sessions
from pbft.core.state.timers import Timers
from pbft.core.state.transfer import Transfer
from pbft.core.state.views import Views

WRITERS: dict[str, frozenset[str]] = {
    "log": frozenset({"ordering", "references", "view_change", "checkpointing", "retransmission"}),
    "log.next_sequence": frozenset({"ordering", "view_change", "checkpointing", "performance"}),
    "log.touched": frozenset(
        {
            *("ordering", "execution", "references", "view_change", "retransmission", "replica"),
            "recovery",
        }
    ),
    "requests": frozenset({"ordering", "execution", "view_change", "performance"}),
    "pace": frozenset({"performance"}),
    "sessions": frozenset({"execution"}),
    "machine": frozenset({"execution"}),
    "executed": frozenset({"execution"}),
    "acknowledged": frozenset({"execution"}),
    "checkpoints": frozenset({"checkpointing"}),
    "views": frozenset({"view_change"}),
    "transfer": frozenset({"state_transfer"}),
    "peers": frozenset({"retransmission", "witness"}),
    "peers.wants_nodes": frozenset({"state_transfer"}),
    "peers.spent": frozenset({"retransmission", "witness"}),
    "peers.served": frozenset({"retransmission", "state_transfer"}),
    "recovery": frozenset({"recovery"}),
    "voting": frozenset({"recovery"}),
    "timers": frozenset({"deadlines", "replica"}),
}
"""noun, plain field, or noun.field where it has writers of its own -> modules that may change it
(of `protocol`, or `replica`). `drops` and `evidence` are reports, which any of them adds to."""

MAX_EVIDENCE = 64


@dataclass(slots=True)
class ReplicaState:
    """`voting` is false until others have shown us what they hold of our votes, and, where we have
    forgotten any, until that is made good (T35). `acknowledged`: with fast reads, how far clients
    may know that we had executed, in this life or an earlier one."""

    config: Configuration
    me: ReplicaId
    authentication: Authentication
    machine: Machine
    executed: SequenceNumber = 0
    acknowledged: SequenceNumber = 0
    voting: bool = False
    log: Log = field(default_factory=Log)
    requests: Requests = field(default_factory=Requests)
    sessions: Sessions = field(default_factory=Sessions)
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    views: Views = field(default_factory=Views)
    pace: Pace = field(default_factory=Pace)
    transfer: Transfer = field(default_factory=Transfer)
    timers: Timers = field(default_factory=Timers)
    peers: Peers = field(default_factory=Peers)
    recovery: Recovery = field(default_factory=Recovery)
    drops: Counter[str] = field(default_factory=Counter)
    evidence: dict[tuple[str, ReplicaId], Evidence] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.peers.by_id = {r: Peer() for r in range(self.config.n) if r != self.me}

    @property
    def others(self) -> tuple[ReplicaId, ...]:
        return tuple(self.peers.by_id)

    @property
    def is_primary(self) -> bool:
        """Whether we lead the current view, active or not."""
        return self.config.primary(self.views.view) == self.me

    @property
    def high_watermark(self) -> SequenceNumber:
        """H = h + L."""
        return self.log.low_watermark + self.config.window

    def keep_evidence(self, evidence: Evidence) -> bool:
        """Store it once per kind and culprit (RP9); false where we had it, or hold too much."""
        key = (evidence.kind, evidence.culprit)
        if key in self.evidence or len(self.evidence) >= MAX_EVIDENCE:
            return False
        self.evidence[key] = evidence
        return True
