"""A program as users write it, that type checkers judge from outside: `make check` runs mypy on it.

Every result has exactly the type that is asserted, and every line with an ignored error is one: an
ignore that is not needed is an error itself under `strict`.
"""

from typing import assert_type

from pbft import (
    ApplicationError,
    BlockingClient,
    BlockingKeptCalls,
    BlockingProxy,
    Client,
    ClientStats,
    Cluster,
    Context,
    Event,
    KeptCalls,
    Map,
    Proxy,
    Receipt,
    Recovered,
    UnansweredError,
    command,
    emit,
    events,
    query,
)
from pbft.receipts import Proven, parse, render, verify
from pbft.services.configuration import BlockingConfiguration, RemoteConfiguration, Setting
from pbft.services.counters import BlockingCounters, RemoteCounters
from pbft.services.databases import BlockingDatabase, RemoteDatabase
from pbft.services.elections import BlockingElections, RemoteElections, Term
from pbft.services.locks import BlockingLocks, Lease, RemoteLocks
from pbft.services.maps import BlockingMap, Entry, RemoteMap
from pbft.services.queues import BlockingQueues, Item, Queues, RemoteQueues
from pbft.services.sql_tables import Outcome, Rows


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
        emit("sold", what)
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


async def batteries(client: Client) -> None:
    """Each proxy has what its service has, awaited."""
    assert_type(await RemoteCounters(client).add("visits"), int)
    assert_type(await RemoteMap(client).put("a", b"b"), int)
    assert_type(await RemoteMap(client).get("a"), Entry | None)
    assert_type(await RemoteLocks(client).lease("door"), Lease | None)
    assert_type(await RemoteElections(client).campaign("leader", 5.0), Term)
    assert_type(await RemoteDatabase(client).select("SELECT 1"), Rows)
    assert_type(await RemoteConfiguration(client).put("a", "b", expected=0), Setting)
    await RemoteCounters(client).add(1)  # type: ignore[arg-type]
    await RemoteLocks(client).acquire("door", "long")  # type: ignore[arg-type]


def blocking(directory: str) -> None:
    with BlockingClient(directory, identity="client-0", timeout=5.0) as client:
        assert_type(client.name, str)
        assert_type(client.stats(), ClientStats)
        assert_type(client.cluster, Cluster)
        shop = BlockingShop(client, consistency="ordered")
        assert_type(shop.deliver("tea"), int)
        assert_type(shop.options(timeout=1, consistency="stale").left("tea"), int | None)
        assert_type(shop.resolve(Shop.deliver, shop.prepare(Shop.deliver, "tea")), int)
        shop.prepare(Shop.deliver, 2)  # type: ignore[arg-type]
        shop.options(consistency="eventual")  # type: ignore[arg-type]
        shop.sell("tea")  # type: ignore[attr-defined]
        shop.left(7)  # type: ignore[arg-type]
        bought, receipt = shop.certified(Shop.buy, "tea")
        assert_type(bought, tuple[str, int])
        assert_type(verify(parse(render(receipt)), client.cluster), Proven)
        with BlockingKeptCalls("calls.db", shop) as calls:
            assert_type(calls.call(Shop.deliver, "tea"), int)
            assert_type(calls.recover(), list[Recovered])
            calls.call(Shop.deliver, "tea", "two")  # type: ignore[arg-type]
        for event in events(client, after=7, topic="sold"):
            assert_type(event, Event)
        for setting in BlockingConfiguration(client).watch("db/"):
            assert_type(setting, Setting)


def blocking_batteries(client: BlockingClient) -> None:
    """The same, without awaiting."""
    assert_type(BlockingCounters(client).add("visits"), int)
    assert_type(BlockingMap(client).get("a"), Entry | None)
    assert_type(BlockingLocks(client).acquire("door", 2.5), Lease)
    assert_type(BlockingElections(client).campaign("leader", 5.0), Term)
    assert_type(BlockingQueues(client).take("jobs"), Item | None)
    assert_type(BlockingDatabase(client).run("SELECT 1"), Outcome)
    assert_type(BlockingConfiguration(client).get("a"), Setting | None)


def alone() -> None:
    """The class by itself, as in a test without a cluster."""
    assert_type(Shop().deliver("tea"), int)
    assert_type(Shop().left("tea"), int | None)
