"""Messages from the fragments of one peer, in any order, within fixed bounds (T39).

The link says whose fragments they are, so a peer that floods crowds out nobody but itself. When a
bound is reached, what has had no news for longest goes first: whatever was lost is sent again.

A message that stays unfinished while nothing more of it arrives is asked for by its missing parts:
at first soon, then ever more rarely while that brings nothing, and a bounded number of times.
"""

from collections import Counter
from dataclasses import dataclass, field

from pbft.core.ids import MILLISECOND
from pbft.transport.frames import Fragment, missing_frames

FRAGMENT_COST_BYTES = 128
"""What keeping one fragment costs beside its data, in the books at least."""

ASK_NS = 20 * MILLISECOND
"""How long nothing of an unfinished message has arrived when its gaps are asked for at first."""
ASK_MAX_NS = 640 * MILLISECOND
"""The same after many questions in vain: every second one doubles the wait."""
ASKS = 16
"""Questions about one message."""
FINISHED_NAMES = 256
"""Names of finished messages remembered: a late copy of a fragment is not worth a question."""


@dataclass(frozen=True, slots=True)
class ReassemblyLimits:
    """Per peer. `held_bytes` counts fragments with their cost; `age_ns` is time without news."""

    held_bytes: int
    messages: int
    age_ns: int
    message_bytes: int


@dataclass(slots=True)
class Partial:
    count: int
    kind: int
    parts: dict[int, bytes] = field(default_factory=dict)
    size: int = 0
    cost: int = 0
    touched: int = 0
    again: bool = False
    """A message of this name has been finished before."""
    asks: int = 0
    asked_at: int | None = None
    """When its gaps were asked for, if nothing has arrived since."""
    vain: int = 0
    """Questions since anything arrived."""
    wait: int = ASK_NS

    @property
    def ask_at(self) -> int | None:
        """When to ask for what is missing; never for what is likely a late copy of a fragment."""
        if self.asks >= ASKS or (self.again and 2 * len(self.parts) < self.count):
            return None
        return (self.touched if self.asked_at is None else self.asked_at) + self.wait

    def news(self, now: int) -> None:
        """A fragment has arrived after a question: the next waits as long as this answer took,
        and as long again."""
        if self.asked_at is not None:
            self.wait = min(max(2 * (now - self.asked_at), ASK_NS), ASK_MAX_NS)
        self.asked_at = None
        self.vain = 0

    def ask(self, name: bytes, now: int) -> list[bytes]:
        """The question."""
        self.asks += 1
        self.asked_at = now
        self.vain += 1
        if self.vain % 2 == 0:
            self.wait = min(2 * self.wait, ASK_MAX_NS)
        return missing_frames(name, (at for at in range(self.count) if at not in self.parts))


class Reassembly:
    """The unfinished messages of one peer, least recently touched first."""

    def __init__(self, limits: ReassemblyLimits, drops: Counter[str]) -> None:
        self._limits = limits
        self._drops = drops
        self._partial: dict[bytes, Partial] = {}
        self._finished: dict[bytes, None] = {}
        self._wait = ASK_NS
        """How long to wait before the first question about a message: as answers take now."""
        self._bytes = 0

    @property
    def held_bytes(self) -> int:
        """What all unfinished messages cost together."""
        return self._bytes

    def add(self, fragment: Fragment, now: int) -> bytes | None:
        """The whole message, once `fragment` completes it. `now` is monotonic nanoseconds."""
        partial = self._partial.pop(fragment.name, None)
        if partial is None:
            again = fragment.name in self._finished
            partial = Partial(fragment.parts, fragment.kind, again=again, wait=self._wait)
        elif (partial.count, partial.kind) != (fragment.parts, fragment.kind):
            self._partial[fragment.name] = partial
            self._drops["fragment that contradicts others"] += 1
            return None
        if partial.asked_at is not None:
            partial.news(now)
            self._wait = partial.wait
        partial.touched = now
        if fragment.part not in partial.parts:
            self._keep(partial, fragment)
        if partial.size > self._limits.message_bytes:
            self._forget(partial, "message too large to reassemble")
            return None
        if len(partial.parts) == partial.count:
            self._bytes -= partial.cost
            self._finish(fragment.name)
            return b"".join(partial.parts[index] for index in range(partial.count))
        self._partial[fragment.name] = partial
        self._shrink(now)
        return None

    @property
    def deadline(self) -> int | None:
        """When `ask` has something to ask (monotonic ns)."""
        times = (each.ask_at for each in self._partial.values())
        return min((at for at in times if at is not None), default=None)

    def ask(self, now: int) -> list[bytes]:
        """Frames for the peer: what has been missing for long enough."""
        questions: list[bytes] = []
        for name, partial in self._partial.items():
            if partial.ask_at is not None and partial.ask_at <= now:
                questions += partial.ask(name, now)
        return questions

    def _finish(self, name: bytes) -> None:
        self._finished.pop(name, None)
        self._finished[name] = None
        if len(self._finished) > FINISHED_NAMES:
            del self._finished[next(iter(self._finished))]

    def _keep(self, partial: Partial, fragment: Fragment) -> None:
        cost = len(fragment.data) + FRAGMENT_COST_BYTES
        partial.parts[fragment.part] = fragment.data
        partial.size += len(fragment.data)
        partial.cost += cost
        self._bytes += cost

    def _forget(self, partial: Partial, reason: str) -> None:
        self._bytes -= partial.cost
        self._drops[reason] += 1

    def _shrink(self, now: int) -> None:
        """Down to the bounds again, the stalest first."""
        limits = self._limits
        while self._partial:
            name, stalest = next(iter(self._partial.items()))
            if now - stalest.touched > limits.age_ns:
                reason = "unfinished message grew old"
            elif self._bytes > limits.held_bytes or len(self._partial) > limits.messages:
                reason = "too many unfinished messages"
            else:
                return
            del self._partial[name]
            self._forget(stalest, reason)
