"""What clients are answered: a retry gets the same reply, from every correct replica and at any
time (EO, CL5, ST6); and nobody reads under the ticket of another (T6)."""

from typing import TYPE_CHECKING

from pbft.core.effects import Effects, Send
from pbft.core.errors import DecodeError
from pbft.core.ids import Digest, Packet, Principal
from pbft.core.messages import Read, ReadReply, Reply
from pbft.core.service import FORGOTTEN
from pbft.core.wire import decode, decode_ticket, results_digest
from pbft.testing.host import Host
from pbft.testing.observers import Observer

if TYPE_CHECKING:
    from pbft.testing.simulator import Simulation


class OneReply(Observer):
    """Complains of two different replies of correct replicas to one request. That a request is too
    old to know what became of it is no reply about what it did."""

    def __init__(self) -> None:
        self._said: dict[tuple[Principal, int, Digest], Digest] = {}

    def begin(self, simulation: "Simulation") -> None:
        self._hosts: list[Host] = simulation.hosts

    def posted(self, now: int, source: Principal, send: Send, arrivals: list[int]) -> None:
        reply = send.message
        if not isinstance(reply, Reply) or not isinstance(source, int):
            return
        if not self._hosts[source].correct:
            return
        results = reply.results
        if isinstance(results, tuple):
            if FORGOTTEN in results:
                return
            results = results_digest(results)
        key = (send.to[0], reply.timestamp, reply.request)
        if self._said.setdefault(key, results) != results:
            text = f"{send.to[0]} was given two replies to its request {reply.timestamp}"
            self.complain(f"exactly-once: {text}")


class OwnTicket(Observer):
    """Complains of a correct replica that answers a read which shows another's ticket."""

    def __init__(self) -> None:
        self._refused: set[tuple[Principal, int]] = set()
        """(who asked, the read's nonce)."""

    def begin(self, simulation: "Simulation") -> None:
        sayings = (each for said in simulation.plan.outbursts or () for each in said.says)
        self._impostors = any(each.shows for each in sayings)

    def arrived(self, now: int, host: Host, packet: Packet) -> None:
        if not self._impostors or isinstance(packet.peer, int):
            return
        try:
            read = decode(packet.data)
            ticket = decode_ticket(read.ticket) if isinstance(read, Read) else None
        except DecodeError:
            return
        if isinstance(read, Read) and ticket is not None and ticket.client != packet.peer:
            self._refused.add((packet.peer, read.nonce))

    def turned(self, now: int, host: Host, effects: Effects) -> None:
        for send in effects.replies if host.correct and self._refused else ():
            said = send.message
            if isinstance(said, ReadReply) and (send.to[0], said.nonce) in self._refused:
                self.complain(f"validity: {send.to[0]} has read under the ticket of another")
