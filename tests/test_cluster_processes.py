"""A handful of tests over real replica processes and real UDP sockets."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pbft import Client, UnansweredError
from pbft.core.status import ReplicaStatus
from pbft.services.kv import KeyValueClient
from pbft.testing.cluster import ProcessCluster, ProcessError

pytestmark = pytest.mark.cluster

PROTOCOL = {"checkpoint_interval": 8, "window": 32, "request_timeout_ms": 500}
SECONDS = 15.0
Starter = Callable[..., ProcessCluster]


@pytest.fixture
def starter(tmp_path: Path) -> Iterator[Starter]:
    """Makes clusters; the test starts their replicas, and all are stopped in the end."""
    made: list[ProcessCluster] = []

    def make(n: int = 4, clients: int = 2) -> ProcessCluster:
        cluster = ProcessCluster(tmp_path / "c", n=n, clients=clients, protocol=PROTOCOL)
        made.append(cluster)
        return cluster

    yield make
    for cluster in made:
        cluster.stop()


def client(cluster: ProcessCluster, number: int = 0) -> Client:
    return Client(cluster.directory, identity=f"client-{number}", timeout=SECONDS)


async def status(asking: Client, replica: int) -> ReplicaStatus:
    return (await asking.status(replica, timeout=5.0)).status


async def until_level(asking: Client, replicas: list[int]) -> list[ReplicaStatus]:
    """Until those named vote, and have executed equally far in one view."""
    until = time.monotonic() + SECONDS
    while True:
        seen = [await status(asking, replica) for replica in replicas]
        same = len({(each.executed, each.view, each.active) for each in seen}) == 1
        if same and all(each.voting for each in seen):
            return seen
        assert time.monotonic() < until, seen
        await asyncio.sleep(0.1)


async def puts(kv: KeyValueClient, first: int, count: int) -> None:
    """One after another, so that each takes a sequence number."""
    for number in range(first, first + count):
        await kv.put(b"key-%d" % (number % 7), b"value-%d" % number)


def assert_agree(seen: list[ReplicaStatus]) -> None:
    """Equal digests at every checkpoint that two of them hold, and at least one in common."""
    common = set.intersection(*(set(each.checkpoints) for each in seen))
    assert common
    for sequence in common:
        assert len({each.checkpoints[sequence] for each in seen}) == 1


def test_two_clients_race_and_one_wins_each_round(starter: Starter) -> None:
    cluster = starter()
    cluster.start()

    async def race() -> None:
        async with client(cluster, 0) as one, client(cluster, 1) as two:
            rivals = [KeyValueClient(one), KeyValueClient(two)]
            for number in range(20):
                old = None if number == 0 else b"%d" % number
                new = b"%d" % (number + 1)
                won = await asyncio.gather(*(kv.cas(b"lock", old, new) for kv in rivals))
                assert sorted(won) == [False, True]
            assert await rivals[0].get(b"lock") == b"20"

    asyncio.run(race())


@pytest.mark.scenario("VC1")
def test_a_killed_primary_is_replaced_and_nothing_acknowledged_is_lost(starter: Starter) -> None:
    cluster = starter()
    cluster.start()

    async def go() -> None:
        async with client(cluster) as asking:
            kv = KeyValueClient(asking)
            await puts(kv, 0, 20)
            cluster.kill(0)
            began = time.monotonic()
            await puts(kv, 20, 20)
            assert time.monotonic() - began < 5
            assert await kv.get(b"key-4") == b"value-39"
            seen = await until_level(asking, [1, 2, 3])
            assert {each.view for each in seen} == {1}
            assert_agree(seen)

    asyncio.run(go())


def test_beyond_f_crashes_nothing_is_answered_and_nothing_made_up(starter: Starter) -> None:
    cluster = starter()
    cluster.start()

    async def go() -> None:
        async with client(cluster) as asking:
            kv = KeyValueClient(asking, timeout=1.5)
            await kv.put(b"a", b"b")
            cluster.kill(2)
            cluster.kill(3)
            with pytest.raises(UnansweredError):
                await kv.put(b"a", b"c")

    asyncio.run(go())


@pytest.mark.scenario("ST4")
def test_a_replica_that_starts_late_fetches_the_state(starter: Starter) -> None:
    cluster = starter()
    cluster.start(0, 1, 2)

    async def go() -> None:
        async with client(cluster) as asking:
            kv = KeyValueClient(asking)
            await puts(kv, 0, 60)
            cluster.start(3)
            async with client(cluster, 1) as watching:
                seen = await until_level(watching, [0, 1, 2, 3])
                assert seen[3].executed >= 60
            await puts(kv, 60, 20)
            assert_agree(await until_level(asking, [0, 1, 2, 3]))

    asyncio.run(go())


def test_a_replica_that_was_suspended_catches_up(starter: Starter) -> None:
    cluster = starter()
    cluster.start()

    async def go() -> None:
        async with client(cluster) as asking:
            kv = KeyValueClient(asking)
            await puts(kv, 0, 10)
            cluster.suspend(3)
            await puts(kv, 10, 60)
            cluster.resume(3)
            seen = await until_level(asking, [0, 1, 2, 3])
            assert {each.view for each in seen} == {0}
            assert_agree(seen)

    asyncio.run(go())


@pytest.mark.scenario("EQ1", "VC2", "CR12")
def test_seven_replicas_withstand_two_different_traitors(starter: Starter) -> None:
    cluster = starter(n=7)
    cluster.start(traitors={0: "equivocate", 1: "silent"})

    async def go() -> None:
        async with client(cluster) as asking:
            kv = KeyValueClient(asking)
            await puts(kv, 0, 40)
            assert await kv.get(b"key-4") == b"value-39"
            seen = await until_level(asking, [2, 3, 4, 5, 6])
            assert {each.view for each in seen} == {2}
            assert_agree(seen)
            assert (await asking.status(0)).acted > 0

    asyncio.run(go())


def test_a_process_that_ends_is_reported_with_its_last_words(starter: Starter) -> None:
    cluster = starter()
    (cluster.directory / "keys" / "replica-1.pem").unlink()
    cluster.start(1)
    with pytest.raises(ProcessError, match=r"replica 1 ended by itself: pbft: .*replica-1\.pem"):
        _check_for_a_while(cluster)


def _check_for_a_while(cluster: ProcessCluster) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        cluster.check()
        time.sleep(0.05)
