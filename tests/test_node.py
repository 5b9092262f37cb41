"""The driver: the order of its steps, what it survives, and when it must stop."""

import asyncio
import platform
import random
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import cast

import pytest

from pbft import outbox
from pbft.client import Client
from pbft.core.effects import Diverged, Effects, Send
from pbft.core.errors import ConfigurationError, ForgottenVotesError, StorageError
from pbft.core.ids import Instant, Packet
from pbft.core.messages import AnyMessage
from pbft.core.records import AnyRecord, Began
from pbft.core.replica import Replica
from pbft.core.status import ReplicaStatus
from pbft.journal import Rotten
from pbft.node import Node
from pbft.services.kv import KeyValueClient, KeyValueService
from pbft.transport.frames import MESSAGE
from pbft.transport.loop import run
from tests.local_cluster import HOST, PROTOCOL, make_cluster, make_node, running


def test_four_nodes_answer_and_agree(tmp_path: Path) -> None:
    async def main() -> None:
        cluster, identities = make_cluster(
            tmp_path / "c", protocol={"checkpoint_interval": 8, "window": 16}
        )
        nodes = [make_node(cluster, identities, replica) for replica in range(4)]
        async with running(*nodes), Client(tmp_path / "c") as client:
            kv = KeyValueClient(client)
            for number in range(30):
                await kv.put(b"k%d" % (number % 3), b"%d" % number)
            assert await kv.scan() == [(b"k0", b"27"), (b"k1", b"28"), (b"k2", b"29")]
            for _ in range(100):
                statuses = [node.status().status for node in nodes]
                if all(status.low_watermark >= 24 for status in statuses):
                    break
                await asyncio.sleep(0.02)
            assert len({status.checkpoints[24] for status in statuses}) == 1
            assert {status.view for status in statuses} == {0}
            assert nodes[0].status().durability == "memory"

    run(main())


