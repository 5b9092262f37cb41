"""A traitor made of attacks: each bends what the one before has left, or adds something.

With a `Fork` among them it runs a second core with the same past and the same key, which one part
of the cluster hears in the place of the first.
"""

import copy
import random
from collections import Counter
from collections.abc import Iterable, Sequence

from pbft.core.effects import Effects, Send
from pbft.core.errors import DecodeError
from pbft.core.ids import Instant, Packet, Principal, ReplicaId
from pbft.core.replica import Replica
from pbft.testing.byzantine.attacks import Attack, Fork, Fuzz, within
from pbft.testing.byzantine.behaviour import Behaviour
from pbft.testing.byzantine.colluding import Ring
from pbft.testing.byzantine.forging import Forger
from pbft.testing.byzantine.fuzzing import Fuzzing
from pbft.testing.byzantine.imitating import Imitating
from pbft.testing.byzantine.known import Known
from pbft.testing.byzantine.mutating import Values, about
from pbft.testing.byzantine.parts import PARTS, Part

COMPOSITIONS: dict[str, tuple[Attack, ...]] = {"fuzz": (Attack(Fuzz()),)}
"""Traitors of a plan that are made of these attacks, by name."""
COMPOSED = "composed"
"""The name of a traitor whose attacks are in the plan."""

_PARTS: dict[str, type[Part]] = {**PARTS, "imitate": Imitating, "fuzz": Fuzzing}


class Composed(Behaviour):
    """`seed` stands for the run and the traitor in it."""

    def __init__(self, honest: Replica, attacks: Sequence[Attack], ring: Ring, seed: str) -> None:
        super().__init__(honest)
        self.acts: Counter[str] = Counter()
        self.ring = ring
        self.values = Values()
        self.known = Known()
        self.forger = Forger(ring, honest.number, random.Random(f"forger {seed}"))
        self.turn = 0
        self._forks = [each for each in attacks if isinstance(each.act, Fork)]
        self._group: frozenset[Principal] = frozenset()
        self._fork: Replica | None = None
        self._parts = [
            _PARTS[type(each.act).__name__.lower()](self, each, random.Random(f"{seed} {each}"))
            for each in attacks
            if not isinstance(each.act, Fork)
        ]

    @property
    def others(self) -> tuple[ReplicaId, ...]:
        """All replicas but this one."""
        return tuple(r for r in range(self.honest.config.n) if r != self.honest.number)

    @property
    def deadline(self) -> int | None:
        cores = [self.honest] if self._fork is None else [self.honest, self._fork]
        dues = [core.deadline for core in cores] + [part.due for part in self._parts]
        return min((due for due in dues if due is not None), default=None)

    def receive(self, packets: Sequence[Packet], now: Instant) -> Effects:
        """Each core hears its own side."""
        self._begin(now)
        self.saw(packets)
        heard = [p for p in packets if all(part.hears(p, now.monotonic) for part in self._parts)]
        mine = [p for p in heard if 0 in self._sides(p)]
        effects = self._kept(self.honest.receive(mine, now), 0)
        if self._fork is not None:
            theirs = [p for p in heard if 1 in self._sides(p)]
            self._merge(effects, self._fork.receive(theirs, _later(now)))
        return self._bent(effects, now)

    def expire(self, now: Instant) -> Effects:
        """Whichever core's timers are due; a part may be alone in having something to do."""
        self._begin(now)
        effects = Effects([], [], [], [], [])
        if _is_due(self.honest, now):
            effects = self._kept(self.honest.expire(now), 0)
        if self._fork is not None and _is_due(self._fork, now):
            self._merge(effects, self._fork.expire(_later(now)))
        return self._bent(effects, now)

    def saw(self, packets: Sequence[Packet]) -> None:
        self.ring.saw(packets)
        for packet in packets:
            self._note(packet.data)
        for part in self._parts:
            part.saw(packets)

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        self._note(send.data)
        self.ring.rounds.of(send.message)
        sends = [send]
        for part in self._parts:
            sends = [bent for each in sends for bent in part.bend(each, now)]
        return sends

    def extra(self, now: Instant) -> Iterable[Send]:
        return [send for part in self._parts for send in part.extra(now)]

    def _note(self, data: bytes) -> None:
        message = self.known.message(data)
        if message is None:
            return
        try:
            self.values.note(about(message))
            self.known.note(message, data)
        except DecodeError:
            return
        self.forger.note(data)

    # -- the second core --------------------------------------------------------------------------

    def _begin(self, now: Instant) -> None:
        """A turn; the first one at which a fork is due makes it. Not before the honest core has
        leave to vote: the second one would never get it from its part of the cluster."""
        self.turn += 1
        if self._fork is not None or not self._forks or not self.honest.status().voting:
            return
        for each in self._forks:
            on_time = within(now.monotonic, each.target.times)
            if isinstance(each.act, Fork) and on_time and within(self.turn, each.target.turns):
                self._group = frozenset(each.act.group)
                self._fork = self._second()
                self.acts["fork"] += 1
                return

    def _second(self) -> Replica | None:
        """None where the service holds what cannot be copied, such as an open file."""
        shared = self.honest.authentication
        try:
            return copy.deepcopy(self.honest, {id(shared): shared})
        except TypeError:
            self._forks = []
            return None

    def _sides(self, packet: Packet) -> Iterable[int]:
        """Which of our cores are to hear it: a forked colluder's as it was meant."""
        peer = packet.peer
        if self._fork is None:
            return (0,)
        if not isinstance(peer, int):
            return (0, 1)
        if peer in self.ring.replicas:
            return self.ring.sides.get(packet.data, (0, 1))
        return (1,) if peer in self._group else (0,)

    def _merge(self, effects: Effects, theirs: Effects) -> None:
        """What the second core says; what it would write is forgotten."""
        said = self._kept(theirs, 1)
        effects.messages += said.messages
        effects.replies += said.replies

    def _kept(self, effects: Effects, side: int) -> Effects:
        """Of what a core says, that which its side is to hear."""
        if self._fork is not None:
            effects.messages = [each for send in effects.messages for each in self._to(send, side)]
            effects.replies = [each for send in effects.replies for each in self._to(send, side)]
        return effects

    def _to(self, send: Send, side: int) -> Iterable[Send]:
        known = self.ring.sides.get(send.data, ())
        self.ring.sides[send.data] = tuple(sorted({*known, side}))
        free = (*self.ring.replicas, *(each for each in send.to if not isinstance(each, int)))
        to = tuple(each for each in send.to if each in free or (each in self._group) == bool(side))
        return (Send(to, send.data, send.message),) if to else ()


def _is_due(core: Replica, now: Instant) -> bool:
    return core.deadline is not None and core.deadline <= now.monotonic


def _later(now: Instant) -> Instant:
    """A nanosecond on the clock apart: the two cores never propose the same batch."""
    return now._replace(wall=now.wall + 1)
