"""Calls that outlive their caller: kept before they are sent, asked for again, made once."""

import asyncio
import os
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from pbft import (
    Client,
    ConfigurationError,
    KeptCalls,
    Proxy,
    RejectedError,
    ServiceError,
    StorageError,
    UnansweredError,
    command,
)
from pbft.transport.loop import run
from tests.local_cluster import running
from tests.test_typed_client import nodes, saved
from tests.typed.bank import Bank, InsufficientError, RemoteBank

pytestmark = pytest.mark.usefixtures("asyncio_debug")


def test_what_was_not_answered_is_recovered_in_another_life(tmp_path: Path) -> None:
    async def main() -> None:
        cluster = saved(tmp_path / "c")
        async with Client(tmp_path / "c", identity="client-0") as client:
            with KeptCalls(tmp_path / "calls.db", RemoteBank(client, timeout=0.1)) as calls:
                for amount in (1, 20):
                    with pytest.raises(UnansweredError):
                        await calls.call(Bank.deposit, "ann", amount)
                cancelled = asyncio.create_task(calls.call(Bank.transfer, "ann", "bob", 300))
                await asyncio.sleep(0.05)
                cancelled.cancel()
                await asyncio.gather(cancelled, return_exceptions=True)
                assert (calls.made, calls.open) == (3, 3)
                with pytest.raises(UnansweredError):
                    await calls.recover()
                assert calls.open == 3
        async with running(*nodes(cluster, tmp_path / "c")):
            for life in range(2):
                async with Client(tmp_path / "c", identity="client-0") as client:
                    bank = RemoteBank(client)
                    with KeptCalls(tmp_path / "calls.db", bank) as calls:
                        found = await calls.recover()
                        assert calls.open == 0
                        if life == 0:
                            assert [each.result for each in found] == [1, 21, None]
                            assert isinstance(found[2].error, InsufficientError)
                            assert found[2].name == "transfer"
                        else:
                            assert found == []
                        assert await calls.call(Bank.deposit, "ann") == 22 + life
                        with pytest.raises(InsufficientError):
                            await calls.call(Bank.transfer, "ann", "bob", 300)
                        assert calls.open == 0
                        assert calls.made == 5 + 2 * life

    run(main())


def test_what_cannot_be_kept_is_not_sent(tmp_path: Path) -> None:
    async def main() -> None:
        cluster = saved(tmp_path / "c")
        async with (
            running(*nodes(cluster, tmp_path / "c")),
            Client(tmp_path / "c", identity="client-0") as client,
        ):
            bank = RemoteBank(client)
            with KeptCalls(tmp_path / "calls.db", bank) as calls:
                await calls.call(Bank.deposit, "ann")
                other = sqlite3.connect(tmp_path / "calls.db")
                other.execute("DROP TABLE calls")
                other.close()
                with pytest.raises(StorageError, match="is not made"):
                    await calls.call(Bank.deposit, "ann")
            with pytest.raises(StorageError, match=r"is not made: .*closed"):
                await calls.call(Bank.deposit, "ann")
            assert await bank.total() == 1
            with pytest.raises(ConfigurationError, match="does not keep calls"):
                KeptCalls(tmp_path / "nowhere" / "calls.db", bank)
            with KeptCalls(tmp_path / "more.db", bank) as calls:
                calls._keep("withdraw", client.prepare(b""))
            with (
                KeptCalls(tmp_path / "more.db", bank) as calls,
                pytest.raises(ConfigurationError, match="and the service has none"),
            ):
                await calls.recover()

    run(main())


def test_calls_that_are_cancelled_while_they_are_kept_stay_known(tmp_path: Path) -> None:
    """The disk is slow: what it has when all are cancelled is what `recover` makes."""

    async def main() -> None:
        cluster = saved(tmp_path / "c")
        async with (
            running(*nodes(cluster, tmp_path / "c")),
            Client(tmp_path / "c", identity="client-0") as client,
        ):
            bank = RemoteBank(client)
            with KeptCalls(tmp_path / "calls.db", bank) as calls:
                keep = calls._keep

                def slowly(name: str, key: str) -> int:
                    number = keep(name, key)
                    time.sleep(0.05)
                    return number

                calls._keep = slowly  # type: ignore[method-assign]
                asked = [asyncio.create_task(calls.call(Bank.deposit, "ann")) for _ in range(5)]
                for each in asked:
                    await asyncio.sleep(0.02)
                    each.cancel()
                told = await asyncio.gather(*asked, return_exceptions=True)
                assert all(isinstance(each, asyncio.CancelledError) for each in told)
                await asyncio.sleep(0.5)
                kept = calls.open
                assert kept == calls.made > 0
                await asyncio.gather(calls.recover(), calls.recover())
                assert calls.open == 0
                assert await bank.total() == kept

    run(main())


