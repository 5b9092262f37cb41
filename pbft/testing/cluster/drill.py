"""A user's service on four real processes, while they are killed and their network is bad.

    found = drill("bank:Bank", seconds=30)
    print(found.problems or "it held")

Every process has a hash seed of its own and keeps a record of what it executes (`witness`), and so
do the callers. In the end a single machine in this process executes the agreed order once more.
"""

import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from msgspec import Struct, structs

from pbft.client import Client
from pbft.core.errors import PbftError, RejectedError, UnansweredError
from pbft.core.ids import ReplicaId
from pbft.core.service import OK, REFUSED
from pbft.testing.cluster import witness
from pbft.testing.cluster.account import until_level
from pbft.testing.cluster.drilled import LAST_LINES, keep
from pbft.testing.cluster.mesh import MeshCluster
from pbft.testing.cluster.proxy import Conditions
from pbft.testing.cluster.records import Told, problems_in
from pbft.testing.planfiles import DIRECTORY, PlanFileError
from pbft.testing.subjects import Subject, subject
from pbft.transport.loop import run

SECONDS = 30
REPLICAS = 4
CALLERS = 3
PAUSE_SECONDS = 0.01
CALL_SECONDS = 15.0
LEVEL_SECONDS = 30.0
DOWN_SECONDS = 0.7
BAD = Conditions(loss=0.05, duplicate=0.02, reorder=0.05, delay_ms=(0.0, 3.0))
PROTOCOL = {
    "checkpoint_interval": 8,
    "window": 32,
    "request_timeout_ms": 500,
    "timeout_max_ms": 2000,
}


class Drilled(Struct, frozen=True):
    """What came of it; `ordered`: operations, each once. Where it did not hold, `file` and `page`:
    what was kept of it."""

    seconds: float
    answered: int
    refused: int
    unanswered: int
    ordered: int
    faults: dict[str, int]
    problems: list[str]
    file: str | None = None
    page: str | None = None


class Witnessed(MeshCluster):
    """A mesh whose replicas keep a record of what they execute."""

    def __init__(self, directory: Path, service: str, seed: int = 0) -> None:
        self._service = service
        super().__init__(
            directory,
            n=REPLICAS,
            clients=CALLERS + 1,
            protocol=PROTOCOL,
            service=witness.RUNS,
            seed=seed,
        )

    def environment(self, replica: ReplicaId) -> dict[str, str]:
        """Besides what every replica gets: what it runs, and where its record is."""
        own = {witness.SERVICE: self._service, witness.FILE: str(self.record(replica))}
        return super().environment(replica) | own

    def record(self, replica: ReplicaId) -> Path:
        """The file with what it has executed."""
        return self.directory / f"executed-{replica}.jsonl"

    def last_lines(self, replica: ReplicaId, count: int) -> list[str]:
        """Of its log."""
        text = (self.directory / f"replica-{replica}.log").read_text("utf-8", "replace")
        return text.splitlines()[-count:]


def drill(
    service: str, seconds: float = SECONDS, *, seed: int = 0, directory: Path = DIRECTORY
) -> Drilled:
    """Run `module:Class` for so many seconds, and put what is wrong into `directory`. Raises
    `ServiceError` where it cannot be imported or called."""
    about = subject(service)
    with tempfile.TemporaryDirectory() as scratch:
        cluster = Witnessed(Path(scratch) / "cluster", service, seed)
        with cluster:
            cluster.start()
            doing = _Drill(cluster, about, seed)
            found = run(doing.run(seconds))
        return doing.kept(service, found, directory) if found.problems else found


