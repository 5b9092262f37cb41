"""A retry gets the same reply, from every correct replica and at any time (EO, CL5, ST6)."""

from typing import TYPE_CHECKING

from pbft.core.effects import Send
from pbft.core.ids import Digest, Principal
from pbft.core.messages import Reply
from pbft.core.service import FORGOTTEN
from pbft.core.wire import results_digest
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
