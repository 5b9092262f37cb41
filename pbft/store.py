"""Where a replica's records go before its messages leave: the driver's first step (T34, T45)."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from pbft.core.effects import Diverged
from pbft.core.records import AnyRecord
from pbft.journal import Rotten


class Store(Protocol):
    """`append` hands records over, in order, and does not wait: its future is done once they, and
    all that were handed over before, are durable, or fails with a `StorageError`."""

    durability: str
    """One word for people: what a crash leaves."""

    @property
    def unsynced_bytes(self) -> int:
        """Of what was handed over and is not known to be durable."""
        ...

    def load(self) -> Sequence[AnyRecord]:
        """All records of earlier runs, in order."""
        ...

    def append(self, records: Sequence[AnyRecord]) -> "asyncio.Future[None]": ...

    def rotten(self) -> Rotten:
        """What was found since the last call to have rotted where it lies."""
        ...

    def set_aside(self, divergence: Diverged) -> None:
        """Keep what was appended so far where the repair does not reach it, for `pbft diverged`:
        once, and where that is cheap. Nothing depends on it, and nothing waits for it."""


class MemoryStore:
    """Keeps nothing: a process that ends has forgotten its votes. Its replica may start once in
    the life of a cluster, and is told so by its peers if it starts again."""

    durability = "memory"
    unsynced_bytes = 0

    def load(self) -> Sequence[AnyRecord]:
        """Nothing, ever."""
        return ()

    def append(self, records: Sequence[AnyRecord]) -> "asyncio.Future[None]":
        """Nothing outlives this process, so nothing has to be waited for."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def rotten(self) -> Rotten:
        """Nothing: it keeps nothing."""
        return Rotten()

    def set_aside(self, divergence: Diverged) -> None:
        """There is nothing to keep."""
