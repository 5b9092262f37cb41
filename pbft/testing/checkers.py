"""Oracles: what must hold after every step of a run, whoever is faulty (up to f) and whatever the
network does. Each complaint names the property: agreement, validity, integrity, persistence.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pbft.core.effects import BecameStable, EnteredView, Event, Executed, Installed, Send
from pbft.core.effects import ViewChangeStarted as Moved
from pbft.core.ids import Digest, ReplicaId, RequestKey, SequenceNumber
from pbft.core.messages import (
    Checkpoint,
    Commit,
    NewView,
    Prepare,
    PrePrepare,
    Proposal,
    ReadReply,
    ViewChange,
)
from pbft.core.records import (
    Accepted,
    Acknowledged,
    AnyRecord,
    Prepared,
    Snapshotted,
    ViewChanged,
    ViewEntered,
)
from pbft.core.wire import batch_digest, decode_batch, decode_signed, referred, request_digest
from pbft.testing.departures import Departures
from pbft.testing.new_view_oracle import NewViewOracle

MAX_COMPLAINTS = 20


@dataclass(slots=True)
class Durable:
    """What one replica's disk holds, by what may be said because of it (T34)."""

    said: set[tuple[object, ...]] = field(default_factory=set)


class Checkers:
    """Fed with everything that correct replicas do; `complaints` stays empty in a correct run."""

    def __init__(self, oracle: NewViewOracle) -> None:
        self.complaints: list[str] = []
        self.decided: dict[SequenceNumber, Digest] = {}
        self.bodies: dict[Digest, bytes] = {}
        self.large: dict[Digest, bytes] = {}
        self.executed_at: dict[RequestKey, SequenceNumber] = {}
        self.signed_by_clients: set[RequestKey] = set()
        self._last: dict[ReplicaId, SequenceNumber] = {}
        self._views: dict[ReplicaId, int] = {}
        self._roots: dict[SequenceNumber, Digest] = {}
        self._prepared: dict[tuple[int, SequenceNumber], Digest] = {}
        self._votes: dict[tuple[object, ...], object] = {}
        self._entered: dict[tuple[ReplicaId, int], bytes] = {}
        self._durable: dict[ReplicaId, Durable] = {}
        self._acknowledged: dict[ReplicaId, SequenceNumber] = {}
        self.departures = Departures()
        """The views that replicas have moved to: they vote in none before (T22)."""
        self._commits: dict[ReplicaId, dict[SequenceNumber, int]] = {}
        """The view of each replica's last COMMIT for a number."""
        self._oracle = oracle
        self.judge = oracle.authentication

    def complain(self, text: str) -> None:
        """Keep the first few."""
        if len(self.complaints) < MAX_COMPLAINTS:
            self.complaints.append(text)

    def restarted(
        self, replica: ReplicaId, executed: SequenceNumber, records: Iterable[AnyRecord]
    ) -> None:
        """A replica came back from what its disk held, having executed up to `executed`: only
        this is durable now, whatever was."""
        self._last[replica] = executed
        self._durable[replica] = Durable()
        for record in records:
            self.durable(replica, record)

    def forgot(self, replica: ReplicaId) -> None:
        """It has lost its disk and recovers: it begins again from nothing, but what it has said is
        said: a vote against that, or in a view that others know it has left, is one too many
        (T35)."""
        self._views.pop(replica, None)
        self._acknowledged.pop(replica, None)
        self.departures.forgot(replica)

    # -- events -------------------------------------------------------------------------------

    def happened(self, replica: ReplicaId, event: Event) -> None:
        """Something took effect at a correct replica."""
        match event:
            case Executed():
                self._executed(replica, event)
            case Installed(sequence, digest):
                self._same_root(replica, sequence, digest)
                self._last[replica] = sequence
            case BecameStable(sequence, digest):
                self._same_root(replica, sequence, digest)
            case EnteredView(view) | Moved(view):
                self._view(replica, view)

    def _executed(self, replica: ReplicaId, event: Executed) -> None:
        sequence = event.sequence
        first = self.decided.setdefault(sequence, event.digest)
        if first != event.digest:
            self.complain(f"agreement: replica {replica} executed another batch at {sequence}")
        if sequence != self._last.get(replica, 0) + 1:
            self.complain(f"integrity: replica {replica} executed {sequence} out of order")
        self._last[replica] = sequence
        for key in event.requests:
            if key not in self.signed_by_clients:
                self.complain(f"validity: {key} at {sequence} was signed by no client")
            if self.executed_at.setdefault(key, sequence) != sequence:
                self.complain(f"integrity: {key} executed at two numbers, again at {sequence}")

    def _same_root(self, replica: ReplicaId, sequence: SequenceNumber, root: Digest) -> None:
        if self._roots.setdefault(sequence, root) != root:
            self.complain(f"agreement: replica {replica} has another state at {sequence}")

    def _view(self, replica: ReplicaId, view: int) -> None:
        if view < self._views.get(replica, 0):
            self.complain(f"views: replica {replica} went back to view {view}")
        self._views[replica] = view

    # -- durable records, and what leaves because of them ---------------------------------------

    def durable(self, replica: ReplicaId, record: AnyRecord) -> None:
        """A record of a correct replica has reached its disk."""
        said = self._durable.setdefault(replica, Durable()).said
        match record:
            case Accepted(raw, batch, large):
                pp = decode_signed(raw)
                self.large.update((request_digest(each), each) for each in large)
                self.bodies[batch_digest(batch)] = batch
                if isinstance(pp, PrePrepare):
                    said.add((PrePrepare, pp.view, pp.sequence, pp.digest))
                    said.add((Prepare, pp.view, pp.sequence, pp.digest))
                    if batch_digest(batch) != pp.digest:
                        self.complain(f"persistence: replica {replica} stored another body")
            case Prepared(sequence, certificate):
                pp = decode_signed(certificate.pre_prepare)
                if isinstance(pp, PrePrepare):
                    said.add((Commit, pp.view, sequence, pp.digest))
                    if not self._oracle.certifies(certificate):
                        text = f"replica {replica} prepared {sequence} without q-1 backups"
                        self.complain(f"proofs: {text}")
                    self._one_certificate(replica, pp)
            case ViewChanged(raw):
                said.add((ViewChange, raw))
            case ViewEntered(raw):
                said.add((NewView, raw))
                said.update((ViewChange, each) for each in _own_view_changes(replica, raw))
                self._accepted_view(replica, raw)
            case Acknowledged(sequence):
                self._acknowledged[replica] = sequence
            case Snapshotted(sequence, root):
                said.add((Checkpoint, sequence, root))
                self._same_root(replica, sequence, root)

    def _one_certificate(self, replica: ReplicaId, pp: PrePrepare) -> None:
        if self._prepared.setdefault((pp.view, pp.sequence), pp.digest) != pp.digest:
            self.complain(
                f"agreement: two prepared certificates for view {pp.view}, number {pp.sequence},"
                f" the second at replica {replica}"
            )

    def _accepted_view(self, replica: ReplicaId, raw: bytes) -> None:
        complaint = self._oracle.complaint(raw)
        message = decode_signed(raw)
        if complaint is not None:
            self.complain(f"views: replica {replica} accepted a new view: {complaint}")
        if isinstance(message, NewView):
            for each in message.view_changes:
                self.departures.recorded(each)
            known = self._entered.setdefault((replica, message.view), raw)
            if known != raw:
                self.complain(f"views: replica {replica} accepted two new views {message.view}")

    def sent(self, replica: ReplicaId, send: Send) -> None:
        """A message of a correct replica leaves: no vote against an earlier one, across restarts
        too, and none before its record is durable."""
        known = self._acknowledged.get(replica, 0)
        if isinstance(send.message, ReadReply) and send.message.sequence != known:
            self.complain(f"persistence: replica {replica} answered a read from another state")
        message = send.message
        if isinstance(message, Commit) and message.replica == replica:
            self._commits.setdefault(replica, {})[message.sequence] = message.view
        if isinstance(message, ViewChange) and message.replica == replica:
            self._moves(replica, message)
            self.departures.leave(replica, send.data, message.view)
        for place, statement, need in _statements(replica, send):
            if _in_view(place) < self.departures.view(replica) and place not in self._votes:
                self.complain(f"votes: replica {replica} votes in a view that it left: {place[:3]}")
            if self._votes.setdefault(place, statement) != statement:
                self.complain(f"votes: replica {replica} contradicts itself about {place[:4]}")
            if need not in self._durable.setdefault(replica, Durable()).said:
                self.complain(f"persistence: replica {replica} sent {need[:3]} before its record")

    def _moves(self, replica: ReplicaId, change: ViewChange) -> None:
        """A VIEW-CHANGE owns up to every earlier COMMIT above its checkpoint: P proves it."""
        prepared: dict[SequenceNumber, int] = {}
        for certificate in change.prepared:
            pp = decode_signed(certificate.pre_prepare)
            if isinstance(pp, PrePrepare):
                prepared[pp.sequence] = pp.view
        for sequence, view in self._commits.get(replica, {}).items():
            earlier = view < change.view and sequence > change.low_watermark
            if earlier and prepared.get(sequence, -1) < view:
                self.complain(f"persistence: replica {replica} forgot its COMMIT for {sequence}")


