"""Calls that outlive their caller: kept before they are sent, asked for again, made once."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from pbft import Client, ConfigurationError, KeptCalls, StorageError, UnansweredError
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
