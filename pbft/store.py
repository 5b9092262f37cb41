"""Where a replica's records go before its messages leave: the driver's first step (T34, T45)."""

from collections.abc import Sequence
from typing import Protocol

from pbft.core.records import AnyRecord


class Store(Protocol):
    """`append` returns once the records, and all that were handed over before, are durable."""

    durability: str
    """One word for people: what a crash leaves."""

    def load(self) -> Sequence[AnyRecord]:
        """All records of earlier runs, in order."""
        ...

    async def append(self, records: Sequence[AnyRecord]) -> None: ...


class MemoryStore:
    """Keeps nothing: a process that ends has forgotten its votes. Its replica may start once in
    the life of a cluster, and is told so by its peers if it starts again."""

    durability = "memory"

    def load(self) -> Sequence[AnyRecord]:
        """Nothing, ever."""
        return ()

    async def append(self, records: Sequence[AnyRecord]) -> None:
        """Nothing outlives this process, so nothing has to be waited for."""
