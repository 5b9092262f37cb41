"""What is hard to see but on real processes: clocks, kills at a given point, queues of the system,
strangers, and signatures that libraries disagree about."""

import asyncio
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from pbft import Client
from pbft.cli.main import main
from pbft.cluster import Cluster
from pbft.core.authentication import DOMAIN
from pbft.core.messages import Request
from pbft.core.wire import encode_body, seal_signed
from pbft.crypto.links import Links
from pbft.crypto.noise import LinkPrivateKey
from pbft.services.kv import KeyValueClient, Put, encode
from pbft.testing.cluster import ProcessCluster
from pbft.testing.cluster.account import until_level
from pbft.testing.cluster.mesh import MeshCluster
from pbft.testing.cluster.proxy import Conditions
from pbft.testing.failpoints import POINTS, Boundary, Point
from pbft.transport.frames import MESSAGE
from tests.cluster.scene import BOUND, EVERYBODY, Recorded, scene
from tests.stress.garbage import resident_mib
from tests.test_attacks_on_nodes import with_r_identity

pytestmark = pytest.mark.cluster

PROTOCOL = {"checkpoint_interval": 8, "window": 32, "request_timeout_ms": 500}
SECONDS = 15.0
GROWTH_MIB = 24


def odd(cluster: ProcessCluster, oddity: str, *replicas: int) -> None:
    """Start these with that oddity."""
    for replica in replicas:
        who = [oddity, str(cluster.home(replica)), str(replica)]
        arguments = ["-m", "tests.cluster.odd_replicas", *who]
        cluster._processes.start(replica, arguments, cluster.environment(replica))


async def puts(client: Client, count: int) -> None:
    kv = KeyValueClient(client)
    for number in range(count):
        await kv.put(b"key-%d" % (number % 5), b"%d" % number)


@pytest.mark.scenario("TM7")
@pytest.mark.parametrize("who", [(0, 1, 2, 3), (0,)])
def test_wall_clocks_that_jump_by_an_hour_in_all_or_in_one(
    tmp_path: Path, who: tuple[int, ...]
) -> None:
    async def go() -> None:
        async with Client(tmp_path / "c", timeout=SECONDS) as client:
            until = time.monotonic() + 1.0
            while time.monotonic() < until:
                await puts(client, 20)
            seen = await until_level(client, EVERYBODY, SECONDS)
            # A primary whose clock alone is an hour off is refused: others go on in the next view.
            assert {each.view for each in seen} <= ({0, 1} if who == (0,) else {0})

    with ProcessCluster(tmp_path / "c", protocol=PROTOCOL) as cluster:
        odd(cluster, "jumps", *who)
        if others := set(EVERYBODY) - set(who):
            cluster.start(*others)
        asyncio.run(go())
        cluster.check()


SAMPLED = (
    Point(Boundary.SYNCED, "Prepared"),
    Point(Boundary.SECOND, "Commit"),
    Point(Boundary.UNANSWERED, "Reply"),
)


@pytest.mark.scenario("CR1", "CR2")
@pytest.mark.parametrize("point", SAMPLED, ids=lambda p: f"{p.boundary.name}-{p.kind}".lower())
def test_a_process_that_is_killed_between_durable_and_sent(tmp_path: Path, point: Point) -> None:
    """All points are stopped at in one process and in the simulator; here it is a real kill."""
    directory = tmp_path / "c"

    async def go(cluster: ProcessCluster) -> None:
        async with Client(directory, timeout=SECONDS) as client:
            for _ in range(100):
                await puts(client, 5)
                if cluster.exit_status(1) is not None:
                    break
            assert cluster.exit_status(1) == -9
            cluster.start(1)
            await puts(client, 10)
            seen = await until_level(client, EVERYBODY, SECONDS)
            assert len({each.state_digest for each in seen}) == 1
            cluster.stop(2)  # so that the other is needed
            await puts(client, 10)
            cluster.start(2)

    with ProcessCluster(directory, protocol=PROTOCOL) as cluster:
        odd(cluster, f"dies/{POINTS.index(point)}", 1)
        cluster.start(0, 2, 3)
        asyncio.run(go(cluster))
        cluster.check()
    assert main(["audit", str(directory)]) == 0


@pytest.mark.scenario("ST10")
def test_a_process_that_is_killed_again_and_again_while_it_fetches(tmp_path: Path) -> None:
    """Some kills come before it has begun to fetch, some in the middle; none leaves a mixture."""
    directory = tmp_path / "c"
    log = directory / "replica-3.log"
    protocol = {**PROTOCOL, "batch_max_requests": 16}

    async def go(mesh: MeshCluster) -> None:
        async with Client(directory, timeout=SECONDS) as client:
            kv = KeyValueClient(client)
            keys = [b"k%04d" % number for number in range(1200)]
            await asyncio.gather(*(kv.put(key, key * 100) for key in keys))
            recorded = Recorded(mesh)
            mesh.everywhere(Conditions(delay_ms=(4.0, 6.0)))
            for life in range(1, 5):
                before = recorded.to("replica-3")
                mesh.start(3)
                await recorded.until("replica-3", before + 80 * life)
                mesh.kill(3)
            assert "Installed" not in log.read_text("utf-8")
            mesh.heal()
            mesh.start(3)
            await kv.put(b"last", b"value")
            seen = await until_level(client, EVERYBODY, SECONDS)
            assert len({each.state_digest for each in seen}) == 1
            mesh.stop(1)
            assert await kv.get(keys[-1]) == keys[-1] * 100
            mesh.start(1)

    with MeshCluster(directory, protocol=protocol) as mesh:
        mesh.start(0, 1, 2)
        asyncio.run(go(mesh))
        mesh.check()
    assert "Installed" in log.read_text("utf-8")


