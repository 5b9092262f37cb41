"""A rate with a burst: how many bytes may go now, and when the next may."""

from pbft.core.ids import SECOND


class Pace:
    """At most `burst` bytes at once and `rate` bytes per second in the long run."""

    def __init__(self, rate: int, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._at = 0

    def left(self, now: int) -> int:
        """Bytes that may go at `now` (monotonic ns)."""
        fresh = (now - self._at) * self._rate // SECOND
        if fresh > 0:
            self._left = min(self._burst, self._left + fresh)
            self._at = now
        return self._left

    def spend(self, size: int) -> None:
        """`size` bytes went."""
        self._left -= size
