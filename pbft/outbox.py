"""What turns have decided and may not say yet: released in order, once the disk has their records.

Turns do not wait for the disk; what they want to say does. A turn is released when its own records
and those of every earlier turn are durable, also a turn that has none of its own: it may repeat a
vote whose record is still on its way (T45). What waits is bounded. A store that fails releases
nothing from there on.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeAlias

from pbft.core.effects import Diverged, Effects
from pbft.store import Store

MAX_UNSYNCED_TURNS = 256
MAX_UNSYNCED_BYTES = 16 * 1024 * 1024
"""Of records that were handed to the store and are not durable: at either limit no turn begins."""

Turn: TypeAlias = "tuple[asyncio.Future[None] | None, Effects]"


class Outbox:
    """Between the turns of a replica and its sockets. `wake` is called when something may have
    become durable."""

    def __init__(self, store: Store, wake: Callable[[], None]) -> None:
        self._store = store
        self._wake = wake
        self._turns: deque[Turn] = deque()

    def put(self, effects: Effects) -> None:
        """Take the next turn's outcome. Raises `StorageError` where the store has failed."""
        durable = self._store.append(effects.records) if effects.records else None
        for event in effects.events:
            if isinstance(event, Diverged):  # now: the repair will write over it
                self._store.set_aside(event)
        if durable is not None and not durable.done():
            durable.add_done_callback(self._done)
        self._turns.append((durable, effects))

    def ready(self) -> Iterator[Effects]:
        """Every turn that may be heard of now, oldest first, once. Raises `StorageError` at the
        first that is not known to be durable, and at every call after that."""
        turns = self._turns
        while turns:
            durable, effects = turns[0]
            if durable is not None:
                if not durable.done():
                    return
                durable.result()
            turns.popleft()
            yield effects

    @property
    def waiting(self) -> int:
        """Turns that have not been released."""
        return len(self._turns)

    @property
    def full(self) -> bool:
        """Whether so much waits for the disk that no turn may begin."""
        waiting = len(self._turns) >= MAX_UNSYNCED_TURNS
        return waiting or self._store.unsynced_bytes >= MAX_UNSYNCED_BYTES

    async def drained(self) -> None:
        """Once all that was put is durable, or is known not to be."""
        pending = [durable for durable, _ in self._turns if durable is not None]
        await asyncio.gather(*pending, return_exceptions=True)

    def _done(self, durable: "asyncio.Future[None]") -> None:
        if not durable.cancelled():
            durable.exception()  # it is raised by `ready`; nobody else has to look at it
        self._wake()
