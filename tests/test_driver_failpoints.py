"""The real driver, stopped at its numbered points and started again from the same file.

Real nodes, links, sockets and SQLite files in one event loop. Everything that a node posts is held
against what its disk had by then, over both lives: no vote before its record (T34, T45), none
against an earlier one (T33), no commit forgotten by a later view change.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

import pytest

from pbft.client import Client
from pbft.cluster import replica_name
from pbft.core.authentication import Authentication
from pbft.core.effects import Diverged, Send
from pbft.core.ids import ReplicaId
from pbft.core.records import AnyRecord
from pbft.core.replica import Replica
from pbft.journal import Rotten
from pbft.node import Node, ReplicaLike
from pbft.services.kv import KeyValueClient, KeyValueService
from pbft.sqlite_store import SqliteStore
from pbft.store import Store
from pbft.testing.byzantine import BEHAVIOURS
from pbft.testing.checkers import Checkers
from pbft.testing.failpoints import POINTS, Point, Stop
from pbft.testing.mortal import Mortal
from pbft.testing.new_view_oracle import NewViewOracle
from pbft.transport.loop import run
from tests.local_cluster import PROTOCOL, make_cluster

VICTIM = 1
SECONDS = 30.0
LATE = ("ViewChanged", "ViewEntered", "ViewChange", "NewView", "turn")
"""Reached in a view change alone: the primary of view 0 has been stopped."""
HERE = [point for point in POINTS if point.kind != "Installed"]
"""That one is reached by a replica that transfers state: the simulator's."""


MORE = 6
"""Calls that must be answered after the return, and before the primary is stopped."""
Wrap: TypeAlias = Callable[[Replica], ReplicaLike]


class Died(Exception):
    """The end of one life."""


def die() -> None:
    raise Died


class Watched:
    """A store that tells the checkers what has become durable."""

    def __init__(self, store: Store, replica: ReplicaId, checkers: Checkers) -> None:
        self._store, self._replica, self._checkers = store, replica, checkers
        self.durability = store.durability
        self._unsynced: list[tuple[asyncio.Future[None], Sequence[AnyRecord]]] = []

    @property
    def unsynced_bytes(self) -> int:
        return self._store.unsynced_bytes

    def load(self) -> Sequence[AnyRecord]:
        records = self._store.load()
        self._checkers.restarted(self._replica, 0, records)
        return records

    def append(self, records: Sequence[AnyRecord]) -> "asyncio.Future[None]":
        done = self._store.append(records)
        self._unsynced.append((done, records))
        return done

    def rotten(self) -> Rotten:
        return self._store.rotten()

    def set_aside(self, divergence: Diverged) -> None:
        self._store.set_aside(divergence)

    def look(self) -> None:
        """Tell what is durable by now, in order."""
        while self._unsynced and self._unsynced[0][0].done():
            for record in self._unsynced.pop(0)[1]:
                self._checkers.durable(self._replica, record)


class WatchedNode(Node):
    """A node that tells the checkers what leaves."""

    checkers: Checkers
    watched: Watched

    def _post(self, sends: Sequence[Send]) -> None:
        self.watched.look()
        for send in sends:
            self.checkers.sent(self._me.id, send)
        super()._post(sends)


class Trial:
    """Four nodes; the victim has a stop in its first life."""

    def __init__(self, directory: Path, *, fast_reads: bool) -> None:
        protocol = {**PROTOCOL, "checkpoint_interval": 4, "window": 8, "fast_reads": fast_reads}
        self.directory = directory
        self.cluster, self.identities = make_cluster(directory, protocol=protocol)
        config, identity = self.cluster.config, self.identities[replica_name(0)]
        judge = Authentication(config.cluster_id, identity.signing, self.cluster.verifier())
        self.checkers = Checkers(NewViewOracle(config, judge))
        self.nodes: dict[ReplicaId, Node] = {}
        self.back = asyncio.Event()
        """Set when the victim begins its second life."""

    def node(self, replica: ReplicaId, store: Store, wrap: Wrap, watched: Watched | None) -> Node:
        kind = Node if watched is None else WatchedNode
        identity = self.identities[replica_name(replica)]
        node = kind(self.cluster, replica, identity, KeyValueService(), wrap=wrap, store=store)
        if isinstance(node, WatchedNode) and watched is not None:
            node.checkers, node.watched = self.checkers, watched
        self.nodes[replica] = node
        return node

    def store(self, replica: ReplicaId) -> SqliteStore:
        path = self.directory / "data" / f"{replica}.db"
        return SqliteStore(path, self.cluster.config.cluster_id, replica)

    async def live(self, replica: ReplicaId, wrap: Wrap | None = None) -> None:
        """Until stopped, from what is on the disk; whoever is wrapped is a traitor."""
        with closing(self.store(replica)) as store:
            if wrap is not None:
                await self.node(replica, store, wrap, None).run()
            else:
                watched = Watched(store, replica, self.checkers)
                await self.node(replica, watched, lambda it: it, watched).run()

    async def die_and_live(self, stop: Stop) -> None:
        """The victim's two lives."""
        with closing(self.store(VICTIM)) as store:
            watched = Watched(store, VICTIM, self.checkers)
            mortal = Mortal(watched, stop, die)
            with pytest.raises(Died):
                await self.node(VICTIM, mortal, mortal.around, watched).run()
        self.back.set()
        await self.live(VICTIM)

    async def level(self, replicas: Sequence[ReplicaId]) -> None:
        """Until they have executed equally far in one view."""
        seen: set[tuple[int, int, bool]] = set()
        for _ in range(int(SECONDS * 50)):
            statuses = [self.nodes[each].status().status for each in replicas]
            seen = {(each.view, each.executed, each.active) for each in statuses}
            if len(seen) == 1 and statuses[0].active:
                return
            await asyncio.sleep(0.02)
        raise TimeoutError(f"not level: {seen}")


async def trial(directory: Path, point: Point, occurrence: int) -> Trial:
    """One run; what the checkers saw is in it."""
    now = Trial(directory, fast_reads=point.kind == "Acknowledged")
    first = now.live(0) if point.kind in LATE else now.live(0, BEHAVIOURS["equivocate"])
    stop = Stop(point, occurrence, False, 0)
    lives = [now.die_and_live(stop), now.live(2), now.live(3), first]
    tasks = [asyncio.create_task(each) for each in lives]
    async with Client(directory, timeout=SECONDS) as client:
        kv = KeyValueClient(client)
        told: dict[bytes, bytes] = {}
        left = MORE
        while left:
            key = b"k%d" % (len(told) % 7) + b"/%d" % len(told)
            await kv.put(key, b"v")
            told[key] = b"v"
            left -= now.back.is_set()
            if point.kind in LATE and len(told) == MORE:
                now.nodes[0].stop()
        await now.level((1, 2, 3))
        assert dict(await kv.scan()) == told
    for node in now.nodes.values():
        node.stop()
    await asyncio.gather(*tasks)
    return now


@pytest.mark.scenario(
    "CR1", "CR2", "CR3", "CR17", "ST10", "T34", kills="T34 turns leave whatever the disk holds"
)
@pytest.mark.parametrize("point", HERE, ids=lambda p: f"{p.boundary.name}-{p.kind}".lower())
def test_a_replica_stopped_at(tmp_path: Path, point: Point) -> None:
    async def main() -> None:
        async with asyncio.timeout(2 * SECONDS):
            done = await trial(tmp_path / "c", point, 1)
        assert done.checkers.complaints == []

    run(main())
