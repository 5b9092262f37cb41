"""Whoever looks at a simulation while it runs: recorders, further oracles, counters of situations.

An observer changes nothing: the same plan gives the same trace with and without it. An oracle among
them calls `complain`, and the run reports a violation like those of `Checkers`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from pbft.core.effects import Effects, Send
from pbft.core.ids import Packet, Principal
from pbft.core.records import AnyRecord
from pbft.testing.host import Host

if TYPE_CHECKING:
    from pbft.testing.simulator import Simulation


class Observer:
    """Overrides what it wants to see. Times are virtual nanoseconds."""

    complain: Callable[[str], None]
    """Set before the run begins: "property: what was seen"."""

    def begin(self, simulation: "Simulation") -> None:
        """The run is about to begin."""

    def posted(self, now: int, source: Principal, send: Send, arrivals: list[int]) -> None:
        """A packet (`send.to` is its one receiver) was put on a link; when it will arrive: not at
        all, once or twice."""

    def arrived(self, now: int, host: Host, packet: Packet) -> None:
        """A packet reached a replica that runs."""

    def turned(self, now: int, host: Host, effects: Effects) -> None:
        """A turn is over; nothing of it is durable or sent yet."""

    def durable(self, now: int, host: Host, record: AnyRecord) -> None:
        """A record reached the disk."""

    def released(self, now: int, host: Host, effects: Effects) -> None:
        """What a turn has recorded is durable: what it says may leave, and is reported."""

    def completed(self, now: int, client: str, call: int) -> None:
        """A correct client has its answer."""

    def fault(self, now: int, what: str, replica: int | None) -> None:
        """Something happened to a replica ("crash", "restart", ...)."""

    def ended(self, now: int) -> None:
        """Nothing happens any more: the time to complain about the whole."""
