"""A replica's place in a simulation: its inbox, its disk, its crashes.

Records become durable some time after a turn; the turn's messages, and those of every later turn,
wait for that (T45). A crash loses what waits; a restart begins from what is durable.
"""

from collections.abc import Callable
from typing import Protocol

from pbft.core.effects import Effects, Send
from pbft.core.ids import Instant, Packet, ReplicaId
from pbft.core.records import AnyRecord
from pbft.core.status import ReplicaStatus


class Driven(Protocol):
    """A `Replica`, a behaviour around one, or twins."""

    def receive(self, packets: list[Packet], now: Instant) -> Effects: ...
    def expire(self, now: Instant) -> Effects: ...
    @property
    def deadline(self) -> int | None: ...
    def status(self) -> ReplicaStatus: ...


class Host:
    """One replica of the run. `boot(records)` makes it anew."""

    def __init__(
        self, number: ReplicaId, correct: bool, boot: Callable[[list[AnyRecord]], Driven]
    ) -> None:
        self.number = number
        self.correct = correct
        self.disk: list[AnyRecord] = []
        self.inbox: list[Packet] = []
        self.life = 0
        """Rises with every crash: what was scheduled in an earlier life does not happen."""
        self.up = True
        self.turn_at: int | None = None
        self.alarm_at: int | None = None
        self.durable_until = 0
        self._boot = boot
        self.replica = boot([])

    def crash(self) -> None:
        """Lose everything but the disk."""
        self.life += 1
        self.up = False
        self.inbox = []
        self.turn_at = self.alarm_at = None
        self.durable_until = 0

    def restart(self) -> None:
        """Begin again from the disk."""
        self.up = True
        self.replica = self._boot(list(self.disk))


class Pending:
    """What one turn wants written and said."""

    __slots__ = ("life", "records", "sends")

    def __init__(self, life: int, records: list[AnyRecord], sends: list[Send]) -> None:
        self.life = life
        self.records = records
        self.sends = sends