@pytest.mark.scenario("T54")
def test_t54_a_bit_that_flips_in_memory_is_told_of_and_repaired(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody who starts a replica without --verbose may miss it: the default level shows it."""
    told = "replica-2: its state is damaged and fetched anew"

    async def main() -> None:
        protocol = {**PROTOCOL, "checkpoint_interval": 8, "window": 16}
        cluster, identities = make_cluster(tmp_path / "c", protocol=protocol)
        nodes = [make_node(cluster, identities, replica) for replica in range(4)]
        async with running(*nodes), Client(tmp_path / "c") as client:
            kv = KeyValueClient(client)
            for number in range(10):
                await kv.put(b"k%d" % number, b"value")
            await until(lambda: nodes[2].status().status.low_watermark >= 8)
            replica = nodes[2]._replica
            assert isinstance(replica, Replica)
            for _, leaf in replica._state.machine.tree.leaves():
                leaf.data = leaf.data.replace(b"value", b"valve")
            for number in range(100):
                await kv.put(b"other", b"%d" % number)
                if any(told in each for each in caplog.messages):
                    break
            assert await kv.get(b"k7") == b"value"
            last = nodes[0].status().status.executed
            await until(lambda: nodes[2].status().status.executed >= last)
            assert replica._state.machine.tree.get(b"\0k7") == b"value"

    with caplog.at_level("WARNING", "pbft.node"):
        run(main())
    assert sum(told in each for each in caplog.messages) == 1


def test_a_silent_primary_is_replaced_over_real_sockets(tmp_path: Path) -> None:
    async def main() -> None:
        cluster, identities = make_cluster(tmp_path / "c")
        nodes = [make_node(cluster, identities, replica) for replica in (1, 2, 3)]
        async with running(*nodes), Client(tmp_path / "c", timeout=10) as client:
            await KeyValueClient(client).put(b"k", b"v")
            assert client.stats().view >= 1
            assert client.stats().retransmissions >= 1
            assert client.stats().connected == 3

    run(main())


@pytest.mark.scenario("FL1")
def test_garbage_at_both_ports_is_counted_and_answers_go_on(tmp_path: Path) -> None:
    async def main() -> None:
        dice = random.Random(4)
        cluster, identities = make_cluster(tmp_path / "c")
        nodes = [make_node(cluster, identities, replica) for replica in range(4)]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attacker:
            async with running(*nodes), Client(tmp_path / "c") as client:
                kv = KeyValueClient(client)
                for round_number in range(20):
                    for _ in range(100):
                        head = dice.choice((b"", b"\x01", b"\x02", b"\x03", b"\x04"))
                        data = head + dice.randbytes(dice.randrange(1300))
                        member = dice.choice(cluster.replicas)
                        port = dice.choice((member.port, member.client_port))
                        attacker.sendto(data, (HOST, port))
                    await kv.put(b"k", b"%d" % round_number)
                assert await kv.get(b"k") == b"19"
                dropped = [sum(node.status().status.drops.values()) for node in nodes]
                assert sum(dropped) >= 300  # what the kernel drops meanwhile, nobody counts

    run(main())


def test_a_replica_that_forgot_its_votes_stops_with_a_sentence(tmp_path: Path) -> None:
    async def main() -> None:
        cluster, identities = make_cluster(tmp_path / "c")
        stay = [make_node(cluster, identities, replica) for replica in (0, 1, 2)]
        first = make_node(cluster, identities, 3)
        async with running(*stay):
            async with running(first), Client(tmp_path / "c") as client:
                kv = KeyValueClient(client)
                for number in range(5):
                    await kv.put(b"k", b"%d" % number)
                for _ in range(200):
                    if first.status().status.executed >= 5:
                        break
                    await asyncio.sleep(0.01)
            with pytest.raises(
                ForgottenVotesError, match=r"replica-3 has voted .* must not rejoin"
            ):
                async with asyncio.timeout(5):
                    await make_node(cluster, identities, 3).run()
            async with Client(tmp_path / "c") as client:
                assert await KeyValueClient(client).get(b"k") == b"4"

    run(main())


def test_a_port_in_use_is_a_clear_error_and_frees_the_other(tmp_path: Path) -> None:
    async def main() -> None:
        cluster, identities = make_cluster(tmp_path / "c")
        me = cluster.member(0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind((HOST, me.client_port))
            with pytest.raises(ConfigurationError, match=f"port {me.client_port} .* in use"):
                await make_node(cluster, identities, 0).run()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
                free.bind((HOST, me.port))

    run(main())


class Diary:
    """What happened in which order, for a store and for a replica-like."""

    def __init__(self) -> None:
        self.entries: list[str] = []


class SlowStore:
    """Durable a while after it was asked; or, where it is `holding`, when the test says so."""

    durability = "slow"
    unsynced_bytes = 0

    def __init__(self, diary: Diary) -> None:
        self._diary = diary
        self.failure: StorageError | None = None
        self.holding = False
        self._held: list[asyncio.Future[None]] = []

    def load(self) -> Sequence[AnyRecord]:
        return ()

    def append(self, records: Sequence[AnyRecord]) -> "asyncio.Future[None]":
        self._diary.entries.append("asked")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        if self.holding:
            self._held.append(done)
        else:
            loop.call_later(0.01, self._synced, done)
        return done

    def rotten(self) -> Rotten:
        return Rotten()

    def set_aside(self, divergence: Diverged) -> None:
        self._diary.entries.append("kept")

    def sync(self) -> None:
        """What has been held longest is durable."""
        self._synced(self._held.pop(0))

    def _synced(self, done: "asyncio.Future[None]") -> None:
        if self.failure is not None:
            done.set_exception(self.failure)
            return
        self._diary.entries.append("durable")
        done.set_result(None)


class Scripted:
    """An honest replica whose first turns are replaced by ours."""

    def __init__(self, replica: Replica, diary: Diary) -> None:
        self._replica = replica
        self._diary = diary
        self.acted = 7
        self.due = True
        self.turns = 0

    def receive(self, packets: Sequence[Packet], now: Instant) -> Effects:
        self._diary.entries.append("received")
        return Effects()

    def expire(self, now: Instant) -> Effects:
        self._diary.entries.append("expired")
        self.due = False
        self.turns += 1
        vote = Send(to=(1,), data=b"%d" % self.turns, message=cast(AnyMessage, None))
        return Effects(records=[Began()], messages=[vote])

    @property
    def deadline(self) -> int | None:
        return 0 if self.due else None

    def status(self) -> ReplicaStatus:
        return self._replica.status()


def scripted(tmp_path: Path, diary: Diary) -> tuple[Node, list[Scripted]]:
    cluster, identities = make_cluster(tmp_path / "c")
    made: list[Scripted] = []

    def wrap(replica: Replica) -> Scripted:
        made.append(Scripted(replica, diary))
        return made[0]

    service = KeyValueService()
    store = SlowStore(diary)
    node = Node(cluster, 0, identities["replica-0"], service, wrap=wrap, store=store)
    return node, made


async def quiet(node: Node, diary: Diary) -> SlowStore:
    """The node's store, holding, once the first turn is over and forgotten."""
    store = node._store
    assert isinstance(store, SlowStore)
    await until(lambda: "durable" in diary.entries and not node._outbox.waiting)
    diary.entries.clear()
    store.holding = True
    return store


def expire(node: Node, replica: Scripted) -> None:
    """A turn is due at once."""
    replica.due = True
    node._ring()


async def until(true: Callable[[], bool]) -> None:
    for _ in range(5000):
        if true():
            return
        await asyncio.sleep(0.001)
    raise TimeoutError


def test_nothing_leaves_before_the_records_are_durable(tmp_path: Path) -> None:
    """T34, T45: the sending step of a turn comes after its records, and after earlier ones."""

    async def main() -> None:
        diary = Diary()
        node, made = scripted(tmp_path, diary)
        async with running(node):
            posted = node._ends[0].post

            def recorded(peers: Iterable[str], kind: int, data: bytes) -> None:
                diary.entries.append(f"sent {data.decode()}")
                posted(peers, kind, data)

            node._ends[0].post = recorded  # type: ignore[method-assign]
            store = await quiet(node, diary)
            expire(node, made[0])
            await until(lambda: diary.entries.count("asked") == 1)
            expire(node, made[0])
            await until(lambda: diary.entries.count("asked") == 2)
            for _ in range(2):
                store.sync()
                await until(lambda: diary.entries[-1].startswith("sent"))
            turns = ["expired", "asked", "expired", "asked"]
            assert diary.entries == [*turns, "durable", "sent 2", "durable", "sent 3"]

    run(main())


def test_at_the_limit_no_turn_begins_until_the_disk_has_caught_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MAX_UNSYNCED_TURNS", 1)

    async def main() -> None:
        diary = Diary()
        node, made = scripted(tmp_path, diary)
        async with running(node), Client(tmp_path / "c") as client:
            store = await quiet(node, diary)
            expire(node, made[0])
            await until(lambda: "asked" in diary.entries)
            expire(node, made[0])
            client._end.post(["replica-0"], MESSAGE, b"anything")
            await client._end.flush(time.monotonic_ns())
            report = await client.status(0)  # answered all the same
            assert (report.unsynced_turns, report.python) == (1, platform.python_version())
            assert diary.entries == ["expired", "asked"]
            store.sync()
            await until(lambda: diary.entries.count("asked") == 2)
            store.sync()
        assert diary.entries == [
            *("expired", "asked", "durable"),
            *("received", "expired", "asked", "durable"),
        ]

    run(main())


def test_while_the_disk_is_behind_what_is_heard_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pbft.node.HELD_PACKETS", 3)

    async def main() -> None:
        node, _ = scripted(tmp_path, Diary())
        packets = [Packet(1, b"%d" % number) for number in range(5)]
        assert node._held_back(packets[:3]) == packets[:3]
        assert node._held_back(packets) == packets[:3]
        monkeypatch.setattr("pbft.node.HELD_BYTES", 2)
        assert node._held_back(packets) == packets[:2]
        assert node.status().status.drops["heard while the disk is behind"] == 5

    run(main())


def test_a_store_that_fails_stops_the_node_with_its_sentence(tmp_path: Path) -> None:
    """What comes after the failed turn does not leave, also where the node is told to stop."""

    async def main() -> None:
        diary = Diary()
        node, _ = scripted(tmp_path, diary)
        assert isinstance(node._store, SlowStore)
        node._store.failure = StorageError("the disk is gone")
        serving = asyncio.create_task(node.run())
        await node.serving.wait()
        with pytest.raises(StorageError, match="the disk is gone"):
            async with asyncio.timeout(2):
                await serving
        assert not [each for each in diary.entries if each.startswith("sent")]

    run(main())


def test_stopping_waits_for_what_is_on_its_way_to_the_disk(tmp_path: Path) -> None:
    async def main() -> None:
        diary = Diary()
        node, made = scripted(tmp_path, diary)
        async with running(node):
            store = await quiet(node, diary)
            expire(node, made[0])
            await until(lambda: "asked" in diary.entries)
            asyncio.get_running_loop().call_later(0.02, store.sync)
        assert diary.entries == ["expired", "asked", "durable"]

    run(main())


@pytest.mark.scenario("T56", "TM8")
def test_a_burst_is_absorbed_before_timers_expire(tmp_path: Path) -> None:
    """T56: what came while this process was stalled is heard before anybody is suspected."""

    async def main() -> None:
        diary = Diary()
        node, made = scripted(tmp_path, diary)
        async with running(node), Client(tmp_path / "c") as client:
            await client.status(0)  # the link stands: what is posted is sent at once
            store = await quiet(node, diary)
            client._end.post(["replica-0"], MESSAGE, b"anything")
            await client._end.flush(time.monotonic_ns())
            made[0].due = True  # overdue, and a message waits in the socket
            await until(lambda: "asked" in diary.entries)
            store.sync()
        assert diary.entries == ["received", "expired", "asked", "durable"]

    run(main())


def test_a_behaviour_around_the_replica_reports_what_it_did(tmp_path: Path) -> None:
    async def main() -> None:
        node, _ = scripted(tmp_path, Diary())
        async with running(node):
            async with Client(tmp_path / "c") as client:
                report = await client.status(0)
            assert (report.acted, report.durability) == (7, "slow")

    run(main())