@pytest.mark.scenario("CL11", "T32")
def test_a_traitor_and_a_laggard_agree_about_the_past_in_processes(tmp_path: Path) -> None:
    """R3 answers as it did at first; R2, which is correct, knows no more than that; R0 and R1 are
    slow to answer. What was acknowledged is read all the same."""
    directory = tmp_path / "c"
    slow = Conditions(delay_ms=(40.0, 50.0))

    async def go(mesh: MeshCluster) -> None:
        async with Client(mesh.seen_by("client-0"), timeout=SECONDS) as client:
            kv = KeyValueClient(client)
            await kv.put(b"k", b"old")
            await until_level(client, EVERYBODY, SECONDS)
            for _ in range(8):  # R3 says each kind of answer once
                assert await kv.get(b"k") == b"old"
            mesh.deafen(2)
            for replica in (0, 1):
                mesh.set(f"replica-{replica}", "client-0", slow)
            for number in range(6):
                await kv.put(b"k", b"new %d" % number)
                assert await kv.get(b"k") == b"new %d" % number
            assert (await client.status(2)).status.executed == 1
            mesh.heal()
            await until_level(client, (0, 1, 2), SECONDS)

    with MeshCluster(directory, protocol={**PROTOCOL, "fast_reads": True}) as mesh:
        odd(mesh, "past", 3)
        mesh.start(0, 1, 2)
        asyncio.run(go(mesh))
        mesh.check()


@pytest.mark.scenario("FL2")
def test_a_process_that_reads_nothing_for_five_seconds(tmp_path: Path) -> None:
    """Thirty thousand datagrams of its own peers wait meanwhile, or are dropped by the system."""

    async def go() -> None:
        async with scene(tmp_path / "c") as now:
            recorded = Recorded(now.mesh)
            await now.answers(60)
            victim = (await now.primary() + 1) % 4
            pid = now.mesh.pid(victim)
            before = resident_mib(pid)
            now.mesh.suspend(victim)
            name = f"replica-{victim}"
            sent = await recorded.again(30_000 // recorded.to(name) + 1, name)
            assert sent >= 30_000
            await asyncio.sleep(5.0)
            now.mesh.resume(victim)
            await now.answers(20)
            await now.end_well()
            assert await now.view() == 0
            assert resident_mib(pid) < before + GROWTH_MIB
            report = await now.onlooker.status(victim)
            assert sum(report.status.drops.values()) > 1_000

    asyncio.run(go())


def knock(cluster: Cluster, sock: socket.socket, name: str) -> None:
    """With a key that nobody knows; whoever is asked for a cookie shows it."""
    door = ("127.0.0.1", cluster.replicas[0].client_port)
    links = Links(
        identity=name,
        private=LinkPrivateKey(os.urandom(32)),
        peers={"replica-0": cluster.keys["replica-0"].link},
        cluster=cluster.config.cluster_id,
        payload=cluster.digest,
        random_bytes=os.urandom,
    )
    for out in links.open("replica-0", door, 0):
        sock.sendto(out.data, door)
    if name in cluster.keys:
        answer, address = sock.recvfrom(2048)
        (out,) = links.receive(answer, address, 0).outgoing
        sock.sendto(out.data, door)


def knocks(cluster: Cluster, names: Sequence[str]) -> None:
    """All of them, one after the other."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(SECONDS)
        for name in names:
            knock(cluster, sock, name)


@pytest.mark.scenario("CL15")
def test_a_process_keeps_nothing_of_strangers(tmp_path: Path) -> None:
    """Neither of names that it does not know, which are as long as a client's, nor of those who
    take a client's name; the client has its link all the time."""
    directory = tmp_path / "c"
    unknown = [f"{number:08d}" for number in range(3_000)]

    async def go(cluster: ProcessCluster) -> None:
        async with Client(directory, identity="client-0", timeout=SECONDS) as client:
            await puts(client, 20)
            before = resident_mib(cluster.pid(0))
            await asyncio.to_thread(knocks, cluster.cluster, [*unknown, *["client-0"] * 300])
            await puts(client, 20)
            report = await client.status(0)
            assert report.status.drops["handshake of an unknown peer"] > 1_000
            assert report.status.drops["handshake that does not authenticate"] > 100
            assert resident_mib(cluster.pid(0)) < before + 4

    with ProcessCluster(directory, protocol=PROTOCOL) as cluster:
        cluster.start()
        asyncio.run(go(cluster))
        cluster.check()


@pytest.mark.scenario("AU4", "T42")
def test_processes_refuse_a_signature_at_the_edge_of_the_group_alike(tmp_path: Path) -> None:
    directory = tmp_path / "c"

    async def go(cluster: ProcessCluster) -> None:
        async with Client(directory, identity="client-0", timeout=SECONDS) as client:
            await KeyValueClient(client).put(b"a", b"1")
            key = cluster.cluster.identity(directory, "client-0").signing
            body = encode_body(Request("client-0", 2**62, (encode(Put(b"a", b"2")),)))
            told = DOMAIN + cluster.cluster.config.cluster_id + body
            raw = seal_signed(body, with_r_identity(key, told))
            client._end.post([each.name for each in cluster.cluster.replicas], MESSAGE, raw)
            client._alarm.ring()
            for _ in range(int(BOUND * 20)):
                reports = [await client.status(each) for each in EVERYBODY]
                if all(each.status.drops.get("bad signature", 0) for each in reports):
                    break
                await asyncio.sleep(0.05)
            assert all(each.status.drops["bad signature"] for each in reports)
            assert await KeyValueClient(client).get(b"a") == b"1"
            assert {each.status.view for each in reports} == {0}

    with ProcessCluster(directory, protocol=PROTOCOL) as cluster:
        cluster.start()
        asyncio.run(go(cluster))
        cluster.check()
