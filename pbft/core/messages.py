"""Every message, under the paragraph of the paper that it comes from.

Two kinds. *Signed* messages (the first nine) convince a third party: they are signed over
(domain, cluster, body), their bytes are kept and forwarded as they were signed (T5). *Link*
messages are vouched for by the sealed link they came on and convince nobody else.

A replica's name inside a signed message is its number; `raw` fields hold whole signed messages.
"""

from typing import Annotated, Generic, TypeAlias, TypeVar

from msgspec import Meta, Struct

from pbft.core.ids import MAX_GUESTS, ClientId, ReplicaId
from pbft.crypto.trie import DEPTH

Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Name = Annotated[str, Meta(min_length=1, max_length=64 + len("/63"))]
Command = Annotated[str, Meta(min_length=1, max_length=64)]
Hash = Annotated[bytes, Meta(min_length=32, max_length=32)]
Nibbles = Annotated[bytes, Meta(max_length=DEPTH)]
MAX_LIST = 4096
MAX_NODES = 64
MAX_WINDOW = 4096
MAX_SHOWN = 32
MAX_TICKET_BYTES = 1024
"""One datagram has to hold a ticket, since a link is opened with it."""
MAX_COMMANDS = 32
RawTicket = Annotated[bytes, Meta(max_length=MAX_TICKET_BYTES)]
Raws = Annotated[tuple[bytes, ...], Meta(max_length=MAX_LIST)]