def test_what_a_newer_service_returns_ends_the_call_that_gave_it(tmp_path: Path) -> None:
    """It took effect, and its result cannot be read: to ask again for ever would help nobody."""

    class Newer:
        @command
        def deposit(self, name: str, amount: int = 1) -> list[str]:
            return []

    class RemoteNewer(Proxy, Newer): ...

    async def main() -> None:
        cluster = saved(tmp_path / "c")
        async with (
            running(*nodes(cluster, tmp_path / "c")),
            Client(tmp_path / "c", identity="client-0") as client,
        ):
            with KeptCalls(tmp_path / "calls.db", RemoteBank(client)) as calls:
                calls._keep("deposit", client.prepare(Bank.deposit.pack(("ann", 7), {})))
            with KeptCalls(tmp_path / "calls.db", RemoteNewer(client)) as calls:
                (found,) = await calls.recover()
                assert isinstance(found.error, ServiceError)
                assert calls.open == 0
            assert await RemoteBank(client).total() == 7

    run(main())


def test_a_file_that_is_none_is_not_left_open(tmp_path: Path) -> None:
    (tmp_path / "calls.db").write_text("no database " * 100)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ConfigurationError, match="does not keep calls") as caught:
        KeptCalls(tmp_path / "calls.db", RemoteBank(None))  # type: ignore[arg-type]
    assert caught
    assert len(os.listdir("/proc/self/fd")) == before


class Refuses:
    """A client whose cluster refuses everything, as it does for an exception of Python's own."""

    def prepare(self, operation: bytes) -> str:
        return ""

    async def resolve(self, key: str, *, timeout: float | None = None) -> bytes:
        raise RejectedError('KeyError: ["ann"]')


def test_what_raised_an_exception_of_pythons_own_has_ended(tmp_path: Path) -> None:
    """Or a recovery would raise it again in every life, and come to nothing behind it."""

    async def main() -> None:
        client: Any = Refuses()
        with KeptCalls(tmp_path / "calls.db", RemoteBank(client)) as calls:
            with pytest.raises(KeyError) as caught:
                await calls.call(Bank.deposit, "ann")
            assert isinstance(caught.value.__cause__, RejectedError)
            assert calls.open == 0

    run(main())


class Scripted(Proxy, Bank):
    """Answers once it is let, whoever asks."""

    def __init__(self) -> None:
        self.keys = 0
        self.answers = asyncio.Semaphore(0)

    def prepare(self, method: Any, *args: Any, **kwargs: Any) -> str:
        self.keys += 1
        return f"{self.keys}"

    async def resolve(self, method: Any, key: str) -> Any:
        await self.answers.acquire()
        return 1


def test_what_its_caller_and_a_recovery_ask_at_once_is_told_to_both(tmp_path: Path) -> None:
    """A recovery may begin just when the call is kept, and before its caller goes on."""

    async def main() -> None:
        proxy = Scripted()
        with KeptCalls(tmp_path / "calls.db", proxy) as calls:
            asked = asyncio.create_task(calls.call(Bank.deposit, "ann"))
            while not calls.open:  # noqa: ASYNC110 -- the very turn in which it is kept
                await asyncio.sleep(0)
            found = asyncio.create_task(calls.recover())
            await asyncio.sleep(0.05)
            proxy.answers.release()
            proxy.answers.release()
            assert await asyncio.wait_for(asked, 5) == 1
            assert [each.result for each in await asyncio.wait_for(found, 5)] in ([], [1])
            assert calls.open == 0

    run(main())


def test_what_has_ended_is_dropped_though_the_next_call_could_not_be_kept(tmp_path: Path) -> None:
    """In another life replicas may have forgotten it, and it would seem to be lost."""

    async def main() -> None:
        path, proxy = tmp_path / "calls.db", Scripted()
        proxy.answers.release()
        with KeptCalls(path, proxy) as calls:
            assert await calls.call(Bank.deposit, "ann") == 1
            other = sqlite3.connect(path, isolation_level=None)
            refusing = "BEFORE INSERT ON calls BEGIN SELECT raise(FAIL, 'full'); END"
            other.execute(f"CREATE TRIGGER full {refusing}")
            with pytest.raises(StorageError, match="full"):
                await calls.call(Bank.deposit, "ann")
            other.execute("DROP TRIGGER full")
            other.close()
        with KeptCalls(path, proxy) as calls:
            assert calls.open == 0

    run(main())
