"""Misbehaviour is built *around* an honest replica: it sees what comes in, bends what goes out.

A behaviour has its replica's real keys and the same interface, so a simulation and a real node
drive it alike. It can say anything in its own name and repeat what others have signed; it cannot
forge their signatures, nor speak over their links.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from pbft.core.effects import Effects, Send
from pbft.core.ids import Instant, Packet
from pbft.core.messages import LinkMessage, Signable
from pbft.core.replica import Replica
from pbft.core.status import ReplicaStatus
from pbft.core.wire import encode_body, encode_link, seal_signed


class Behaviour:
    """Honest unless a subclass overrides `bend`. `acted` counts the attacks really made."""

    def __init__(self, honest: Replica) -> None:
        self.honest = honest
        self.acted = 0
        self.rng = random.Random(f"{type(self).__name__} {honest.number}")

    def reseed(self, rng: random.Random) -> None:
        """Take chances from `rng` in the place of the behaviour's own."""
        self.rng = rng

    def receive(self, packets: Sequence[Packet], now: Instant) -> Effects:
        """What the honest replica does about a burst, bent."""
        self.saw(packets)
        return self._bent(self.honest.receive(packets, now), now)

    def expire(self, now: Instant) -> Effects:
        """What the honest replica does when its timers fire, bent."""
        return self._bent(self.honest.expire(now), now)

    @property
    def deadline(self) -> int | None:
        """As the honest replica's."""
        return self.honest.deadline

    def status(self) -> ReplicaStatus:
        """The honest replica's: people are not lied to about what it really holds."""
        return self.honest.status()

    # -- to override --------------------------------------------------------------------------

    def saw(self, packets: Sequence[Packet]) -> None:
        """Look at what came in."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        """What leaves in the place of `send`."""
        return (send,)

    def extra(self, now: Instant) -> Iterable[Send]:
        """What leaves besides, at the end of a turn."""
        return ()

    # -- to build with ------------------------------------------------------------------------

    def _bent(self, effects: Effects, now: Instant) -> Effects:
        effects.messages = [b for send in effects.messages for b in self.bend(send, now)]
        effects.replies = [b for send in effects.replies for b in self.bend(send, now)]
        effects.messages += self.extra(now)
        return effects

    def signed(self, message: Signable) -> bytes:
        """`message` under our own key, whatever it claims."""
        return self.honest.authentication.sign(message).raw

    def reworded(self, message: Signable) -> bytes:
        """`message` under our own key, in an encoding that is not the one of its value (WF2)."""
        authentication, body = self.honest.authentication, encode_body(message)
        longer = b"\xdc" + (body[0] & 0x0F).to_bytes(2, "big") + body[1:]
        return seal_signed(longer, authentication._signer.sign(authentication._context + longer))

    def say(self, send: Send, message: "Signable | LinkMessage") -> Send:
        """`message` to the receivers of `send`; counted as an attack."""
        self.acted += 1
        data = self.signed(message) if isinstance(message, Signable) else encode_link(message)
        return Send(send.to, data, message)

    def split(self, send: Send) -> list[Send]:
        """One send per receiver."""
        return [Send((to,), send.data, send.message) for to in send.to]

    def some_digest(self) -> bytes:
        """32 bytes that name nothing."""
        return self.rng.randbytes(32)


Maker: TypeAlias = Callable[[Replica], Behaviour]
