"""One turn in the making: the time it happens at, and the effects that rules append to."""

from pbft.core.effects import Effects, Event, Evidence, Send
from pbft.core.ids import Instant, Principal, ReplicaId
from pbft.core.messages import AnyMessage, LinkMessage, Signable, Signed
from pbft.core.records import AnyRecord
from pbft.core.wire import encode_link


class Turn:
    """`now` is fixed for the whole turn; `peers` are all replicas but this one."""

    __slots__ = ("effects", "now", "peers")

    def __init__(self, now: Instant, peers: tuple[ReplicaId, ...]) -> None:
        self.now = now
        self.peers = peers
        self.effects = Effects()

    def record(self, record: AnyRecord) -> None:
        """To be durable before any message of this turn leaves (T34)."""
        self.effects.records.append(record)

    def broadcast(self, message: "Signed[Signable] | LinkMessage") -> None:
        """To every other replica."""
        self.send(self.peers, message)

    def send(self, to: tuple[Principal, ...], message: "Signed[Signable] | LinkMessage") -> None:
        """To the principals named; nothing is sent to ourselves."""
        if isinstance(message, Signed):
            self.forward(to, message.message, message.raw)
        else:
            self.forward(to, message, encode_link(message))

    def forward(self, to: tuple[Principal, ...], message: AnyMessage, data: bytes) -> None:
        """Bytes that are already in their final form."""
        if to:
            self.effects.messages.append(Send(to, data, message))

    def reply(self, client: str, message: "Signed[Signable] | LinkMessage") -> None:
        """To a client."""
        if isinstance(message, Signed):
            send = Send((client,), message.raw, message.message)
        else:
            send = Send((client,), encode_link(message), message)
        self.effects.replies.append(send)

    def event(self, event: Event) -> None:
        """For people and checkers."""
        self.effects.events.append(event)

    def charge(self, peer: Principal, cost_us: int) -> None:
        """Note what `peer` made us do for nothing."""
        nuisance = self.effects.nuisance
        nuisance[peer] = nuisance.get(peer, 0) + cost_us

    def blame(self, evidence: Evidence) -> None:
        """Report what convicts a replica."""
        self.effects.evidence.append(evidence)
