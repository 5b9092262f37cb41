"""A replica and its store that die at one fail point of the real driver.

    mortal = Mortal(store, Stop(point, 3, False, 0), die)
    Node(..., store=mortal, wrap=mortal.around)

Both seams are the node's own. What the turn that reaches the point hands over is cut just there, so
that nothing beyond it leaves; the replica dies once what is left has been made durable and sent.
`die` ends the process, or raises.
"""

import asyncio
from collections.abc import Callable, Sequence

from pbft.core.effects import Diverged, Effects, Send
from pbft.core.ids import Instant, Packet
from pbft.core.records import AnyRecord
from pbft.core.status import ReplicaStatus
from pbft.journal import Rotten
from pbft.store import Store
from pbft.testing.failpoints import Boundary, Stop, Stops
from pbft.testing.host import Driven

QUIET_TURNS = 2
"""So many turns begin after the last record is durable before all of the outbox has been sent."""


class Mortal:
    """The store to hand to a node, and, by `around`, its replica."""

    def __init__(self, store: Store, stop: Stop, die: Callable[[], None]) -> None:
        self._store = store
        self._stops = Stops([stop])
        self._die = die
        self._unsynced: list[asyncio.Future[None]] = []
        self.durability = store.durability
        self.reached = False

    # -- as a store ---------------------------------------------------------------------------

    @property
    def unsynced_bytes(self) -> int:
        """As the store's."""
        return self._store.unsynced_bytes

    def load(self) -> Sequence[AnyRecord]:
        """What an earlier life has left."""
        return self._store.load()

    def append(self, records: Sequence[AnyRecord]) -> "asyncio.Future[None]":
        """To the store."""
        done = self._store.append(records)
        self._unsynced = [each for each in (*self._unsynced, done) if not each.done()]
        return done

    def rotten(self) -> Rotten:
        """As the store's."""
        return self._store.rotten()

    def set_aside(self, divergence: Diverged) -> None:
        """As the store does."""
        self._store.set_aside(divergence)

    # -- as a replica -------------------------------------------------------------------------

    def around(self, replica: Driven) -> "_Dying":
        """`replica`, until the point is reached."""
        return _Dying(replica, self)

    @property
    def durable(self) -> bool:
        """Whether all that was handed over is."""
        return all(each.done() for each in self._unsynced)

    def due(self, boundary: Boundary, kinds: set[str]) -> bool:
        """Whether this is the end."""
        self.reached = self._stops.reached(boundary, kinds) is not None
        return self.reached

    def end(self) -> None:
        """Now."""
        self._die()


class _Dying:
    """Between a node and its replica."""

    def __init__(self, replica: Driven, mortal: Mortal) -> None:
        self._replica = replica
        self._mortal = mortal
        self._quiet = 0

    def receive(self, packets: Sequence[Packet], now: Instant) -> Effects:
        if self._mortal.reached:
            return Effects()
        return self._cut(self._replica.receive(list(packets), now))

    def expire(self, now: Instant) -> Effects:
        if not self._mortal.reached:
            return self._cut(self._replica.expire(now))
        self._quiet += self._mortal.durable
        if self._quiet > QUIET_TURNS:
            self._mortal.end()
        return Effects()

    @property
    def deadline(self) -> int | None:
        """Once the point is reached, now: the node comes back until all is sent."""
        return 0 if self._mortal.reached else self._replica.deadline

    def status(self) -> ReplicaStatus:
        return self._replica.status()

    def _cut(self, effects: Effects) -> Effects:
        """What of a turn is still to happen."""
        due = self._mortal.due
        kinds = {type(each).__name__ for each in (*effects.records, *effects.events)}
        if due(Boundary.UNSYNCED, kinds):
            self._mortal.end()
        if due(Boundary.SYNCED, kinds):
            return Effects(records=effects.records)
        for at, send in enumerate(effects.messages):
            kind = {type(send.message).__name__}
            for count, boundary in ((1, Boundary.FIRST), (2, Boundary.SECOND)):
                if len(send.to) >= count and due(boundary, kind):
                    last = Send(send.to[:count], send.data, send.message)
                    sent = [*effects.messages[:at], last]
                    return Effects(records=effects.records, messages=sent)
        if effects.replies and due(Boundary.UNANSWERED, {"Reply"}):
            return Effects(records=effects.records, messages=effects.messages)
        if not self._replica.status().active:
            due(Boundary.INACTIVE, {"turn"})
        return effects
