"""Large messages on their way to one peer: sent at a gentle pace, kept a while, repeated in part.

A message of many fragments never arrives whole where datagrams are lost: at 5 % loss one of 170 has
a chance of 2 in 10,000 (T39). So its fragments are kept, within bounds of bytes and age, and those
that the peer says it misses are sent again. What a lying peer gains by asking is bounded: each
fragment goes out `REPEATS` times more at most, within `AGE_NS`, at `REPEAT_BYTES_PER_SECOND`,
and only what was meant for that peer.
"""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

from pbft.core.ids import MILLISECOND, SECOND
from pbft.transport.frames import Missing, name_of
from pbft.transport.pacing import Pace

AGE_NS = 5 * SECOND
"""How long a message is kept once it was posted or asked for last, and how long after its posting
it may be asked for; what has not left by then never does."""
REPEATS = 8
"""How often one fragment is sent again for being missed, per posting of its message."""
PACE_BYTES_PER_SECOND = 128 * 1024 * 1024
BURST_BYTES = 512 * 1024
"""What leaves for one peer at once: several senders' bursts fit a kernel buffer of 4 MiB."""
PACE_NS = 1 * MILLISECOND
"""How long a sender waits that has used up its burst."""
REPEAT_BYTES_PER_SECOND = 8 * 1024 * 1024
REPEAT_BURST_BYTES = 1024 * 1024


@dataclass(slots=True)
class Posted:
    """One message, posted and last of interest at those times (monotonic ns); `repeats` and
    `waiting` are by part."""

    frames: Sequence[bytes]
    size: int
    at: int
    touched: int
    repeats: bytearray
    waiting: bytearray


class Bulk:
    """The large messages of one peer. `held_bytes` bounds them all, but the newest is kept however
    large it is. First to go is what nobody has asked for: it has arrived, most likely."""

    def __init__(self, held_bytes: int, drops: Counter[str]) -> None:
        self._most = held_bytes
        self._drops = drops
        self._posted: dict[bytes, Posted] = {}
        self._bytes = 0
        self._queue: deque[tuple[Posted, int]] = deque()
        self._pace = Pace(PACE_BYTES_PER_SECOND, BURST_BYTES)
        self._repeating = Pace(REPEAT_BYTES_PER_SECOND, REPEAT_BURST_BYTES)

    @property
    def held_bytes(self) -> int:
        """Of all frames that are kept."""
        return self._bytes

    @property
    def waiting(self) -> bool:
        """Whether anything has yet to leave."""
        return bool(self._queue)

    @property
    def deadline(self) -> int | None:
        """When `expire` has something to forget (monotonic ns)."""
        oldest = next(iter(self._posted.values()), None)
        return None if oldest is None else oldest.touched + AGE_NS

    def post(self, frames: Sequence[bytes], now: int) -> None:
        """The frames of a message, all of it to be sent: posted again, it counts as new."""
        name = name_of(frames[0])
        posted = self._posted.pop(name, None)
        if posted is None:
            size, count = sum(map(len, frames)), len(frames)
            posted = Posted(frames, size, now, now, bytearray(count), bytearray(count))
            self._bytes += size
        self._posted[name] = posted
        posted.at = posted.touched = now
        posted.repeats = bytearray(len(posted.frames))
        for part in range(len(posted.frames)):
            self._enqueue(posted, part)
        self._shrink()

    def repeat(self, missing: Missing, now: int) -> None:
        """Queue what the peer lacks, as far as it may still ask for it."""
        posted = self._posted.get(missing.name)
        if posted is None or posted.at + AGE_NS <= now:
            self._drops["fragments asked for that are not kept"] += 1
            return
        del self._posted[missing.name]
        self._posted[missing.name] = posted
        posted.touched = now
        left = self._repeating.left(now)
        for part in missing.parts:
            if part >= len(posted.frames) or posted.repeats[part] >= REPEATS:
                self._drops["fragment asked for too often"] += 1
            elif left < len(posted.frames[part]):
                self._drops["fragments asked for too fast"] += 1
                return
            elif not posted.waiting[part]:
                posted.repeats[part] += 1
                left -= len(posted.frames[part])
                self._repeating.spend(len(posted.frames[part]))
                self._enqueue(posted, part)

    def take(self, now: int) -> list[bytes]:
        """The frames that may leave now."""
        left = self._pace.left(now)
        frames: list[bytes] = []
        while self._queue and left > 0:
            posted, part = self._queue.popleft()
            if not posted.waiting[part]:
                continue
            posted.waiting[part] = 0
            frame = posted.frames[part]
            frames.append(frame)
            left -= len(frame)
            self._pace.spend(len(frame))
        return frames

    def expire(self, now: int) -> None:
        """Forget what was of interest long ago."""
        while self._posted and (self.deadline or 0) <= now:
            self._forget()

    def _enqueue(self, posted: Posted, part: int) -> None:
        if not posted.waiting[part]:
            posted.waiting[part] = 1
            self._queue.append((posted, part))

    def _shrink(self) -> None:
        while self._bytes > self._most and len(self._posted) > 1:
            self._forget()

    def _forget(self) -> None:
        """What has been of no interest for longest, sent or not."""
        posted = self._posted.pop(next(iter(self._posted)))
        self._bytes -= posted.size
        if any(posted.waiting):
            self._drops["large message not sent in time"] += 1
            self._queue = deque(each for each in self._queue if each[0] is not posted)
