"""Room for the calls of one client that are under way, by their number and their bytes.

Whoever finds none waits, and is let in in the order of coming: a large call is not passed by for
ever by small ones.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

MAX_CALLS = 4096
MAX_CALL_BYTES = 32 * 1024 * 1024
"""Under way at once, of their operations; more wait for room."""

Waiter: TypeAlias = "tuple[int, asyncio.Future[None]]"
"""Its bytes, and whom to tell."""


class Room:
    """At most so many calls, of so many bytes together."""

    def __init__(self, calls: int = MAX_CALLS, size: int = MAX_CALL_BYTES) -> None:
        self._calls = calls
        self._most = self._bytes = size
        self._waiting: deque[Waiter] = deque()

    @asynccontextmanager
    async def taken(self, size: int) -> AsyncIterator[None]:
        """While a call of `size` bytes is under way; one above all room takes all of it."""
        size = min(size, self._most)
        await self._enter(size)
        try:
            yield
        finally:
            self._leave(size)

    async def _enter(self, size: int) -> None:
        if not self._waiting and self._fits(size):
            self._take(size)
            return
        let_in: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, let_in))
        try:
            await let_in
        except BaseException:
            if let_in.cancelled():
                self._admit()  # those behind may fit
            else:
                self._leave(size)
            raise

    def _fits(self, size: int) -> bool:
        return self._calls > 0 and size <= self._bytes

    def _take(self, size: int) -> None:
        self._calls, self._bytes = self._calls - 1, self._bytes - size

    def _leave(self, size: int) -> None:
        self._calls, self._bytes = self._calls + 1, self._bytes + size
        self._admit()

    def _admit(self) -> None:
        while self._waiting:
            size, let_in = self._waiting[0]
            if not let_in.done():
                if not self._fits(size):
                    return
                self._take(size)
                let_in.set_result(None)
            self._waiting.popleft()
