"""What a driver waits on: datagrams, calls, or a time; whichever comes first."""

import asyncio
import time

from pbft.core.ids import SECOND, Instant


def instant() -> Instant:
    """Both clocks, for one turn."""
    return Instant(time.monotonic_ns(), time.time_ns())


class Alarm:
    """Wakes the one task that waits. It may be rung before the wait, and from callbacks."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Future[None] | None = None
        self._rung = False

    def ring(self) -> None:
        """End the wait that is under way, or the next one."""
        self._rung = True
        self._end()

    async def wait(self, until: int | None) -> None:
        """Until rung or `until` (monotonic ns). Always lets the event loop run, so that sockets
        are read however much work is waiting."""
        delay = None if until is None else until - time.monotonic_ns()
        if self._rung or (delay is not None and delay <= 0):
            self._rung = False
            await asyncio.sleep(0)
            return
        self._waiting = self._loop.create_future()
        timer = None if delay is None else self._loop.call_later(delay / SECOND, self._end)
        try:
            await self._waiting
        finally:
            self._waiting = None
            self._rung = False
            if timer is not None:
                timer.cancel()

    def _end(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
