"""Messages from the fragments of one peer, in any order, within fixed bounds (T39).

The link says whose fragments they are, so a peer that floods crowds out nobody but itself. When a
bound is reached, what has had no news for longest goes first: whatever was lost is sent again.
"""

from collections import Counter
from dataclasses import dataclass, field

from pbft.transport.frames import Fragment

FRAGMENT_COST_BYTES = 128
"""What keeping one fragment costs beside its data, in the books at least."""


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


class Reassembly:
    """The unfinished messages of one peer, least recently touched first."""

    def __init__(self, limits: ReassemblyLimits, drops: Counter[str]) -> None:
        self._limits = limits
        self._drops = drops
        self._partial: dict[bytes, Partial] = {}
        self._bytes = 0

    @property
    def held_bytes(self) -> int:
        """What all unfinished messages cost together."""
        return self._bytes

    def add(self, fragment: Fragment, now: int) -> bytes | None:
        """The whole message, once `fragment` completes it. `now` is monotonic nanoseconds."""
        partial = self._partial.pop(fragment.name, None)
        if partial is None:
            partial = Partial(fragment.parts, fragment.kind)
        elif (partial.count, partial.kind) != (fragment.parts, fragment.kind):
            self._partial[fragment.name] = partial
            self._drops["fragment that contradicts others"] += 1
            return None
        partial.touched = now
        if fragment.part not in partial.parts:
            self._keep(partial, fragment)
        if partial.size > self._limits.message_bytes:
            self._forget(partial, "message too large to reassemble")
            return None
        if len(partial.parts) == partial.count:
            self._bytes -= partial.cost
            return b"".join(partial.parts[index] for index in range(partial.count))
        self._partial[fragment.name] = partial
        self._shrink(now)
        return None

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