class Message(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A message is an array whose first element is its type: no two types share an encoding."""


# -- signed ---------------------------------------------------------------------------------


class Request(Message, frozen=True, tag=1):
    """<REQUEST, o, t, c> (OSDI'99 §4.1). Carries one or more operations under one timestamp, and
    the ticket of a guest, so that whoever has its bytes and the cluster file can verify it."""

    client: Name
    timestamp: Number
    operations: Annotated[tuple[bytes, ...], Meta(min_length=1, max_length=MAX_LIST)]
    ticket: RawTicket = b""


class PrePrepare(Message, frozen=True, tag=2):
    """<PRE-PREPARE, v, n, d> (§4.2). The batch travels beside it, so certificates stay small."""

    view: Number
    sequence: Number
    digest: Hash
    replica: Number


class Prepare(Message, frozen=True, tag=3):
    """<PREPARE, v, n, d, i> (§4.2). Never sent by the primary of v."""

    view: Number
    sequence: Number
    digest: Hash
    replica: Number


class Commit(Message, frozen=True, tag=4):
    """<COMMIT, v, n, D(m), i> (§4.2)."""

    view: Number
    sequence: Number
    digest: Hash
    replica: Number


class Checkpoint(Message, frozen=True, tag=5):
    """<CHECKPOINT, n, d, i> (§4.3). Carries no view: it is cast in any mode (T46)."""

    sequence: Number
    digest: Hash
    replica: Number


class Certificate(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A prepared certificate: a pre-prepare and q-1 matching prepares of others (§4.4; T15)."""

    pre_prepare: bytes
    prepares: Raws


class ViewChange(Message, frozen=True, tag=6):
    """<VIEW-CHANGE, v+1, n, C, P, i> (§4.4): `view` is the view moved to, P ascends in n."""

    view: Number
    low_watermark: Number
    checkpoint_proof: Raws
    prepared: Annotated[tuple[Certificate, ...], Meta(max_length=MAX_WINDOW)]
    replica: Number


class NewView(Message, frozen=True, tag=7):
    """<NEW-VIEW, v+1, V, O> (§4.4): O is recomputed by every backup from V alone (T17)."""

    view: Number
    view_changes: Raws
    pre_prepares: Raws
    replica: Number


class Receipt(Message, frozen=True, tag=8):
    """What executing a request gave, and where in the order: for whoever trusts f+1 replicas and
    was not there. Made when a client asks for it; `results` is their digest."""

    client: Name
    timestamp: Number
    request: Hash
    sequence: Number
    results: Hash
    replica: Number


class Ticket(Message, frozen=True, tag=9):
    """A client of the cluster file admits another, its guest, which signs with one key and opens
    links with the other. `may`: what it may call of what its admitter may, "*" for all of that;
    `until`: the agreed time (wall ns) from which on it may call nothing, 0 for never."""

    admitter: Name
    slot: Annotated[int, Meta(ge=0, lt=MAX_GUESTS)]
    signing: Hash
    link: Hash
    may: Annotated[tuple[Command, ...], Meta(max_length=MAX_COMMANDS)]
    until: Number

    @property
    def client(self) -> ClientId:
        """The guest's name: bounded in number, whatever its admitter signs."""
        return f"{self.admitter}/{self.slot}"


# -- vouched for by the link ----------------------------------------------------------------


class Proposal(Message, frozen=True, tag=16):
    """A pre-prepare with its batch beside it."""

    pre_prepare: bytes
    batch: bytes


class Status(Message, frozen=True, tag=17):
    """Periodic and complete (T53): what the sender has, so that others can fill what it lacks.

    `fresh` asks to be shown what the receiver holds of the sender's votes: no replica votes in a
    new life before enough have answered. `recovering`: it has lost its disk and says so (T35)."""

    view: Number
    active: bool
    low_watermark: Number
    executed: Number
    fresh: bool
    slow: bool = False
    """The sender finds the primary of its view too slow (`performance`)."""
    recovering: bool = False


class Witness(Message, frozen=True, tag=18):
    """Answer to a fresh status: the highest votes signed by the asker, if there are any, and the
    proof of the sender's stable checkpoint."""

    votes: Annotated[tuple[bytes, ...], Meta(max_length=MAX_SHOWN)]
    proof: Raws


class FetchBatch(Message, frozen=True, tag=19):
    """Ask for the body behind a digest (T20)."""

    digest: Hash


class BatchBody(Message, frozen=True, tag=20):
    """The body that was asked for; it is checked against the digest, never trusted."""

    batch: bytes


class Decision(Message, frozen=True, tag=21):
    """A commit certificate with its body: a replica that missed the votes follows it (T12, T27)."""

    pre_prepare: bytes
    commits: Raws
    batch: bytes


class StableProof(Message, frozen=True, tag=22):
    """q matching checkpoints: moves the watermarks of whoever lags (§4.3)."""

    checkpoints: Raws


class Place(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A node of the state tree: where it is, and which."""

    path: Nibbles
    digest: Hash


class FetchNodes(Message, frozen=True, tag=23):
    """Ask for nodes of the state at a stable checkpoint (§4.3)."""

    places: Annotated[tuple[Place, ...], Meta(min_length=1, max_length=MAX_NODES)]


class Node(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A node and what it says to be; verified before it is kept."""

    path: Nibbles
    digest: Hash
    data: bytes


class Nodes(Message, frozen=True, tag=24):
    """What was asked for, as far as it is at hand."""

    nodes: Annotated[tuple[Node, ...], Meta(min_length=1, max_length=MAX_NODES)]


Results = Annotated[tuple[bytes, ...], Meta(max_length=MAX_LIST)]


class Reply(Message, frozen=True, tag=25):
    """<REPLY, v, t, c, i, r> (§4.1). Replies match on (timestamp, request, digest of the results),
    not on v. One replica sends large results whole, the others their digest (§5.1)."""

    view: Number
    timestamp: Number
    request: Hash
    sequence: Number
    results: Results | Hash
    replica: Number


class Read(Message, frozen=True, tag=26):
    """Operations that change nothing, asked of every replica outside the order (§5.1). `session`
    is never used by another life of this client, `nonce` never again in this one. `stale`: what
    f+1 agree on will do, whatever others know that is newer. `ticket`: a guest's."""

    session: Number
    nonce: Number
    operations: Annotated[tuple[bytes, ...], Meta(min_length=1, max_length=MAX_LIST)]
    stale: bool = False
    ticket: RawTicket = b""


class ReadReply(Message, frozen=True, tag=27):
    """What they give on the state that executing `sequence` left, or its digest (T32)."""

    session: Number
    nonce: Number
    sequence: Number
    results: Results | Hash
    replica: Number


class Attest(Message, frozen=True, tag=28):
    """Asks for the receipt of an executed request of the client that asks."""

    timestamp: Number


Signable: TypeAlias = (
    Request | PrePrepare | Prepare | Commit | Checkpoint | ViewChange | NewView | Receipt | Ticket
)
LinkMessage: TypeAlias = (
    Proposal
    | Status
    | Witness
    | FetchBatch
    | BatchBody
    | Decision
    | StableProof
    | FetchNodes
    | Nodes
    | Reply
    | Read
    | ReadReply
    | Attest
)
AnyMessage: TypeAlias = Signable | LinkMessage

M = TypeVar("M", bound=Signable, covariant=True)


class Signed(Struct, Generic[M], frozen=True):
    """A signed message whose signature has been verified, with the very bytes that were signed."""

    message: M
    raw: bytes


class Batch(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a digest stands for: a proposed agreed time (wall ns) and signed requests, in order
    (T8); large ones by their digest. The empty batch at time 0 is the null request (§4.4; T19)."""

    time: Number
    requests: Raws


def sender(message: Signable) -> ReplicaId | ClientId:
    """Who claims to have signed `message`."""
    if isinstance(message, Ticket):
        return message.admitter
    return message.client if isinstance(message, Request) else message.replica
