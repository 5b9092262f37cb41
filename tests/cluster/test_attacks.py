"""Attacks on a running cluster of processes, several on each."""

import asyncio
import shutil
import time
from pathlib import Path

import msgspec
import pytest

from pbft import Client, UnansweredError, cluster_file
from pbft.cluster import CLUSTER_FILE
from pbft.services.kv import Get, KeyValueClient, Put, encode
from pbft.testing.cluster import ProcessCluster, free_ports
from pbft.testing.cluster.account import until_level
from pbft.testing.cluster.mesh import MeshCluster
from pbft.testing.cluster.proxy import CUT, Conditions
from tests.cluster.scene import BOUND, EVERYBODY, TIMEOUT, Recorded, scene

pytestmark = pytest.mark.cluster

PROTOCOL = {"checkpoint_interval": 8, "window": 32, "request_timeout_ms": 500}
SECONDS = 15.0
TWIN = 9
FRAME_BYTES = 1472
"""What an Ethernet frame holds of a datagram."""


LARGE = bytes(8000)
"""Forty of these are more than anybody keeps for a replica that is not there."""


async def puts(kv: KeyValueClient, first: int, count: int, more: bytes = b"") -> None:
    for number in range(first, first + count):
        await kv.put(b"key-%d" % (number % 7), b"value-%d" % number + more)


def twin_of(cluster: ProcessCluster, replica: int, home: Path) -> Path:
    """The directory of a second process with the same key and records, at another port."""
    home.mkdir()
    ports = free_ports(2)
    file = cluster.cluster.file
    replicas = [
        msgspec.structs.replace(each, port=ports[0], client_port=ports[1])
        if each.id == replica
        else each
        for each in file.replica
    ]
    moved = msgspec.structs.replace(file, replica=replicas)
    (home / CLUSTER_FILE).write_text(cluster_file.render(moved), "utf-8")
    shutil.copytree(cluster.directory / "keys", home / "keys")
    shutil.copytree(cluster.directory / "data", home / "data")
    return home


@pytest.mark.scenario("EQ5", "AU12", "NW13")
def test_a_second_process_with_the_same_key_at_another_address(tmp_path: Path) -> None:
    """While both run they count as one at most. Then they are gone, and of three replicas, all of
    which are needed, one comes back at another address: it is found there by itself."""
    with ProcessCluster(tmp_path / "c", clients=2, protocol=PROTOCOL) as cluster:
        cluster.start()

        def elsewhere(replica: int, child: int) -> None:
            home = twin_of(cluster, replica, tmp_path / f"home-{replica}")
            arguments = ["-m", "pbft", "replica", str(home), str(replica), "--with-parent"]
            cluster._processes.start(child, arguments)

        async def go() -> None:
            async with Client(cluster.directory, identity="client-0", timeout=SECONDS) as client:
                kv = KeyValueClient(client)
                await puts(kv, 0, 20)
                cluster.stop(3)
                elsewhere(3, TWIN)
                cluster.start(3)
                await puts(kv, 20, 60)
                assert await kv.get(b"key-2") == b"value-79"
                cluster.stop(2, 3, TWIN)
                elsewhere(2, 2)
                await puts(kv, 80, 10)
                seen = await until_level(client, [0, 1], SECONDS)
                assert len({each.state_digest for each in seen}) == 1

        asyncio.run(go())


@pytest.mark.scenario("TM2", "ST1", "TM1")
def test_a_primary_that_starves_one_client_and_a_source_that_lies(tmp_path: Path) -> None:
    """R0 serves the first client just below the timeout and R3 comes late to fetch the state, also
    from R0 when it lies in its second life."""
    with ProcessCluster(tmp_path / "c", clients=2, protocol=PROTOCOL) as cluster:
        cluster.start(0, 1, 2, traitors={0: "starve-one"})

        async def go() -> None:
            async with (
                Client(cluster.directory, identity="client-0", timeout=SECONDS) as victim,
                Client(cluster.directory, identity="client-1", timeout=SECONDS) as other,
            ):
                await puts(KeyValueClient(victim), 0, 1)
                began = time.monotonic()
                await asyncio.gather(
                    puts(KeyValueClient(victim), 0, 4), puts(KeyValueClient(other), 0, 40, LARGE)
                )
                assert time.monotonic() - began < 4 * TIMEOUT / 2 + 6 * TIMEOUT + 2.0
                cluster.kill(0)
                cluster.start(0, traitors={0: "lie-to-laggards"})
                cluster.start(3)
                await puts(KeyValueClient(other), 30, 30)
                seen = await until_level(other, [1, 2, 3], SECONDS)
                assert len({each.state_digest for each in seen}) == 1

        asyncio.run(go())
        log = (cluster.directory / "replica-3.log").read_text()
        assert "Installed" in log


