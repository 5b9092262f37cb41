"""A replica's place in a simulation: its inbox, its disk, its crashes.

Records become durable some time after a turn; the turn's messages, and those of every later turn,
wait for that (T45). A crash may lose what waits; a restart begins from what the disk then holds.
"""

from collections.abc import Callable
from typing import Protocol

from pbft.core.effects import Effects
from pbft.core.ids import Instant, Packet, ReplicaId
from pbft.core.records import AnyRecord
from pbft.core.status import ReplicaStatus
from pbft.testing.disk import Disk


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
        self,
        number: ReplicaId,
        correct: bool,
        disk: Disk,
        boot: Callable[[list[AnyRecord]], Driven],
        node: int | None = None,
    ) -> None:
        self.number = number
        self.node = number if node is None else node
        """Where it is on the network: its number, or, of a twin's second copy, number + n."""
        self.correct = correct
        """Until its disk is damaged, too: from then on it is one of the f."""
        self.refused = False
        """It has found its disk damaged, or its votes forgotten, and stays down."""
        self.lost = False
        """Its disk was lost or is older: what it says in that time may be held against it later."""
        self.disk = disk
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
        self.disk.crash()
        self.inbox = []
        self.turn_at = self.alarm_at = None
        self.durable_until = 0

    def restart(self) -> list[AnyRecord]:
        """Begin again from the disk; what it held. Raises `DiskDamagedError`."""
        records = self.disk.read()
        self.replica = self._boot(records)
        self.up = True
        return records


class Pending:
    """What one turn wants written and said: `kinds` names its records and events, `transaction`
    its place on the disk."""

    __slots__ = ("effects", "kinds", "life", "transaction")

    def __init__(self, life: int, transaction: int, effects: Effects) -> None:
        self.life = life
        self.transaction = transaction
        self.effects = effects
        self.kinds = {type(each).__name__ for each in (*effects.records, *effects.events)}
