"""A running cluster behind a proxy, its load, and somebody who looks on."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from pbft import Client
from pbft.cli.main import main
from pbft.core.status import ReplicaStatus
from pbft.testing.cluster.account import Account, Worker, until_level
from pbft.testing.cluster.mesh import MeshCluster
from pbft.testing.cluster.proxy import Conditions, Side, _send

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
        self.mesh.check()
        told = "\n".join(map(str, await self.statuses()))
        raise TimeoutError(f"{wanted - self.answered} of {more} answers are missing:\n{told}")

    async def level(
        self, seconds: float = BOUND, replicas: Sequence[int] = EVERYBODY
    ) -> list[ReplicaStatus]:
        """Until `replicas` are in one view and one state."""
        return await until_level(self.onlooker, replicas, seconds)

    async def primary(self) -> int:
        """Of the view that all are in, while they work."""
        return (await self._one_view()).primary

    async def view(self) -> int:
        """The view that all are in, while they work."""
        return (await self._one_view()).view

    async def _one_view(self) -> ReplicaStatus:
        for _ in range(int(BOUND * 20)):
            seen = await self.statuses()
            if len({each.view for each in seen}) == 1 and all(each.active for each in seen):
                return seen[0]
            await asyncio.sleep(0.05)
        raise TimeoutError("not in one view:\n" + "\n".join(map(str, seen)))

    async def caught_up(self, replica: int, seconds: float) -> None:
        """Until `replica` votes and has executed what the first of the others had by now."""
        most = max(each.executed for each in await self.statuses())
        for _ in range(int(seconds * 20)):
            status = (await self.onlooker.status(replica, timeout=seconds)).status
            if status.voting and status.executed >= most:
                return
            await asyncio.sleep(0.05)
        raise TimeoutError(f"replica {replica} is still behind {most}: {status}")

    async def statuses(self) -> list[ReplicaStatus]:
        """What each says, wherever it is."""
        asked = (self.onlooker.status(each, timeout=BOUND) for each in EVERYBODY)
        return [report.status for report in await asyncio.gather(*asked)]

    async def read_back(self) -> None:
        """Every worker reads all that it has written."""
        for each in self.workers:
            await each.read_back()

    async def end_well(self) -> None:
        """No more calls; all are level and every worker reads what it was told."""
        await self.rest()
        self.mesh.check()
        await self.level()
        await self.read_back()
        assert self.account.complaints == []
        assert self.answered > 0
        await self.level()
        self.mesh.check()

    def accuse_nobody(self) -> None:
        """Whatever was cut, killed or slow: nothing that anybody kept convicts anybody (AC6)."""
        homes = [str(self.mesh.home(each)) for each in EVERYBODY]
        assert main(["audit", *homes, "--cluster", str(self.mesh.directory)]) == 0


class Recorded:
    """Everything that passes a proxy: `again` sends it once more, to where it went."""

    def __init__(self, mesh: MeshCluster) -> None:
        self.kept: list[tuple[Side, bytes]] = []
        proxy, whole = mesh._proxy, mesh._proxy._forward

        def forward(data: bytes, out: Side, conditions: Conditions) -> None:
            self.kept.append((out, data))
            whole(data, out, conditions)

        proxy._forward = forward  # type: ignore[method-assign]

    @property
    def largest(self) -> int:
        return max(len(data) for _, data in self.kept)

    def to(self, name: str) -> int:
        """How many went there."""
        return sum(side.name == name for side, _ in self.kept)

    async def until(self, name: str, count: int) -> None:
        """So many went there."""
        for _ in range(int(2 * BOUND * 1000)):
            if self.to(name) >= count:
                return
            await asyncio.sleep(0.001)
        raise TimeoutError(f"only {self.to(name)} of {count} datagrams for {name}")

    async def again(self, times: int, to: str | None = None) -> int:
        """All, or those to one, so many times; how many that were."""
        kept = [each for each in self.kept if to in (None, each[0].name)]
        for _ in range(times):
            for number, (out, data) in enumerate(kept):
                _send(out, data)
                if number % 200 == 0:
                    await asyncio.sleep(0)
        return times * len(kept)


@asynccontextmanager
async def scene(directory: Path, *, power_cuts: bool = False) -> AsyncIterator[Scene]:
    """`power_cuts`: a kill loses what was not synced, too."""
    with MeshCluster(directory, clients=2, protocol=PROTOCOL, power_cuts=power_cuts) as mesh:
        mesh.start()
        async with (
            Client(mesh.seen_by("client-0"), identity="client-0") as caller,
            Client(mesh.directory, identity="client-1") as onlooker,
        ):
            begun = Scene(mesh, caller, onlooker)
            begun.work()
            await begun.answers(30)
            yield begun