class _Drill:
    """One run. `told`: what each caller was told, in its order."""

    def __init__(self, cluster: Witnessed, about: Subject, seed: int) -> None:
        self._cluster = cluster
        self._about = about
        self._seed = seed
        self._dice = random.Random(f"drill {seed}")
        self._stopping = False
        self._told: dict[str, list[Told]] = {}
        self._unanswered = 0
        self._faults: Counter[str] = Counter()
        self._problems: list[str] = []

    async def run(self, seconds: float) -> Drilled:
        """Callers and misfortunes side by side; then calm, and the checkers."""
        began = time.monotonic()
        try:
            async with self._open() as (onlooker, callers):
                work = asyncio.gather(*(self._work(each) for each in callers))
                await self._misfortunes(onlooker, began + seconds)
                self._cluster.heal()
                self._stopping = True
                await work
                await until_level(onlooker, range(REPLICAS), LEVEL_SECONDS)
            self._cluster.check()
        except PbftError as error:
            text = f"termination: the cluster did not recover: {self._why(error)}"
            self._problems.append(text)
        return self._judged(time.monotonic() - began)

    def _why(self, error: PbftError) -> str:
        """A replica that has ended by itself says more than the silence that follows."""
        try:
            self._cluster.check()
        except PbftError as ended:
            return str(ended)
        return str(error).partition("\n")[0].partition(": [")[0]

    def _judged(self, seconds: float) -> Drilled:
        records = [witness.read(self._cluster.record(each)) for each in range(REPLICAS)]
        ordered, problems = problems_in(records, self._told, self._about)
        every = [each for told in self._told.values() for each in told]
        answered = sum(each.result.startswith(OK) for each in every)
        if not every:
            problems.append("termination: no call was answered: nothing was tested")
        return Drilled(
            seconds,
            answered,
            len(every) - answered,
            self._unanswered,
            ordered,
            dict(self._faults),
            self._problems + problems,
        )

    def kept(self, service: str, found: Drilled, directory: Path) -> Drilled:
        """With a file and a page of it. Where there can be none, what was found is told still."""
        cluster = self._cluster
        records = [witness.read(cluster.record(each)) for each in range(REPLICAS)]
        logs = [cluster.last_lines(each, LAST_LINES) for each in range(REPLICAS)]
        try:
            file, page = keep(service, found.problems, records, self._told, logs, directory)
        except PlanFileError as error:
            text = f"nothing is kept of it: {error}"
            return structs.replace(found, problems=[*found.problems, text])
        return structs.replace(found, file=str(file), page=str(page))

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[tuple[Client, list[Client]]]:
        """One who looks on past the proxy, and callers through it."""
        async with AsyncExitStack() as stack:
            onlooker = Client(self._cluster.directory, identity=f"client-{CALLERS}")
            await stack.enter_async_context(onlooker)
            callers = []
            for name in (f"client-{number}" for number in range(CALLERS)):
                client = Client(self._cluster.seen_by(name), identity=name, timeout=CALL_SECONDS)
                callers.append(await stack.enter_async_context(client))
            yield onlooker, callers

    async def _work(self, client: Client) -> None:
        """One call after another. What nobody has answered may have happened, or not."""
        told = self._told.setdefault(client.name, [])
        dice = random.Random(f"{client.name} {self._seed}")
        while not self._stopping:
            operation = self._about.operation(dice)
            try:
                told.append(Told(operation, OK + await client.call(operation)))
            except RejectedError as error:
                told.append(Told(operation, REFUSED + str(error).encode()))
            except UnansweredError:
                self._unanswered += 1
            await asyncio.sleep(PAUSE_SECONDS)

    # -- misfortunes --------------------------------------------------------------------------

    async def _misfortunes(self, onlooker: Client, until: float) -> None:
        """One after another, at most one replica at a time, until it is time."""
        self._cluster.everywhere(BAD)
        turn = 0
        while time.monotonic() < until:
            await asyncio.sleep(DOWN_SECONDS)
            primary = await self._primary(onlooker)
            backup = (primary + 1 + self._dice.randrange(REPLICAS - 1)) % REPLICAS
            if turn % 3 == 2:
                await self._cut_off(backup)
            else:
                await self._kill(backup if turn % 3 else primary, turn % 3 == 0)
            turn += 1

    async def _kill(self, replica: ReplicaId, primary: bool) -> None:
        self._faults["primary killed" if primary else "replica killed"] += 1
        self._cluster.kill(replica)
        await asyncio.sleep(DOWN_SECONDS)
        self._cluster.start(replica)

    async def _cut_off(self, replica: ReplicaId) -> None:
        self._faults["cut off"] += 1
        others = {each for each in range(REPLICAS) if each != replica}
        self._cluster.partition({replica}, others)
        await asyncio.sleep(DOWN_SECONDS)
        self._cluster.heal()
        self._cluster.everywhere(BAD)

    async def _primary(self, onlooker: Client) -> ReplicaId:
        """Of the latest view that anybody is in."""
        asked = (onlooker.status(each) for each in range(REPLICAS))
        said = await asyncio.gather(*asked, return_exceptions=True)
        known = [each.status for each in said if not isinstance(each, BaseException)]
        return max(known, key=lambda each: each.view).primary if known else 0
