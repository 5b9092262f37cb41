"""A cluster always comes back: whatever the network and the processes did, once both are well all
replicas are in one view and one state within `BOUND` seconds, and no answer was lost or wrong."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pbft import Client
from pbft.core.status import ReplicaStatus
from pbft.testing.cluster.account import Account, Worker, until_level
from pbft.testing.cluster.mesh import MeshCluster
from pbft.testing.cluster.proxy import CUT, Conditions

pytestmark = pytest.mark.cluster

TIMEOUT = 0.5
PROTOCOL = {
    "checkpoint_interval": 8,
    "window": 32,
    "request_timeout_ms": int(TIMEOUT * 1000),
    "timeout_max_ms": 2000,
}
BOUND = 6.0
"""Seconds from the end of the trouble to one view and one state: two of the longest timeouts for
views that fail, a handshake's longest retry, and a busy machine."""
EVERYBODY = range(4)
WORKERS = 3


class Scene:
    """A running mesh with a load: workers that call through the proxy, and an onlooker beside."""

    def __init__(self, mesh: MeshCluster, caller: Client, onlooker: Client) -> None:
        self.mesh = mesh
        self.onlooker = onlooker
        self.account = Account()
        self.workers = [
            Worker(caller, f"worker-{number}", self.account) for number in range(WORKERS)
        ]
        self._tasks: list[asyncio.Task[None]] = []

    def work(self) -> None:
        """Let the workers call until `rest`."""
        for each in self.workers:
            each.stopping = False
        self._tasks = [asyncio.create_task(each.run(0.005)) for each in self.workers]

    async def rest(self) -> None:
        """Wait for the calls under way, and make no more."""
        for each in self.workers:
            each.stopping = True
        await asyncio.gather(*self._tasks)

    @property
    def answered(self) -> int:
        return sum(each.answered for each in self.workers)

    async def answers(self, more: int, seconds: float = 2 * BOUND) -> None:
        """Until so many more calls have been answered."""
        wanted = self.answered + more
        for _ in range(int(seconds * 100)):
            if self.answered >= wanted or self.account.complaints:
                return
            await asyncio.sleep(0.01)
        raise TimeoutError(f"{wanted - self.answered} of {more} answers are missing")

    async def level(self, seconds: float = BOUND) -> list[ReplicaStatus]:
        return await until_level(self.onlooker, EVERYBODY, seconds)

    async def primary(self) -> int:
        """Of the view that all are in, while they work."""
        for _ in range(int(BOUND * 20)):
            asked = (self.onlooker.status(each, timeout=BOUND) for each in EVERYBODY)
            seen = [report.status for report in await asyncio.gather(*asked)]
            if len({each.view for each in seen}) == 1 and all(each.active for each in seen):
                return seen[0].primary
            await asyncio.sleep(0.05)
        raise TimeoutError(f"in several views: {seen}")

    async def end_well(self) -> None:
        """No more calls; all are level and every worker reads what it was told."""
        await self.rest()
        await self.level()
        for each in self.workers:
            await each.read_back()
        assert self.account.complaints == []
        assert self.answered > 0
        await self.level()
        self.mesh.check()


@asynccontextmanager
async def scene(directory: Path) -> AsyncIterator[Scene]:
    with MeshCluster(directory, clients=2, protocol=PROTOCOL) as mesh:
        mesh.start()
        async with (
            Client(mesh.seen_by("client-0"), identity="client-0") as caller,
            Client(mesh.directory, identity="client-1") as onlooker,
        ):
            begun = Scene(mesh, caller, onlooker)
            begun.work()
            await begun.answers(30)
            yield begun


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


def test_partitions_two_and_two(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path / "c") as now:
            for halves in (({0, 1}, {2, 3}), ({0, 2}, {1, 3})):
                now.mesh.partition(*halves)
                await asyncio.sleep(3 * TIMEOUT)
                now.mesh.heal()
                await now.answers(20)
            await now.end_well()

    asyncio.run(main())


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
