"""A program as users write it, that type checkers judge from outside: `make check` runs mypy on it.

Every result has exactly the type that is asserted, and every line with an ignored error is one: an
ignore that is not needed is an error itself under `strict`.
"""

from typing import assert_type

from pbft import (
    ApplicationError,
    BlockingClient,
    BlockingProxy,
    Client,
    ClientStats,
    Cluster,
    Context,
    KeptCalls,
    Map,
    Proxy,
    UnansweredError,
    command,
    query,
)
from pbft.receipts import Receipt
from pbft.services.configuration import RemoteConfiguration, Setting
from pbft.services.databases import BlockingDatabase
from pbft.services.locks import BlockingLocks, Lease
from pbft.services.queues import Item, Queues, RemoteQueues
from pbft.services.sql_tables import Outcome
from pbft.typed.events import Event
from pbft.typed.listening import events


class SoldOutError(ApplicationError):
    """Nothing is left. Argument: what."""


class Shop:
    """What is in stock, and who bought it."""

    closed: bool

    def __init__(self) -> None:
        self.stock = Map(str, int)
        self.closed = False

    @command
    def deliver(self, what: str, count: int = 1) -> int:
        self.stock[what] = self.stock.get(what, 0) + count
        return self.stock[what]

    @command
    def buy(self, context: Context, what: str) -> tuple[str, int]:
        if not self.stock.get(what, 0):
            raise SoldOutError(what)
        self.stock[what] -= 1
        return context.client, context.time

    @command(name="close", since=1)
    def shut(self) -> None:
        self.closed = True

    @query
    def left(self, what: str) -> int | None:
        return self.stock.get(what)


class RemoteShop(Proxy, Shop):
    """From asyncio."""


class BlockingShop(BlockingProxy, Shop):
    """Without asyncio."""


async def asynchronous(directory: str) -> None:
    async with Client(directory, identity="client-0", timeout=5.0) as client:
        assert_type(client, Client)
        assert_type(client.stats(), ClientStats)
        assert_type(client.cluster, Cluster)
        shop = RemoteShop(client, timeout=2.0, consistency="stale")
        assert_type(await shop.deliver("tea", count=3), int)
        assert_type(await shop.buy("tea"), tuple[str, int])
        assert_type(await shop.shut(), None)
        assert_type(await shop.options(consistency="ordered").left("tea"), int | None)
        await shop.deliver("tea", "three")  # type: ignore[arg-type]
        await shop.deliver()  # type: ignore[call-arg]
        await shop.sell("tea")  # type: ignore[attr-defined]
        shop.options(consistency="eventual")  # type: ignore[arg-type]
        key = shop.prepare(Shop.deliver, "tea", 2)
        assert_type(key, str)
        assert_type(await shop.resolve(Shop.deliver, key), int)
        shop.prepare(Shop.deliver, 2)  # type: ignore[arg-type]
        assert_type(await shop.certified(Shop.buy, "tea"), tuple[tuple[str, int], Receipt])
        with KeptCalls("calls.db", shop) as calls:
            assert_type(await calls.call(Shop.deliver, "tea"), int)
            await calls.call(Shop.deliver, "tea", "two")  # type: ignore[arg-type]
        try:
            await client.call(b"operation")
        except UnansweredError as error:
            assert_type(error.key, str | None)
        async for event in events(client, after=7):
            assert_type(event, Event)
        async for setting in RemoteConfiguration(client).watch("db/"):
            assert_type(setting, Setting)
        assert_type(await RemoteQueues(client).take("jobs"), Item | None)
        assert_type(Queues().length("jobs"), int)


def blocking(directory: str) -> None:
    with BlockingClient(directory) as client:
        shop = BlockingShop(client)
        assert_type(shop.deliver("tea"), int)
        assert_type(shop.left("tea"), int | None)
        assert_type(shop.resolve(Shop.deliver, shop.prepare(Shop.deliver, "tea")), int)
        assert_type(BlockingLocks(client).acquire("door", 2.5), Lease)
        assert_type(BlockingDatabase(client).run("SELECT 1"), Outcome)
        shop.left(7)  # type: ignore[arg-type]


def alone() -> None:
    """The class by itself, as in a test without a cluster."""
    assert_type(Shop().deliver("tea"), int)
    assert_type(Shop().left("tea"), int | None)
