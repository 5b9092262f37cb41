"""One replica under test; the test holds everybody else's keys and says what they say.

`Lab` speaks the protocol by hand: it signs any message as any principal, feeds bursts to the
replica and collects effects. Nothing here knows the replica's insides.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from pbft.core.authentication import Authentication, Ed25519Verifier
from pbft.core.config import Configuration
from pbft.core.effects import Effects, Executed
from pbft.core.ids import Instant, Packet, Principal
from pbft.core.messages import (
    AnyMessage,
    Batch,
    Certificate,
    Checkpoint,
    Commit,
    Decision,
    LinkMessage,
    NewView,
    Prepare,
    PrePrepare,
    Proposal,
    Request,
    Signable,
    Signed,
    Ticket,
    ViewChange,
    Witness,
)
from pbft.core.records import AnyRecord, Began
from pbft.core.replica import Replica
from pbft.core.service import Context, Guard, State
from pbft.core.wire import batch_digest, encode_body, encode_link
from pbft.crypto.signing import SigningKey
from pbft.journal import Put, read, writes

CLUSTER = b"tests/core/lab.."
WALL = 1_700_000_000_000_000_000
CLIENTS: tuple[str, ...] = ("alice", "bob", "carol", "dave", "erin", "frank")
ADMITS = {"alice": 4}
"""Who may admit how many guests."""


class Journal:
    """The simplest service: remembers operations in order, answers with their number. `noise` is
    what a broken machine would add to each."""

    def __init__(self) -> None:
        self.state: State
        self.noise = b""

    @property
    def operations(self) -> list[bytes]:
        return [operation for _, operation in sorted(self.state.items())]

    def open(self, state: State) -> None:
        self.state = state

    def execute(self, operation: bytes, context: Context) -> bytes:
        number = len(self.state) + 1
        self.state.put(number.to_bytes(4, "big"), operation + self.noise)
        if operation == b"refuse":
            raise ValueError("refused by the service")
        return b"%d" % number


def configuration(n: int = 4, **changes: int) -> Configuration:
    """Small numbers, so that edges are near: K = 8, L = 16."""
    values: dict[str, Any] = {"checkpoint_interval": 8, "window": 16, **changes}
    return Configuration(cluster_id=CLUSTER, n=n, **values)


def signing_keys(n: int) -> dict[Principal, SigningKey]:
    """Fixed keys, a distinct seed each."""
    principals: list[Principal] = [*range(n), *CLIENTS]
    return {p: SigningKey(bytes([i + 1]) * 32) for i, p in enumerate(principals)}


class Lab:
    """`me` is the replica under test; without `fresh` it may vote from the start."""

    def __init__(
        self,
        me: int = 1,
        n: int = 4,
        *,
        records: Sequence[AnyRecord] = (Began(),),
        **changes: int,
    ) -> None:
        self.config = configuration(n, **changes)
        self.me = me
        self.now = 1_000_000_000
        self.wall = WALL
        self.stepped = 0
        keys = signing_keys(n)
        verifier = Ed25519Verifier({p: key.public for p, key in keys.items()}, ADMITS)
        self.verifier = verifier
        self.keys = keys
        self._signers = {
            p: Authentication(self.config.cluster_id, key, verifier) for p, key in keys.items()
        }
        self.tickets: dict[str, bytes] = {}
        self.guard: Guard | None = None
        self.service = Journal()
        self.records: list[AnyRecord] = list(records)
        self.sent: list[AnyMessage] = []
        self.replica = self._boot()
        if Began() in self.records:
            self.clear()

    def _boot(self) -> Replica:
        return Replica(
            self.config,
            self.me,
            signer=self.keys[self.me],
            verifier=self.verifier,
            service=self.service,
            guard=self.guard,
            records=self.records,
            now=self.instant,
        )

    def restart(self) -> Effects:
        """Crash, come back from the records of all turns so far, and hear from a quorum that it
        holds nothing else of ours."""
        self.reboot()
        effects = self.clear()
        _add(effects, self.idle())
        return effects

    def reboot(self) -> None:
        """Crash, and come back from what the records left in a store; nobody has answered yet."""
        entries: dict[bytes, bytes] = {}
        for record in self.records:
            for write in writes(record):
                if isinstance(write, Put):
                    entries[write.key] = write.value
                    continue
                entries = {k: v for k, v in entries.items() if not write.first <= k <= write.last}
        self.records = read(entries.items())
        self.service = Journal()
        self.replica = self._boot()

    @property
    def instant(self) -> Instant:
        return Instant(self.now, self.wall, self.stepped)

    # -- feeding ----------------------------------------------------------------------------

    def feed(self, *messages: "Signed[Signable] | LinkMessage", peer: Principal = 3) -> Effects:
        """One burst over the link of `peer` (requests: of their client)."""
        packets = []
        for message in messages:
            if isinstance(message, Signed):
                inner = message.message
                source = inner.client if isinstance(inner, Request) else peer
                packets.append(Packet(source, message.raw))
            else:
                packets.append(Packet(peer, encode_link(message)))
        return self._done(self.replica.receive(packets, self.instant))

    def feed_raw(self, *data: bytes, peer: Principal = 3) -> Effects:
        """One burst of bytes."""
        return self._done(self.replica.receive([Packet(peer, each) for each in data], self.instant))

    def idle(self, seconds: float = 0.0) -> Effects:
        """Let time pass, firing timers one after another; all effects together."""
        everything = Effects([], [], [], [], [])
        until = self.now + round(seconds * 1e9)
        while True:
            deadline = self.replica.deadline
            if deadline is None or deadline > until:
                break
            self.wall += max(0, deadline - self.now)
            self.now = max(self.now, deadline)
            effects = self._done(self.replica.expire(self.instant))
            _add(everything, effects)
        self.wall += until - self.now
        self.now = until
        return everything

    def _done(self, effects: Effects) -> Effects:
        self.records += effects.records
        self.sent += [send.message for send in effects.messages]
        return effects

    # -- speaking ---------------------------------------------------------------------------

    def request(self, timestamp: int, *operations: bytes, client: str = "alice") -> Signed[Request]:
        """A signed request; one operation named after the timestamp by default."""
        body = operations or (b"op-%d" % timestamp,)
        ticket = self.tickets.get(client, b"")
        return self._signers[client].sign(Request(client, timestamp, body, ticket))

    def admit(self, slot: int, *, by: str = "alice", **changes: Any) -> str:
        """A guest, who speaks from now on; `changes` are to its ticket."""
        client = f"{by}/{slot}"
        self.keys[client] = key = SigningKey(bytes([100 + slot]) * 32)
        self._signers[client] = Authentication(self.config.cluster_id, key, self.verifier)
        values: dict[str, Any] = {"may": ("*",), "until": 0, "signing": key.public, **changes}
        ticket = Ticket(by, slot, link=bytes(32), **values)
        self.tickets[client] = self._signers[by].sign(ticket).raw
        return client

    def batch(self, *requests: Signed[Request], time: int | None = None) -> bytes:
        """The body of a proposal."""
        when = self.wall if time is None else time
        return encode_body(Batch(when, tuple(each.raw for each in requests)))

    def pre_prepare(
        self, view: int, sequence: int, batch: bytes, by: int | None = None
    ) -> Signed[PrePrepare]:
        """By the primary of `view` unless said otherwise."""
        signer = self.config.primary(view) if by is None else by
        return self._signers[signer].sign(PrePrepare(view, sequence, batch_digest(batch), signer))

    def proposal(self, view: int, sequence: int, batch: bytes, by: int | None = None) -> Proposal:
        return Proposal(self.pre_prepare(view, sequence, batch, by).raw, batch)

    def prepare(self, by: int, view: int, sequence: int, digest: bytes) -> Signed[Prepare]:
        return self._signers[by].sign(Prepare(view, sequence, digest, by))

    def commit(self, by: int, view: int, sequence: int, digest: bytes) -> Signed[Commit]:
        return self._signers[by].sign(Commit(view, sequence, digest, by))

    def checkpoint(self, by: int, sequence: int, digest: bytes) -> Signed[Checkpoint]:
        return self._signers[by].sign(Checkpoint(sequence, digest, by))

    def proof(self, sequence: int, digest: bytes, by: Iterable[int]) -> tuple[bytes, ...]:
        """Checkpoint votes of `by`."""
        return tuple(self.checkpoint(each, sequence, digest).raw for each in by)

    def certificate(self, view: int, sequence: int, batch: bytes, by: Iterable[int]) -> Certificate:
        """A prepared certificate with the prepares of `by`."""
        digest = batch_digest(batch)
        prepares = tuple(self.prepare(each, view, sequence, digest).raw for each in by)
        return Certificate(self.pre_prepare(view, sequence, batch).raw, prepares)

    def view_change(
        self,
        by: int,
        view: int,
        prepared: Iterable[Certificate] = (),
        low_watermark: int = 0,
        proof: tuple[bytes, ...] = (),
    ) -> Signed[ViewChange]:
        return self._signers[by].sign(ViewChange(view, low_watermark, proof, tuple(prepared), by))

    def new_view(
        self,
        view: int,
        view_changes: Iterable[Signed[ViewChange]],
        digests: dict[int, bytes],
        by: int | None = None,
        pre_prepare_view: int | None = None,
    ) -> Signed[NewView]:
        """A NEW-VIEW whose O proposes `digests`, whether that is right or not."""
        signer = self.config.primary(view) if by is None else by
        inner = view if pre_prepare_view is None else pre_prepare_view
        pps = tuple(
            self._signers[signer].sign(PrePrepare(inner, sequence, digest, signer)).raw
            for sequence, digest in digests.items()
        )
        changes = tuple(each.raw for each in view_changes)
        return self._signers[signer].sign(NewView(view, changes, pps, signer))

    def decision(self, view: int, sequence: int, batch: bytes, by: Iterable[int]) -> Decision:
        digest = batch_digest(batch)
        commits = tuple(self.commit(each, view, sequence, digest).raw for each in by)
        return Decision(self.pre_prepare(view, sequence, batch).raw, commits, batch)

    def clear(self) -> Effects:
        """Others say that they hold no vote of ours, until we vote."""
        everything = Effects([], [], [], [], [])
        for peer in range(self.config.n):
            if peer != self.me and not self.replica.status().voting:
                _add(everything, self.feed(Witness((), ()), peer=peer))
        return everything

    # -- shorthands ---------------------------------------------------------------------------

    def settle(self, sequence: int, *, view: int = 0, batch: bytes | None = None) -> Effects:
        """Have the cluster decide one batch, with this replica taking part as a backup."""
        body = self.batch(self.request(sequence)) if batch is None else batch
        digest = batch_digest(body)
        primary = self.config.primary(view)
        others = [r for r in range(self.config.n) if r not in (self.me, primary)]
        self.feed(self.proposal(view, sequence, body), peer=primary)
        self.feed(*(self.prepare(each, view, sequence, digest) for each in others))
        return self.feed(
            *(self.commit(each, view, sequence, digest) for each in [primary, *others])
        )

    def settle_until(self, last: int, *, first: int = 1, view: int = 0) -> None:
        """`settle` for a whole range."""
        for sequence in range(first, last + 1):
            self.settle(sequence, view=view)


def _add(whole: Effects, effects: Effects) -> None:
    whole.records += effects.records
    whole.messages += effects.messages
    whole.replies += effects.replies
    whole.events += effects.events
    whole.evidence += effects.evidence
    whole.nuisance |= effects.nuisance


def of_type(effects: Effects, kind: type) -> list[AnyMessage]:
    """The messages of one type that a turn sends."""
    return [send.message for send in effects.messages if isinstance(send.message, kind)]


def executed(effects: Effects) -> list[int]:
    """The sequence numbers that took effect in a turn."""
    return [event.sequence for event in effects.events if isinstance(event, Executed)]
