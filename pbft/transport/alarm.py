"""What a driver waits on: datagrams, calls, or a time; whichever comes first."""

import asyncio
import time

from pbft.core.ids import SECOND, Instant

LEAST_STEP_NS, STEP_NS = SECOND, 10 * SECOND


def instant() -> Instant:
    """Both clocks, for one turn."""
    return Instant(time.monotonic_ns(), time.time_ns())


class Steps:
    """Notices where the wall clock was set (TM7): what others proposed by the clock before is under
    way still, and nobody is replaced for it, for `STEP_NS`."""

    def __init__(self, first: Instant) -> None:
        self._lead = first.wall - first.monotonic
        self._stepped = 0
        self._until = first.monotonic

    def noted(self, now: Instant) -> Instant:
        """`now`, with how far the clock has stepped lately."""
        lead, before = now.wall - now.monotonic, self._lead
        self._lead = lead
        if abs(lead - before) > LEAST_STEP_NS:
            self._stepped, self._until = lead - before, now.monotonic + STEP_NS
        return now._replace(stepped=self._stepped if now.monotonic < self._until else 0)


class Alarm:
    """Wakes the one task that waits. It may be rung before the wait, and from callbacks."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Future[None] | None = None
        self._rung = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0

    def ring(self) -> None:
        """End the wait that is under way, or the next one."""
        self._rung = True
        self._end()

    async def wait(self, until: int | None) -> None:
        """Until rung or `until` (monotonic ns), at times a little too early: a timer that is set
        already is not moved, since deadlines move with every turn. Always lets the event loop run,
        so that sockets are read however much work is waiting."""
        now = time.monotonic_ns()
        if self._rung or (until is not None and until <= now):
            self._rung = False
            await asyncio.sleep(0)
            return
        if until is not None and (self._timer is None or self._timer_at > until):
            self._set_timer(until, now)
        self._waiting = self._loop.create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None
            self._rung = False

    def close(self) -> None:
        """Leave no timer behind."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self, until: int, now: int) -> None:
        self.close()
        self._timer_at = until
        self._timer = self._loop.call_later((until - now) / SECOND, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._end()

    def _end(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
