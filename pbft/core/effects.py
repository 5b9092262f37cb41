"""What a turn hands to its driver: 1 make records durable, 2 send, 3 arm one timer, 4 report.

Messages and replies of a turn leave only when the records of this *and every earlier* turn are
durable (T45). Events and evidence are for people and checkers; the protocol never reads them.
"""

from typing import TypeAlias

from msgspec import Struct

from pbft.core.ids import Digest, Principal, ReplicaId, SequenceNumber, View
from pbft.core.messages import AnyMessage
from pbft.core.records import AnyRecord


class Send(Struct, frozen=True):
    """One message and its receivers; `data` is what goes onto each link."""

    to: tuple[Principal, ...]
    data: bytes
    message: AnyMessage


class Executed(Struct, frozen=True):
    """One sequence number took effect here. `operations` counts those that were not duplicates."""

    sequence: SequenceNumber
    digest: Digest
    requests: tuple[tuple[str, int], ...]
    """(client, timestamp) of each request that was executed, duplicates left out."""
    operations: int


class Committed(Struct, frozen=True):
    """One sequence number is decided, by a PRE-PREPARE and q COMMITs: an audit begins with them."""

    sequence: SequenceNumber
    certificate: tuple[bytes, ...]


class ViewChangeStarted(Struct, frozen=True):
    view: View
    reason: str


class EnteredView(Struct, frozen=True):
    view: View


class BecameStable(Struct, frozen=True):
    sequence: SequenceNumber
    digest: Digest


class TransferStarted(Struct, frozen=True):
    sequence: SequenceNumber


class Installed(Struct, frozen=True):
    """A snapshot took the place of the local state (also to repair it; T54)."""

    sequence: SequenceNumber
    digest: Digest


class Diverged(Struct, frozen=True):
    """Our state differs from what q replicas certified: loud, and repaired by transfer (T54)."""

    sequence: SequenceNumber
    own: Digest
    certified: Digest


class Damaged(Struct, frozen=True):
    """Leaves of our state in memory are not what they were digested as: loud, and repaired like a
    divergence (T54)."""

    sequence: SequenceNumber
    leaves: int


class Forgotten(Struct, frozen=True):
    """A vote signed by us that we do not remember: the driver must stop this replica (T35)."""

    vote: bytes


Event: TypeAlias = (
    Executed
    | Committed
    | ViewChangeStarted
    | EnteredView
    | BecameStable
    | TransferStarted
    | Installed
    | Diverged
    | Damaged
    | Forgotten
)


class Evidence(Struct, frozen=True):
    """Statements that `culprit` signed and that no correct replica signs together."""

    kind: str
    culprit: ReplicaId
    statements: tuple[bytes, ...]


class Effects(Struct):
    """The outcome of one turn, in the order in which its rules produced it."""

    records: list[AnyRecord] = []
    messages: list[Send] = []
    replies: list[Send] = []
    events: list[Event] = []
    evidence: list[Evidence] = []
    nuisance: dict[Principal, int] = {}
    """What messages of no use have cost, about, by who sent them (us)."""
