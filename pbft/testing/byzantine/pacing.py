"""Attacks on liveness that stay below the timeout: proposals held back, clients kept waiting.

Each is as slow as it may be without a request timing out. What it holds back is another's to see:
a proposal before it is sent, a request before the honest core hears of it.
"""

from collections import deque
from collections.abc import Iterable, Sequence

from pbft.core.effects import Effects, Send
from pbft.core.errors import DecodeError
from pbft.core.ids import ClientId, Instant, Packet, RequestKey
from pbft.core.messages import NewView, Proposal, Request
from pbft.core.replica import Replica
from pbft.core.wire import decode
from pbft.testing.byzantine.behaviour import Behaviour, Maker

JUST_BELOW = 0.9
"""Of T: late, and in time on a network that takes its part of the rest."""


class Waiting(Behaviour):
    """Has something to do at `due`, beside the honest replica's own deadlines."""

    due: int | None = None

    @property
    def deadline(self) -> int | None:
        theirs = self.honest.deadline
        return theirs if self.due is None else self.due if theirs is None else min(self.due, theirs)

    def expire(self, now: Instant) -> Effects:
        theirs = self.honest.deadline
        if theirs is not None and theirs <= now.monotonic:
            return super().expire(now)
        return self._bent(Effects([], [], [], [], []), now)


class Slow(Waiting):
    """Delays each proposal by half the request timeout: never late enough to time out."""

    PART = 0.5

    def __init__(self, honest: Replica) -> None:
        super().__init__(honest)
        self._held: deque[tuple[int, Send]] = deque()

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        return self.hold(send, now) if isinstance(send.message, Proposal) else (send,)

    def hold(self, send: Send, now: Instant) -> Iterable[Send]:
        """Send it later."""
        self.acted += 1
        delay = round(self.PART * self.honest.config.request_timeout_ns)
        self._held.append((now.monotonic + delay, send))
        return ()

    def extra(self, now: Instant) -> Iterable[Send]:
        while self._held and self._held[0][0] <= now.monotonic:
            yield self._held.popleft()[1]
        self.due = self._held[0][0] if self._held else None


def slow(part: float) -> Maker:
    """A primary that delays each proposal by `part` of T."""

    class SlowBy(Slow):
        PART = part

    return SlowBy


class Hoard(Waiting):
    """Keeps requests from its honest core for a while; what was let through once comes again."""

    KEPT = 4096

    def __init__(self, honest: Replica) -> None:
        super().__init__(honest)
        self._release: dict[RequestKey, int] = {}
        """When each request seen so far is let through (monotonic ns)."""
        self._held: dict[RequestKey, Packet] = {}

    def when(self, client: ClientId, now: int) -> int:
        """The time at which a new request of `client` is let through."""
        raise TypeError("a subclass says when")

    @property
    def span(self) -> int:
        """Just below the timeout (ns)."""
        return round(JUST_BELOW * self.honest.config.request_timeout_ns)

    def receive(self, packets: Sequence[Packet], now: Instant) -> Effects:
        return super().receive([p for p in packets if not self._keeps(p, now.monotonic)], now)

    def expire(self, now: Instant) -> Effects:
        ripe = [key for key in self._held if self._release[key] <= now.monotonic]
        if ripe:
            return super().receive([self._held.pop(key) for key in ripe], now)
        return super().expire(now)

    def _keeps(self, packet: Packet, now: int) -> bool:
        try:
            message = decode(packet.data)
        except DecodeError:
            return False
        if not isinstance(message, Request):
            return False
        key = (message.client, message.timestamp)
        if key not in self._release and len(self._release) < self.KEPT:
            self._release[key] = self.when(message.client, now)
            self.acted += self._release[key] > now
        if self._release.get(key, now) <= now:
            return False
        self._held[key] = packet
        return True

    def extra(self, now: Instant) -> Iterable[Send]:
        self.due = min((self._release[key] for key in self._held), default=None)
        return ()


class StarveOne(Hoard):
    """Serves everybody at once but the first client that it hears of: that one just in time."""

    _victim: ClientId | None = None

    def when(self, client: ClientId, now: int) -> int:
        self._victim = self._victim or client
        return now + self.span if client == self._victim else now


class OneByOne(Hoard):
    """Serves one request at a time, each just before the timeout of the one that waits longest."""

    _last = 0

    def when(self, client: ClientId, now: int) -> int:
        self._last = max(self._last, now) + self.span
        return self._last


class FailViews(Slow):
    """As primary proposes nothing, and says NEW-VIEW so late that each of its views lasts longer
    than the one before."""

    PART = JUST_BELOW

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        if isinstance(send.message, Proposal):
            self.acted += 1
            return ()
        if not isinstance(send.message, NewView):
            return (send,)
        return self.hold(send, now)
