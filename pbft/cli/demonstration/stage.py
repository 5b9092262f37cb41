"""The course of a demonstration: wait until all are up, drive the load, settle, compare.

All the while another client identity asks the replicas for their status.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from pbft.cli.demonstration.load import Load, drive
from pbft.cli.demonstration.screen import Screen
from pbft.cli.demonstration.verdict import Run
from pbft.cli.demonstration.watch import Watch
from pbft.cli.status import report_of
from pbft.client import Client
from pbft.core.errors import UnansweredError
from pbft.core.ids import ReplicaId, SequenceNumber
from pbft.services.kv import KeyValueClient
from pbft.testing.cluster import ProcessCluster, ProcessError

CALL_SECONDS = 30.0
START_SECONDS = 20.0
SETTLE_SECONDS = 20.0
LOOK_SECONDS = 0.1
STATUS_SECONDS = 0.5
FOREVER = 24 * 3600.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plan:
    """`requests` 0: as many as there is time for. `seconds` none: no limit but their number."""

    behaviour: str
    traitor: ReplicaId | None
    requests: int
    seconds: float | None


async def demonstrate(cluster: ProcessCluster, screen: Screen, plan: Plan) -> Run:
    """Run it. Raises `ProcessError` where a replica process ends, or does not come up."""
    watch, load = Watch(cluster.cluster.config.n, plan.traitor), Load(plan.requests)
    directory = cluster.directory
    async with (
        Client(directory, identity="client-0", timeout=CALL_SECONDS) as client,
        Client(directory, identity="client-1") as watcher,
        _looking(_Look(cluster, watcher, watch, load, screen)) as looking,
    ):
        kv = KeyValueClient(client)
        await _unless(looking, _until_up(watch))
        screen.tell(_opening(plan, watch))
        load.until = time.monotonic() + (plan.seconds or FOREVER)
        await _unless(looking, drive(load, kv))
        screen.tell(f"{load.answered} of {load.asked} requests are answered")
        compared_at = await _unless(looking, _settle(watch, kv))
        screen.show(load, watch)
        refused = {str(by): count for by, count in sorted(client.stats().wrong_replies.items())}
        return Run(load, watch, plan.behaviour, compared_at, refused)


def _opening(plan: Plan, watch: Watch) -> str:
    if plan.traitor is None:
        return f"{watch.n} honest replicas are up; replica 0 is the primary"
    return (
        f"{watch.n} replicas are up; replica {plan.traitor} is the primary and a traitor:"
        f" {plan.behaviour}"
    )


# -- looking ------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Look:
    cluster: ProcessCluster
    watcher: Client
    watch: Watch
    load: Load
    screen: Screen

    async def forever(self) -> None:
        """Ask everybody, take in what is new, show it; stop with an error if a process ends."""
        while True:
            self.cluster.check()
            asked = (
                report_of(self.watcher, replica, STATUS_SECONDS) for replica in range(self.watch.n)
            )
            for report in await asyncio.gather(*asked):
                for sentence in self.watch.see(report) if report is not None else ():
                    self.screen.tell(sentence)
            self.screen.show(self.load, self.watch)
            await asyncio.sleep(LOOK_SECONDS)


@contextlib.asynccontextmanager
async def _looking(look: _Look) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(look.forever())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _unless(looking: "asyncio.Task[None]", work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, unless looking at the replicas fails before."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({looking, task}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            looking.result()
        return await task
    finally:
        task.cancel()


# -- before and after ---------------------------------------------------------------------------


async def _until_up(watch: Watch) -> None:
    until = time.monotonic() + START_SECONDS
    while len(watch.latest) < watch.n:
        if time.monotonic() > until:
            missing = sorted(set(range(watch.n)) - set(watch.latest))
            raise ProcessError(f"replicas {missing} did not come up in {START_SECONDS:.0f} s")
        await asyncio.sleep(LOOK_SECONDS)


async def _settle(watch: Watch, kv: KeyValueClient) -> SequenceNumber | None:
    """Make requests until a checkpoint that covers all earlier ones is held by all n replicas
    and the correct ones are level; the sequence number of that checkpoint, none if it never is."""
    after = max((status.executed for status in watch.correct), default=0) + 1
    until = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < until:
        if max(max(status.checkpoints, default=0) for status in watch.correct) < after:
            with contextlib.suppress(UnansweredError):
                await kv.get(b"worker-0/key-0")
        else:
            await asyncio.sleep(LOOK_SECONDS)
        found = watch.common(after)
        if found is not None and watch.level():
            return found
    return watch.common(0)
