"""All replicas killed at once come back by themselves with every acknowledged operation."""

import asyncio
from pathlib import Path

import pytest

from pbft.client import Client
from pbft.services.kv import KeyValueClient
from pbft.testing.cluster import ProcessCluster
from pbft.transport.loop import run

pytestmark = pytest.mark.cluster


def test_acknowledged_puts_survive_a_kill_of_all(tmp_path: Path) -> None:
    protocol = {"checkpoint_interval": 8, "window": 16}

    async def load(first: int) -> None:
        async with Client(tmp_path / "c", timeout=20) as client:
            kv = KeyValueClient(client)
            puts = (kv.put(b"k%03d" % n, b"%d" % n) for n in range(first, first + 30))
            await asyncio.gather(*puts)

    async def held(keys: int) -> None:
        async with Client(tmp_path / "c", timeout=20) as client:
            expected = [(b"k%03d" % n, b"%d" % n) for n in range(keys)]
            assert await KeyValueClient(client).scan() == expected

    with ProcessCluster(tmp_path / "c", protocol=protocol) as cluster:
        cluster.start()
        for round_number in range(3):
            run(load(30 * round_number))
            for replica in range(4):
                cluster.kill(replica)
            cluster.start()
            run(held(30 * (round_number + 1)))
        cluster.check()
