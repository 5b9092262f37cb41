"""The yardstick of the benchmark really is the same service behind the same transport."""

import asyncio
from pathlib import Path

import pytest

from pbft.core.errors import UnansweredError
from pbft.services.kv import KeyValueClient
from pbft.testing.cluster import ProcessCluster, unreplicated
from pbft.testing.cluster.unreplicated import UnreplicatedClient, decode


@pytest.mark.cluster
def test_it_puts_and_gets(tmp_path: Path) -> None:
    async def go() -> None:
        async with UnreplicatedClient(tmp_path / "c", identity="client-0") as client:
            kv = KeyValueClient(client)
            keys = [b"%d" % number for number in range(600)]
            await asyncio.gather(*(kv.put(key, key * 20) for key in keys))
            assert await asyncio.gather(*map(kv.get, keys)) == [key * 20 for key in keys]

    with ProcessCluster(tmp_path / "c") as cluster:
        cluster.start_unreplicated()
        asyncio.run(go())


@pytest.mark.cluster
def test_no_server_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def go() -> None:
        async with UnreplicatedClient(tmp_path / "c", identity="client-0"):
            pytest.fail("there is nobody to connect to")

    monkeypatch.setattr(unreplicated, "CONNECT_SECONDS", 0.3)
    with ProcessCluster(tmp_path / "c"), pytest.raises(UnansweredError):
        asyncio.run(go())


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x92\x01", b"\x92\x01\x91\x01", b"\xff" * 50])
def test_what_is_no_exchange_is_dropped(data: bytes) -> None:
    assert decode(data) is None
