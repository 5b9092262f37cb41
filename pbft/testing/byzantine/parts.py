"""What carries an attack out: one class per act, each with a chance of its own.

A part's chance depends on the plan's seed, its traitor and its own content: taking one attack out
of a plan leaves the others as they were.
"""

import heapq
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from pbft.core.effects import Send
from pbft.core.ids import Instant, Packet, ReplicaId
from pbft.core.messages import AnyMessage, NewView, Proposal, Signable, ViewChange
from pbft.core.replica import Replica
from pbft.core.wire import encode_link
from pbft.testing.byzantine.attacks import Attack, Target, within
from pbft.testing.byzantine.colluding import Ring
from pbft.testing.byzantine.forging import Forger
from pbft.testing.byzantine.known import Known
from pbft.testing.byzantine.mutating import Values, about, mutated
from pbft.testing.rounds import place


class Traitor(Protocol):
    """Whom a part belongs to."""

    honest: Replica
    ring: Ring
    values: Values
    known: Known
    forger: Forger
    turn: int
    acts: Counter[str]

    @property
    def others(self) -> tuple[ReplicaId, ...]: ...


class Part:
    """Carries out one attack. The defaults change nothing."""

    due: int | None = None
    """When it has something to do without anything having come in (monotonic ns)."""

    def __init__(self, traitor: Traitor, attack: Attack, rng: random.Random) -> None:
        self.traitor = traitor
        self.act: Any = attack.act
        self.target: Target = attack.target
        self.rng = rng

    def saw(self, packets: Sequence[Packet]) -> None:
        """Look at what came in."""

    def hears(self, packet: Packet, now: int) -> bool:
        """Whether a packet reaches the honest core."""
        return True

    def change(self, send: Send, now: Instant) -> Iterable[Send]:
        """What leaves in the place of a message that the target takes."""
        return (send,)

    def extra(self, now: Instant) -> Iterable[Send]:
        """What leaves besides, at the end of a turn."""
        return ()

    # -- to build with ----------------------------------------------------------------------------

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        """The message to whom the target leaves it, and what becomes of it for the others."""
        to = self._taken(send, now.monotonic)
        if not to:
            return (send,)
        left = tuple(each for each in send.to if each not in to)
        bent = list(self.change(Send(to, send.data, send.message), now))
        return [Send(left, send.data, send.message), *bent] if left else bent

    def on_time(self, now: int) -> bool:
        """Whether the target's times and turns are now."""
        return within(now, self.target.times) and within(self.traitor.turn, self.target.turns)

    def count(self, times: int = 1) -> None:
        """Note that the attack was really made."""
        self.traitor.acts[type(self.act).__name__.lower()] += times

    def say(self, send: Send, message: AnyMessage) -> Send:
        """`message` to the receivers of `send`: signed anew, or as the link message that it is."""
        self.count()
        if isinstance(message, Signable):
            data = self.traitor.ring.sign(message, self.traitor.honest.number)
        else:
            data = encode_link(message)
        return Send(send.to, data, message)

    def about(self, message: AnyMessage) -> bool:
        """Whether the target takes this message, whoever receives it."""
        target = self.target
        if target.kinds and type(message).__name__ not in target.kinds:
            return False
        if target.rounds is not None and not within(
            self.traitor.ring.rounds.of(message), target.rounds
        ):
            return False
        if target.views is None and target.numbers is None:
            return True
        view, number = place(message)
        return within(view, target.views) and within(number, target.numbers)

    def _taken(self, send: Send, now: int) -> tuple[Any, ...]:
        if not self.on_time(now) or not self.about(send.message):
            return ()
        to = self.target.to
        return tuple(
            each
            for each in send.to
            if (not to or each in to)
            and (self.target.chance >= 1.0 or self.rng.random() < self.target.chance)
        )


class Omitting(Part):
    def change(self, send: Send, now: Instant) -> Iterable[Send]:
        self.count(len(send.to))
        return ()


