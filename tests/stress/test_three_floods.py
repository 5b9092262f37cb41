"""Three clients flood real replicas as fast as they can, a guest among them: others are served."""

import asyncio
from pathlib import Path

import pytest

from pbft import Client
from pbft.cli.main import main as cli
from pbft.processes import Processes
from pbft.services.kv import KeyValueClient
from pbft.testing.cluster import ProcessCluster
from pbft.transport.loop import run

FLOODERS = ("client-1", "client-2", "liar")
PATIENT = ("client-0", "honest")
"""The admitter of both guests, and the other one."""
CALLS = 5


@pytest.mark.cluster
def test_nobody_who_asks_for_little_starves(tmp_path: Path) -> None:
    directory = tmp_path / "c"
    attackers = Processes(logs=tmp_path)

    async def calls(name: str) -> int:
        async with Client(directory, identity=name, timeout=30) as client:
            for number in range(CALLS):
                await KeyValueClient(client).put(name.encode(), b"%d" % number)
            return client.stats().requests

    async def main() -> list[int]:
        await calls("client-0")
        for number, name in enumerate(FLOODERS):
            arguments = ["-m", "tests.stress.attackers", "client", str(directory), name]
            attackers.start(number, arguments)
        await asyncio.sleep(2)
        return await asyncio.gather(*map(calls, PATIENT))

    with ProcessCluster(directory, clients=3, admits=2) as cluster:
        for guest in ("liar", "honest"):
            assert cli(["admit", str(directory), "client-0", guest]) == 0
        cluster.start()
        try:
            answered = run(main())
            assert attackers.ended() == {}
        finally:
            attackers.stop()
    assert answered == [CALLS] * len(PATIENT)
