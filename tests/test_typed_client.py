"""Proxies, keys and consistency over real sockets, with and without asyncio."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import get_args

import pytest

from pbft import (
    BlockingClient,
    Client,
    ConfigurationError,
    ForgottenOutcomeError,
    InvalidArgumentsError,
    NotPermittedError,
    PbftError,
    Proxy,
    UnansweredError,
    UnknownCommandError,
    query,
)
from pbft.cluster import Cluster
from pbft.cluster_file import parse, render
from pbft.node import Node
from pbft.testing.cluster import free_ports
from pbft.testing.cluster.local import local_cluster
from pbft.transport.loop import run
from pbft.typed.proxy import Consistency
from tests.local_cluster import PROTOCOL, make_node, running
from tests.typed.bank import Bank, BlockingBank, InsufficientError, RemoteBank

pytestmark = pytest.mark.usefixtures("asyncio_debug")


def saved(directory: Path, may: str = "") -> Cluster:
    """A cluster of banks with two clients; `may` is what the second may call. The first may switch
    versions as well."""
    cluster, identities = Cluster.create(
        4, 2, ports=free_ports(8), protocol=PROTOCOL, service="tests.typed.bank:Bank"
    )
    cluster.save(directory, identities)
    if may:
        path = directory / "cluster.toml"
        head, _, tail = path.read_text().rpartition('may = ["*"]')
        head = head.replace('may = ["*"]', 'may = ["*", "pbft.upgrade"]')
        path.write_text(head + f'may = ["{may}"]' + tail)
    loaded = Cluster.load(directory)
    assert parse(render(loaded.file)) == loaded.file
    return loaded


def nodes(cluster: Cluster, directory: Path, count: int = 4, service: type = Bank) -> list[Node]:
    names = [each.name for each in cluster.replicas]
    identities = {name: cluster.identity(directory, name) for name in names}
    return [make_node(cluster, identities, each, service=service()) for each in range(count)]


def test_a_proxy_asks_and_raises_what_the_service_raises(tmp_path: Path) -> None:
    async def main() -> None:
        cluster = saved(tmp_path / "c", may="total")
        async with running(*nodes(cluster, tmp_path / "c")):
            async with Client(tmp_path / "c", identity="client-0") as client:
                bank = RemoteBank(client)
                assert await bank.deposit("ann", 5) == 5
                with pytest.raises(InsufficientError) as caught:
                    await bank.transfer("ann", "bob", amount=6)
                assert caught.value.args == ("too little", 5)
                levels: tuple[Consistency, ...] = ("linearizable", "ordered", "stale")
                for consistency in levels:
                    asked = bank.options(consistency=consistency)
                    assert await asked.balance("ann") == 5
                await bank.upgrade(2)
                with pytest.raises(AttributeError, match="is a proxy and has no transfers"):
                    _ = bank.transfers
            async with Client(tmp_path / "c", identity="client-1") as other:
                assert await RemoteBank(other).total() == 5
                with pytest.raises(NotPermittedError):
                    await RemoteBank(other).deposit("ann", 5)
                with pytest.raises(NotPermittedError, match=r"may not call pbft\.upgrade"):
                    await RemoteBank(other).upgrade(3)

    run(main())


def test_a_call_that_was_not_answered_takes_effect_once_whoever_asks(tmp_path: Path) -> None:
    async def main() -> None:
        cluster = saved(tmp_path / "c")
        made = nodes(cluster, tmp_path / "c")
        async with Client(tmp_path / "c", identity="client-0") as client:
            bank = RemoteBank(client, timeout=0.3)
            with pytest.raises(UnansweredError) as caught:
                await bank.deposit("ann", 5)
            prepared = bank.prepare(Bank.deposit, "ann", 7)
        key = caught.value.key
        assert key is not None
        async with running(*made), Client(tmp_path / "c", identity="client-0") as client:
            bank = RemoteBank(client)
            assert await bank.resolve(Bank.deposit, key) == 5
            assert await bank.resolve(Bank.deposit, prepared) == 12
            assert await bank.resolve(Bank.deposit, key) == 5
            for _ in range(cluster.config.client_window):
                await bank.deposit("bob")
            with pytest.raises(ForgottenOutcomeError):
                await bank.resolve(Bank.deposit, key)
            assert await bank.balance("ann") == 12
            with pytest.raises(ConfigurationError, match="key of a call"):
                await bank.resolve(Bank.deposit, "not/a key")

    run(main())


@contextmanager
def serving(cluster: Cluster, directory: Path, service: type = Bank) -> Iterator[None]:
    """A cluster in a thread with a loop of its own."""
    ends: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        over = asyncio.Event()
        ends.append((asyncio.get_running_loop(), over))
        async with running(*nodes(cluster, directory, service=service)):
            await over.wait()

    thread = Thread(target=run, args=(main(),))
    thread.start()
    try:
        yield
    finally:
        loop, over = ends[0]
        loop.call_soon_threadsafe(over.set)
        thread.join()


def test_without_asyncio(tmp_path: Path) -> None:
    cluster = saved(tmp_path / "c")
    with serving(cluster, tmp_path / "c"), BlockingClient(tmp_path / "c") as client:
        bank = BlockingBank(client, timeout=10)
        assert bank.deposit("ann", 5) == 5
        assert bank.options(consistency="stale").total() == 5
        assert bank.resolve(Bank.deposit, bank.prepare(Bank.deposit, "ann")) == 6
        with pytest.raises(InsufficientError):
            bank.transfer("ann", "bob", 7)
        assert client.stats().requests >= 3
        assert client.status(0).status.replica == 0
        assert client.cluster.config.n == 4
        threads = [Thread(target=bank.deposit, args=("bob",)) for _ in range(20)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert bank.balance("bob") == 20
    with pytest.raises(PbftError, match="not open"):
        bank.total()
    client.close()


def test_a_blocking_client_that_cannot_open_leaves_no_thread(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError), BlockingClient(tmp_path):
        pass


def test_a_level_that_there_is_not_is_refused_where_it_is_written() -> None:
    """Not treated as another one, which promises something else."""
    for kind in (RemoteBank, BlockingBank):
        for level in ("Stale", "eventual", "", None, ["stale"]):
            with pytest.raises(InvalidArgumentsError, match="linearizable, ordered, stale"):
                kind(None, consistency=level)  # type: ignore[arg-type]
        bank = kind(None)  # type: ignore[arg-type]
        with pytest.raises(InvalidArgumentsError, match="'staled'"):
            bank.options(consistency="staled")  # type: ignore[arg-type]


def test_options_that_are_not_given_stay_as_they_are() -> None:
    bank = RemoteBank(None, timeout=7, consistency="stale")  # type: ignore[arg-type]
    both = bank.options(consistency="ordered").options(timeout=1)
    assert (both._timeout, both._consistency) == (1, "ordered")
    assert (bank.options()._timeout, bank._consistency) == (7, "stale")


def test_every_level_is_told_about() -> None:
    page = (Path(__file__).parent.parent / "docs/how-to/consistency.md").read_text("utf-8")
    rows = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert tuple(rows) == get_args(Consistency)


class Second(Bank):
    version = 2

    @query(since=2)
    def rich(self, owner: str) -> bool:
        return self.accounts.get(owner, 0) > 100


class RemoteSecond(Proxy, Second): ...


def test_who_tests_a_later_version_can_switch_to_it() -> None:
    async def main() -> None:
        async with local_cluster(Second) as cluster, cluster.client() as client:
            bank = RemoteSecond(client)
            with pytest.raises(UnknownCommandError, match="version 1"):
                await bank.rich("ann")
            await bank.upgrade(2)
            assert not await bank.rich("ann")

    run(main())
