"""All replicas killed at once come back by themselves with every acknowledged operation."""

import asyncio
from pathlib import Path

import pytest

from pbft.client import Client
from pbft.services.kv import KeyValueClient
from pbft.testing.cluster import ProcessCluster
from pbft.transport.loop import run
from tests.cluster.scene import BOUND, EVERYBODY, TIMEOUT, scene

pytestmark = pytest.mark.cluster


@pytest.mark.scenario("CR10")
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


@pytest.mark.scenario("CR10", "CR14")
@pytest.mark.parametrize("power_cuts", [False, True])
def test_all_replicas_killed_in_the_middle_of_a_view_change(
    tmp_path: Path, power_cuts: bool
) -> None:
    """With a power cut, what was not synced is gone, too."""

    async def main() -> None:
        async with scene(tmp_path / "c", power_cuts=power_cuts) as now:
            for _ in range(2):
                now.mesh.kill(await now.primary())
                await asyncio.sleep(TIMEOUT + 0.1)
                for replica in EVERYBODY:
                    now.mesh.kill(replica)
                now.mesh.start()
                await now.answers(10)
            await now.end_well()
            now.accuse_nobody()

    asyncio.run(main())


@pytest.mark.scenario("CR11", kills="CR11 nobody answers a replica that begins")
def test_replicas_restarted_one_after_another_under_load(tmp_path: Path) -> None:
    """Nothing is lost, and at most the restart of the primary costs a view change."""

    async def main() -> None:
        async with scene(tmp_path / "c") as now:
            for replica in EVERYBODY:
                primary, view = await now.primary(), await now.view()
                now.mesh.stop(replica)
                now.mesh.start(replica)
                await now.answers(10)
                await now.caught_up(replica, BOUND)
                assert await now.view() - view <= (replica == primary)
            await now.end_well()

    asyncio.run(main())
