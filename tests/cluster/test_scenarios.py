"""A cluster always comes back: whatever the network and the processes did, once both are well all
replicas are in one view and one state within `BOUND` seconds, and no answer was lost or wrong."""

import asyncio
from pathlib import Path

import pytest

from pbft import Client
from pbft.cluster import CLUSTER_FILE
from pbft.services.kv import KeyValueClient
from pbft.testing.cluster.account import until_level
from pbft.testing.cluster.mesh import MeshCluster
from pbft.testing.cluster.proxy import CUT, Conditions
from tests.cluster.scene import BOUND, EVERYBODY, PROTOCOL, TIMEOUT, scene

pytestmark = pytest.mark.cluster


def test_a_primary_suspended_for_five_timeouts(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path / "c") as now:
            primary = await now.primary()
            now.mesh.suspend(primary)
            await asyncio.sleep(5 * TIMEOUT)
            await now.answers(10)
            now.mesh.resume(primary)
            await now.answers(10)
            await now.end_well()
            assert await now.primary() != primary

    asyncio.run(main())


@pytest.mark.scenario("NW3")
def test_partitions_two_and_two(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path / "c") as now:
            for halves in (({0, 1}, {2, 3}), ({0, 2}, {1, 3})):
                now.mesh.partition(*halves)
                await asyncio.sleep(3 * TIMEOUT)
                now.mesh.heal()
                await now.answers(20)
            await now.end_well()
            now.accuse_nobody()

    asyncio.run(main())


@pytest.mark.scenario("NW4")
def test_each_replica_alone_in_turn(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path / "c") as now:
            for alone in EVERYBODY:
                now.mesh.partition({alone}, set(EVERYBODY) - {alone})
                await now.answers(15)
                await asyncio.sleep(TIMEOUT)
            now.mesh.heal()
            await now.answers(15)
            await now.end_well()

    asyncio.run(main())


@pytest.mark.scenario("NW6")
def test_a_primary_that_hears_and_cannot_speak_then_speaks_and_cannot_hear(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path / "c") as now:
            for cut in (now.mesh.mute, now.mesh.deafen):
                cut(await now.primary())
                await now.answers(20)
                await asyncio.sleep(2 * TIMEOUT)
                now.mesh.heal()
                await now.rest()
                await now.level()
                now.work()
            await now.end_well()

    asyncio.run(main())


@pytest.mark.scenario("VC20", "NW1")
@pytest.mark.parametrize("loss", [0.3, 1.0])
def test_a_mesh_that_fails_for_a_while_after_the_last_request(tmp_path: Path, loss: float) -> None:
    """Nobody asks anything more: what brings the replicas together is their own retransmission."""

    async def main() -> None:
        async with scene(tmp_path / "c") as now:
            now.mesh.everywhere(Conditions(loss=loss))
            await asyncio.sleep(2 * TIMEOUT)
            resting = asyncio.create_task(now.rest())
            await asyncio.sleep(4 * TIMEOUT)
            now.mesh.heal()
            await resting
            await now.level()
            await now.end_well()

    asyncio.run(main())


@pytest.mark.scenario("NW2", "NW10")
def test_a_bad_network_all_along(tmp_path: Path) -> None:
    """Loss, delay, doubling, reordering and corruption on every link, those of the client too."""

    async def main() -> None:
        async with scene(tmp_path / "c") as now:
            bad = Conditions(0.05, 0.05, 0.05, 0.05, (0.0, 5.0))
            now.mesh.everywhere(bad)
            for replica in EVERYBODY:
                now.mesh.set("client-0", f"replica-{replica}", bad)
                now.mesh.set(f"replica-{replica}", "client-0", bad)
            await now.answers(150, seconds=12)
            now.mesh.heal()
            await now.end_well()

    asyncio.run(main())


@pytest.mark.scenario("CL3")
def test_a_client_whose_primary_is_out_of_its_reach(tmp_path: Path) -> None:
    """The others pass its requests on, so nobody is replaced for it."""

    async def main() -> None:
        async with scene(tmp_path / "c") as now:
            primary = await now.primary()
            now.mesh.set("client-0", f"replica-{primary}", CUT)
            await now.answers(10)
            now.mesh.heal()
            await now.end_well()
            assert await now.primary() == primary

    asyncio.run(main())


def said(mesh: MeshCluster, replica: int) -> str:
    """In its log."""
    return (mesh.directory / f"replica-{replica}.log").read_text("utf-8")


async def until_said(mesh: MeshCluster, replica: int, words: str) -> None:
    for _ in range(int(BOUND * 20)):
        if words in said(mesh, replica):
            return
        await asyncio.sleep(0.05)
    raise TimeoutError(f"replica {replica} does not say: {words}")


@pytest.mark.scenario("CF4")
def test_a_replica_with_another_cluster_file_is_named_on_both_sides(tmp_path: Path) -> None:
    """It votes nowhere, and the other three go on; with their file it is one of them again."""

    async def main() -> None:
        with MeshCluster(tmp_path / "c", clients=1, protocol=PROTOCOL) as mesh:
            path = mesh.home(3) / CLUSTER_FILE
            theirs = path.read_text("utf-8")
            path.write_text(theirs.replace("checkpoint_interval = 8", "checkpoint_interval = 4"))
            mesh.start()
            async with Client(mesh.directory, identity="client-0") as client:
                await KeyValueClient(client).put(b"key", b"value")
                words = "{} runs with another cluster.toml, and neither hears the other"
                for one, other in ((0, "replica-3"), (3, "replica-0")):
                    await until_said(mesh, one, words.format(other))
                mesh.stop(3)
                path.write_text(theirs)
                mesh.start(3)
                await until_level(client, EVERYBODY, 2 * BOUND)
            mesh.check()

    asyncio.run(main())