@pytest.mark.scenario("TM8", "VC18", "RP1", "RP2", "NW11")
def test_stalls_a_deaf_replica_a_restart_and_then_all_datagrams_once_more(tmp_path: Path) -> None:
    """None of it costs a view change, and no datagram is larger than a frame."""

    async def main() -> None:
        async with scene(tmp_path / "c") as now:
            recorded = Recorded(now.mesh)
            for replica in EVERYBODY:
                now.mesh.suspend(replica)
                await asyncio.sleep(0.5 * TIMEOUT)
                now.mesh.resume(replica)
                await now.answers(10)
            assert await now.view() == 0
            now.mesh.deafen(3)
            await asyncio.sleep(2 * TIMEOUT)
            assert {each.view for each in (await now.statuses())[:3]} == {0}
            now.mesh.heal()
            await now.rest()
            now.mesh.stop(3)
            now.mesh.start(3)
            level = await now.level(2 * BOUND)
            sent = await recorded.again(5)
            assert sent > 5_000
            await asyncio.sleep(0.2)
            after = await now.level()
            assert [each.executed for each in after] == [each.executed for each in level]
            now.work()
            await now.answers(10)
            assert recorded.largest <= FRAME_BYTES
            await now.end_well()

    asyncio.run(main())


@pytest.mark.scenario("ST6", "CL1")
def test_a_call_is_asked_for_again_of_a_replica_that_fetched_what_it_did(tmp_path: Path) -> None:
    """The client hears nobody while its call executes; the replica that it later needs had missed
    the call, and has its outcome from the state that it fetched."""

    async def main() -> None:
        with MeshCluster(tmp_path / "c", clients=2, protocol=PROTOCOL) as mesh:
            mesh.start(0, 1, 2)
            async with (
                Client(mesh.seen_by("client-0"), identity="client-0") as deaf,
                Client(mesh.directory, identity="client-1", timeout=SECONDS) as other,
            ):
                await deaf.call(encode(Put(b"once", b"0")), timeout=SECONDS)
                for replica in EVERYBODY:
                    mesh.set(f"replica-{replica}", "client-0", CUT)
                with pytest.raises(UnansweredError) as lost:
                    await deaf.call(encode(Put(b"once", b"1")), timeout=1.0)
                key = lost.value.key
                assert key is not None
                assert await KeyValueClient(other).get(b"once") == b"1"
                await puts(KeyValueClient(other), 0, 40, LARGE)
                mesh.start(3)
                await until_level(other, EVERYBODY, SECONDS)
                for replica in (2, 3):
                    mesh.set(f"replica-{replica}", "client-0", Conditions())
                await KeyValueClient(other).put(b"once", b"2")
                await deaf.resolve(key, timeout=SECONDS)
                for _ in range(50):
                    await deaf.resolve(key, timeout=SECONDS)
                assert await KeyValueClient(other).get(b"once") == b"2"
                assert "Installed" in (mesh.directory / "replica-3.log").read_text()

    asyncio.run(main())


@pytest.mark.scenario("VC24", "T39")
def test_a_new_view_with_a_whole_window_through_a_network_that_loses(tmp_path: Path) -> None:
    protocol = {
        "checkpoint_interval": 256,
        "window": 512,
        "batch_max_requests": 1,
        "request_timeout_ms": 500,
        "timeout_max_ms": 2000,
    }

    async def main() -> None:
        with MeshCluster(tmp_path / "c", clients=1, protocol=protocol) as mesh:
            mesh.start()
            async with Client(mesh.directory, identity="client-0", timeout=SECONDS) as client:
                put = encode(Put(b"k", b"v"))
                for _ in range(60):
                    await asyncio.gather(*(client.call(put) for _ in range(4)))
                assert (await client.status(1)).status.executed >= 60
                mesh.everywhere(Conditions(loss=0.05))
                mesh.kill(0)
                began = time.monotonic()
                await client.call(put)
                assert time.monotonic() - began < BOUND
                assert (await client.status(2)).status.view >= 1

    asyncio.run(main())


OTHER_VERSION = """
import sys
import pbft.crypto.links as links
links.VERSION = b"pbft link 2"
from pbft.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.scenario("CF9", "CF7", kills="CF9 links do not bind the version")
def test_a_replica_that_speaks_another_version_is_not_heard(tmp_path: Path) -> None:
    with ProcessCluster(tmp_path / "c", protocol=PROTOCOL) as cluster:
        cluster.start(0, 1, 2)
        arguments = ["-c", OTHER_VERSION, "replica", str(cluster.directory), "3", "--with-parent"]
        cluster._processes.start(3, arguments)

        async def go() -> None:
            async with Client(cluster.directory, timeout=SECONDS) as client:
                await puts(KeyValueClient(client), 0, 8)
                with pytest.raises(UnansweredError):
                    await client.status(3, timeout=0.5)
                cluster.kill(2)
                with pytest.raises(UnansweredError):
                    await client.call(encode(Get(b"key-1")), timeout=1.0)

        asyncio.run(go())
        cluster._processes.stop(3)
