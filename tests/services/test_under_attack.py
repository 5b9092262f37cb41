"""Each battery on real nodes, with three clients, a replica that lies to them, and a primary that
is killed under their hands: what each promises holds throughout."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from pbft import Client
from pbft.cluster import Cluster
from pbft.core.effects import Send
from pbft.core.ids import SECOND, Instant
from pbft.core.messages import Batch, PrePrepare, Proposal
from pbft.core.replica import Replica
from pbft.core.wire import batch_digest, decode_batch, decode_signed, encode_body
from pbft.node import Node, ReplicaLike
from pbft.services.configuration import ChangedError, Configuration, RemoteConfiguration, Setting
from pbft.services.counters import Counters, RemoteCounters
from pbft.services.databases import Database, RemoteDatabase
from pbft.services.elections import Elections, RemoteElections
from pbft.services.locks import HeldError, Lease, Locks, LostError, RemoteLocks
from pbft.services.maps import ConflictError, Maps, RemoteMap
from pbft.services.queues import Queues, RemoteQueues
from pbft.services.sql_tables import SqlError
from pbft.testing.byzantine import Behaviour
from pbft.testing.byzantine.lying import LieToClients
from pbft.testing.cluster import free_ports
from pbft.transport.loop import run
from tests.local_cluster import PROTOCOL, make_node, running

CLIENTS, ROUNDS = 3, 12
PRIMARY, LIAR = 0, 3
SHORT_SECONDS = 0.05
Kill = Callable[[], None]


class Half:
    """Kills the primary once half of the work is done."""

    def __init__(self, kill: Kill, whole: int) -> None:
        self._kill, self._left = kill, whole // 2

    def step(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._kill()


async def counters(clients: list[Client], kill: Kill) -> None:
    half = Half(kill, CLIENTS * ROUNDS)

    async def work(client: Client) -> None:
        for _ in range(ROUNDS):
            await RemoteCounters(client).add("n")
            half.step()

    await asyncio.gather(*map(work, clients))
    assert await RemoteCounters(clients[0]).value("n") == CLIENTS * ROUNDS


async def maps(clients: list[Client], kill: Kill) -> None:
    """Compare and swap loses no addition."""
    half = Half(kill, CLIENTS * ROUNDS)

    async def work(client: Client) -> None:
        for _ in range(ROUNDS):
            while True:
                entry = await RemoteMap(client).get("n")
                value, version = (0, 0) if entry is None else (int(entry.value), entry.version)
                try:
                    await RemoteMap(client).put("n", b"%d" % (value + 1), version)
                except ConflictError:
                    continue
                break
            half.step()

    await asyncio.gather(*map(work, clients))
    entry = await RemoteMap(clients[0]).get("n")
    assert entry is not None
    assert (int(entry.value), entry.version) == (CLIENTS * ROUNDS, CLIENTS * ROUNDS)


async def locks(clients: list[Client], kill: Kill) -> None:
    """Nobody is inside with another, and every token is new."""
    half = Half(kill, CLIENTS * ROUNDS)
    inside, tokens, left = set[Client](), list[int](), [1.0]

    async def work(client: Client) -> None:
        lock = RemoteLocks(client)
        for _ in range(ROUNDS):
            while True:
                try:
                    lease = await lock.acquire("l", 60.0)
                except HeldError as error:
                    left.append(error.args[2])
                    await asyncio.sleep(0.005)
                    continue
                break
            assert not inside
            inside.add(client)
            tokens.append(lease.token)
            half.step()
            await asyncio.sleep(0)
            inside.remove(client)
            await lock.release("l", lease.token)
            with pytest.raises(LostError):
                await lock.renew("l", lease.token)

    await asyncio.gather(*map(work, clients))
    assert tokens == sorted(set(tokens))
    assert 0 < min(left) <= max(left) <= 60


async def elections(clients: list[Client], kill: Kill) -> None:
    """One leader per term; terms only rise."""
    half = Half(kill, CLIENTS * ROUNDS)
    leaders: dict[int, str] = {}

    async def work(client: Client) -> None:
        last = 0
        for _ in range(ROUNDS):
            term = await RemoteElections(client).campaign("e", 0.02)
            assert leaders.setdefault(term.number, term.leader) == term.leader
            assert term.number >= last
            last = term.number
            half.step()
            await asyncio.sleep(0.01)

    await asyncio.gather(*map(work, clients))
    assert len(leaders) > 1


async def queues(clients: list[Client], kill: Kill) -> None:
    """Every item is done once."""
    half, done = Half(kill, CLIENTS * ROUNDS), list[bytes]()

    async def work(client: Client) -> None:
        queue = RemoteQueues(client)
        await asyncio.gather(
            *(queue.push("q", f"{id(client)} {number}".encode()) for number in range(ROUNDS))
        )
        while len(done) < CLIENTS * ROUNDS:
            item = await queue.take("q", 60.0)
            if item is None:
                await asyncio.sleep(0.01)
                continue
            await queue.done("q", item.number)
            done.append(item.value)
            half.step()

    await asyncio.gather(*map(work, clients))
    assert len(set(done)) == len(done) == CLIENTS * ROUNDS
    assert await RemoteQueues(clients[0]).length("q") == 0


async def configuration(clients: list[Client], kill: Kill) -> None:
    """Watchers see every change in order, also one that left and came again."""
    half = Half(kill, CLIENTS * ROUNDS)

    async def work(client: Client) -> None:
        store = RemoteConfiguration(client)
        for _ in range(ROUNDS):
            while True:
                setting = await store.get("k")
                try:
                    await store.put("k", "v", 0 if setting is None else setting.revision)
                except ChangedError:
                    continue
                break
            half.step()

    async def watch(client: Client) -> list[Setting]:
        seen: list[Setting] = []
        while len(seen) < CLIENTS * ROUNDS:
            async for setting in RemoteConfiguration(client).watch(after=len(seen)):
                seen.append(setting)
                if len(seen) % 7 == 0 or len(seen) == CLIENTS * ROUNDS:
                    break
        return seen

    watching = asyncio.create_task(watch(clients[0]))
    await asyncio.gather(*map(work, clients))
    seen = await watching
    assert [each.revision for each in seen] == list(range(1, CLIENTS * ROUNDS + 1))


async def databases(clients: list[Client], kill: Kill) -> None:
    """Money moves and stays, and what is refused is refused alike."""
    half = Half(kill, CLIENTS * ROUNDS)
    await RemoteDatabase(clients[0]).run(
        "CREATE TABLE t (name TEXT UNIQUE, money INTEGER CHECK (money >= 0))"
    )
    insert = "INSERT INTO t VALUES (?, 3)"
    await RemoteDatabase(clients[0]).run_all([(insert, [str(each)]) for each in range(CLIENTS)])
    move = "UPDATE t SET money = money + ? WHERE name = ?"
    refused = 0

    async def work(number: int, client: Client) -> None:
        nonlocal refused
        for step in range(ROUNDS):
            there, back = str(number), str((number + 1 + step % 2) % CLIENTS)
            try:
                await RemoteDatabase(client).run_all([(move, [1, there]), (move, [-1, back])])
            except SqlError:
                refused += 1
            with pytest.raises(SqlError, match="random"):
                await RemoteDatabase(client).run("UPDATE t SET money = random()")
            half.step()

    await asyncio.gather(*(work(*each) for each in enumerate(clients)))
    (row,) = await RemoteDatabase(clients[0]).select("SELECT sum(money), min(money) >= 0 FROM t")
    assert row == [3 * CLIENTS, 1]


SERVICES: dict[type, Callable[[list[Client], Kill], Awaitable[None]]] = {
    Counters: counters,
    Maps: maps,
    Locks: locks,
    Elections: elections,
    Queues: queues,
    Configuration: configuration,
    Database: databases,
}


@asynccontextmanager
async def attacked(
    directory: Path, kind: type, traitor: int, behaviour: Callable[[Replica], ReplicaLike]
) -> AsyncIterator[tuple[list[Node], list[Client]]]:
    """Four nodes, one of them a traitor, and clients."""
    protocol = {**PROTOCOL, "request_timeout_ms": 300, "checkpoint_interval": 4, "window": 16}
    cluster, identities = Cluster.create(4, CLIENTS, ports=free_ports(8), protocol=protocol)
    cluster.save(directory, identities)
    nodes = [
        make_node(cluster, identities, each, behaviour, kind())
        if each == traitor
        else make_node(cluster, identities, each, service=kind())
        for each in range(4)
    ]
    async with running(*nodes), AsyncExitStack() as stack:
        opened = [Client(directory, identity=f"client-{each}") for each in range(CLIENTS)]
        for client in opened:
            await stack.enter_async_context(client)
        yield nodes, opened


@pytest.mark.parametrize("kind", SERVICES, ids=lambda kind: kind.__name__)
def test_with_a_liar_and_a_primary_that_is_killed(tmp_path: Path, kind: type) -> None:
    async def main() -> None:
        async with attacked(tmp_path / "c", kind, LIAR, LieToClients) as (nodes, opened):
            await SERVICES[kind](opened, nodes[PRIMARY].stop)
            assert all(each.stats().wrong_replies.keys() <= {LIAR} for each in opened)
            assert any(each.stats().wrong_replies for each in opened)
            statuses = [node.status().status for node in nodes[1:]]
            assert min(each.view for each in statuses) >= 1
            states: dict[int, set[bytes]] = {}
            for status in statuses:
                for sequence, digest in status.checkpoints.items():
                    states.setdefault(sequence, set()).add(digest)
            assert states
            assert all(len(each) == 1 for each in states.values())

    run(main())


class BendTime(Behaviour):
    """As primary proposes times that run ahead, by leaps, up to the bound and not beyond."""

    def bend(self, send: Send, now: Instant) -> tuple[Send, ...]:
        if not isinstance(send.message, Proposal):
            return (send,)
        pp, batch = decode_signed(send.message.pre_prepare), decode_batch(send.message.batch)
        assert isinstance(pp, PrePrepare)
        shift = min(self.acted + 1, 9) * self.honest.config.clock_bound_ns // 10
        raw = encode_body(Batch(batch.time + shift, batch.requests))
        bent = self.signed(msgspec.structs.replace(pp, digest=batch_digest(raw)))
        return (self.say(send, Proposal(bent, raw)),)


def test_leases_do_not_overlap_in_agreed_time_however_a_primary_bends_it(tmp_path: Path) -> None:
    async def main() -> None:
        leases: dict[int, list[Lease]] = {}

        async def work(client: Client) -> None:
            lock = RemoteLocks(client)
            for _ in range(2 * ROUNDS):
                with suppress(HeldError):
                    lease = await lock.acquire("l", SHORT_SECONDS)
                    leases.setdefault(lease.token, []).append(lease)
                await asyncio.sleep(0.01)

        async with attacked(tmp_path / "c", Locks, PRIMARY, BendTime) as (nodes, opened):
            await asyncio.gather(*map(work, opened))
            assert nodes[PRIMARY].status().acted
        assert len(leases) > 2
        until = 0
        for token in sorted(leases):
            assert len({each.holder for each in leases[token]}) == 1
            began = min(each.until for each in leases[token]) - round(SHORT_SECONDS * SECOND)
            assert began >= until
            until = max(each.until for each in leases[token])

    run(main())