class Delaying(Part):
    """What was held leaves as it is: no later part bends it."""

    def __init__(self, traitor: Traitor, attack: Attack, rng: random.Random) -> None:
        super().__init__(traitor, attack, rng)
        self._held: list[tuple[int, int, Send]] = []
        self._made = 0

    def change(self, send: Send, now: Instant) -> Iterable[Send]:
        self.count()
        self._made += 1
        heapq.heappush(self._held, (now.monotonic + self.act.by_ns, self._made, send))
        self.due = self._held[0][0]
        return ()

    def extra(self, now: Instant) -> Iterable[Send]:
        ripe = []
        while self._held and self._held[0][0] <= now.monotonic:
            ripe.append(heapq.heappop(self._held)[2])
        self.due = self._held[0][0] if self._held else None
        return ripe


class Duplicating(Part):
    def change(self, send: Send, now: Instant) -> Iterable[Send]:
        self.count(self.act.times)
        return [send] * (1 + self.act.times)


class Flipping(Part):
    def change(self, send: Send, now: Instant) -> Iterable[Send]:
        self.count()
        data = bytearray(send.data)
        for _ in range(self.act.bits):
            data[self.rng.randrange(len(data))] ^= 1 << self.rng.randrange(8)
        return (Send(send.to, bytes(data), send.message),)


class Mutating(Part):
    """For each receiver anew, where the change is a random one."""

    def change(self, send: Send, now: Instant) -> Iterable[Send]:
        return [self._mutant(Send((to,), send.data, send.message)) for to in send.to]

    def _mutant(self, send: Send) -> Send:
        message, config = send.message, self.traitor.honest.config
        changed = mutated(
            message, self.act.field, self.act.change, self.traitor.values, self.rng, config
        )
        if changed == about(message):
            return send
        if isinstance(message, Proposal):
            raw = self.traitor.ring.sign(changed, self.traitor.honest.number)  # type: ignore[arg-type]
            return self.say(send, Proposal(raw, message.batch))
        return self.say(send, changed)


class Forging(Part):
    """For each receiver anew, where no form is given."""

    def change(self, send: Send, now: Instant) -> Iterable[Send]:
        if not isinstance(send.message, ViewChange | NewView):
            return (send,)
        return [self._forged(Send((to,), send.data, send.message)) for to in send.to]

    def _forged(self, send: Send) -> Send:
        if not isinstance(send.message, Signable):
            return send
        forged = self.traitor.forger.forged(send.message, self.act.form)
        return send if forged == send.message else self.say(send, forged)


class Repeating(Part):
    """From what the traitors have seen, and its own that the target is about."""

    ARCHIVE = 256

    def __init__(self, traitor: Traitor, attack: Attack, rng: random.Random) -> None:
        super().__init__(traitor, attack, rng)
        self._own: list[Send] = []
        self._next = 0

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        if self.about(send.message) and len(self._own) < self.ARCHIVE:
            self._own.append(send)
        return (send,)

    def extra(self, now: Instant) -> Iterable[Send]:
        if now.monotonic < self._next or not self.on_time(now.monotonic):
            return
        self._next = now.monotonic + self.act.every_ns
        for _ in range(self.act.count):
            old = self._old()
            if old is not None and self.rng.random() < self.target.chance:
                self.count()
                yield old

    def _old(self) -> Send | None:
        to = (self.rng.choice(self.target.to or self.traitor.others),)
        seen = self.traitor.ring.seen
        if seen and self.rng.random() < 0.5:
            data = seen[self.rng.randrange(len(seen))]
            message = self.traitor.known.message(data)
            return Send(to, data, message) if message and self.about(message) else None
        old = self.rng.choice(self._own) if self._own else None
        return Send(to, old.data, old.message) if old is not None else None


class Ignoring(Part):
    def hears(self, packet: Packet, now: int) -> bool:
        target = self.target
        if not self.on_time(now) or (target.to and packet.peer not in target.to):
            return True
        message = self.traitor.known.message(packet.data)
        if message is None or not self.about(message) or self.rng.random() >= target.chance:
            return True
        self.count()
        return False


PARTS: dict[str, type[Part]] = {
    "omit": Omitting,
    "delay": Delaying,
    "duplicate": Duplicating,
    "flip": Flipping,
    "mutate": Mutating,
    "forge": Forging,
    "repeat": Repeating,
    "ignore": Ignoring,
}