Statement = tuple[tuple[object, ...], object, tuple[object, ...]]


def _statements(replica: ReplicaId, send: Send) -> list[Statement]:
    """(place, statement, the record it needs) for each vote of `replica` in a message."""
    message = send.message
    if isinstance(message, Proposal):
        inner = decode_signed(message.pre_prepare)
        if isinstance(inner, PrePrepare):
            message = inner
    if getattr(message, "replica", replica) != replica:
        return []
    match message:
        case PrePrepare() | Prepare() | Commit():
            vote = (type(message), message.view, message.sequence)
            return [((*vote, replica), message.digest, (*vote, message.digest))]
        case Checkpoint():
            state = (Checkpoint, message.sequence)
            return [((*state, replica), message.digest, (*state, message.digest))]
        case ViewChange() | NewView():
            move = (type(message), message.view, replica)
            return [(move, send.data, (type(message), send.data))]
    return []


def _own_view_changes(replica: ReplicaId, raw: bytes) -> list[bytes]:
    """What a replica said in a NEW-VIEW that is on its disk: a restart takes it up from there, also
    where the record of its own is lost (T34)."""
    new_view = decode_signed(raw)
    changes = new_view.view_changes if isinstance(new_view, NewView) else ()
    return [each for each in changes if getattr(decode_signed(each), "replica", None) == replica]


def _in_view(place: tuple[object, ...]) -> float:
    """The view of a vote in the normal case; of any other, no view at all."""
    view = place[1] if place[0] in (PrePrepare, Prepare, Commit) else None
    return view if isinstance(view, int) else float("inf")


def requests_of(checkers: Checkers, body: bytes) -> list[bytes]:
    """The raw requests of a batch, those it names among them."""
    entries = [(referred(entry), entry) for entry in decode_batch(body).requests]
    return [entry if name is None else checkers.large[name] for name, entry in entries]
