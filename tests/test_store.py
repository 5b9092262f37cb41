"""The store of a replica without a disk: it says what it is, and keeps nothing."""

import asyncio

from pbft.core.records import Began
from pbft.store import MemoryStore, Store


def test_nothing_is_there_after_anything_was_appended() -> None:
    async def main() -> None:
        assert store.append([Began()]).done()

    store: Store = MemoryStore()
    asyncio.run(main())
    assert list(store.load()) == []
    assert store.durability == "memory"
