"""Combinations: several behaviours around one replica, and twins of one identity."""

import random
from collections.abc import Iterable, Sequence

from pbft.core.effects import Effects, Send
from pbft.core.ids import Instant, Packet, Principal, ReplicaId
from pbft.core.replica import Replica
from pbft.core.status import ReplicaStatus
from pbft.testing.byzantine.behaviour import Behaviour, Maker
from pbft.testing.byzantine.lying import (
    LieInCheckpoints,
    LieInNewView,
    LieInViewChange,
    LieToClients,
    LieToLaggards,
    WithholdResults,
)
from pbft.testing.byzantine.ordering import (
    Corrupt,
    Equivocate,
    Flood,
    NameNothing,
    Replay,
    Withhold,
)

MIXABLE: dict[str, Maker] = {
    "equivocate": Equivocate,
    "corrupt": Corrupt,
    "replay": Replay,
    "withhold": Withhold,
    "flood": Flood,
    "name-nothing": NameNothing,
    "lie-to-clients": LieToClients,
    "lie-in-checkpoints": LieInCheckpoints,
    "lie-in-view-changes": LieInViewChange,
    "lie-in-new-views": LieInNewView,
    "lie-to-laggards": LieToLaggards,
    "withhold-results": WithholdResults,
}
"""By name, those that act now and then; `Mixed` draws by their order."""


class Mixed(Behaviour):
    """Any of the other attacks at any time, and honesty in between."""

    def __init__(self, honest: Replica) -> None:
        super().__init__(honest)
        self._parts = [kind(honest) for kind in MIXABLE.values()]

    def reseed(self, rng: random.Random) -> None:
        super().reseed(rng)
        for part in self._parts:
            part.reseed(rng)

    def saw(self, packets: Sequence[Packet]) -> None:
        for part in self._parts:
            part.saw(packets)

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        if self.rng.random() < 0.5:
            return (send,)
        part = self.rng.choice(self._parts)
        before = part.acted
        bent = list(part.bend(send, now))
        self.acted += part.acted - before
        return bent

    def extra(self, now: Instant) -> Iterable[Send]:
        if self.rng.random() < 0.8:
            return
        part = self.rng.choice(self._parts)
        before = part.acted
        yield from part.extra(now)
        self.acted += part.acted - before


class Twins:
    """One identity run twice by unmodified code, each copy speaking to one side of the cluster.

    With f+1 such identities and the correct replicas split between the sides, both sides reach
    quorums: the control in which checkers *must* report broken agreement (EQ6, AC2). `ledger` is
    shared by all twins of a run: which side each of their messages belongs to.
    """

    def __init__(
        self,
        copies: tuple[Replica, Replica],
        sides: dict[ReplicaId, int],
        ledger: dict[bytes, set[int]],
    ) -> None:
        self.copies = copies
        self.acted = 0
        self._sides = sides
        self._ledger = ledger

    def receive(self, packets: Sequence[Packet], now: Instant) -> Effects:
        """Each copy hears its own side."""
        whole = Effects([], [], [], [], [])
        for side, copy in enumerate(self.copies):
            heard = [packet for packet in packets if side in self._where(packet)]
            if heard:
                self._add(whole, copy.receive(heard, self._clock(now, side)), side)
        return whole

    def expire(self, now: Instant) -> Effects:
        """Both copies' timers."""
        whole = Effects([], [], [], [], [])
        for side, copy in enumerate(self.copies):
            if copy.deadline is not None and copy.deadline <= now.monotonic:
                self._add(whole, copy.expire(self._clock(now, side)), side)
        return whole

    @property
    def deadline(self) -> int | None:
        """The earlier of the two."""
        return min((c.deadline for c in self.copies if c.deadline is not None), default=None)

    def status(self) -> ReplicaStatus:
        """The first copy's."""
        return self.copies[0].status()

    def _clock(self, now: Instant, side: int) -> Instant:
        """A nanosecond apart, so that the copies never propose the same batch."""
        return now._replace(wall=now.wall + side)

    def _where(self, packet: Packet) -> set[int]:
        if not isinstance(packet.peer, int):
            return {0, 1}
        if packet.peer in self._sides:
            return {self._sides[packet.peer]}
        return self._ledger.get(packet.data, {0, 1})

    def _add(self, whole: Effects, effects: Effects, side: int) -> None:
        for send in effects.messages + effects.replies:
            to = tuple(t for t in send.to if self._reaches(t, side))
            self._ledger.setdefault(send.data, set()).add(side)
            if to:
                self.acted += 1
                whole.messages.append(Send(to, send.data, send.message))

    def _reaches(self, to: Principal, side: int) -> bool:
        return not isinstance(to, int) or self._sides.get(to, side) == side
