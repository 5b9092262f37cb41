"""What clients are told adds up, though the primary is killed, a replica lies to them, and they are
killed themselves: demonstration 2 of the client library."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest

from pbft import Client, UnansweredError
from pbft.services.counters import Counters, RemoteCounters
from pbft.testing.cluster import ProcessCluster
from tests.cluster.counting import NAME

pytestmark = pytest.mark.cluster

CLIENTS, CALLS = 10, 100
NAMES = [f"client-{number}" for number in range(CLIENTS)]
ONLOOKER = f"client-{CLIENTS}"
PROTOCOL = {"request_timeout_ms": 500, "status_interval_ms": 50, "timeout_max_ms": 2000}
PRIMARY, LIAR = 0, 3
IMPATIENT_SECONDS = 0.4
"""Less than a view change takes."""
PATIENT_SECONDS = 30.0


@contextmanager
def counters(directory: Path) -> Iterator[ProcessCluster]:
    """One replica lies to clients from the start. A crash that comes back is none of the f."""
    with ProcessCluster(
        directory,
        clients=CLIENTS + 1,
        protocol=PROTOCOL,
        service="pbft.services.counters:Counters",
    ) as cluster:
        cluster.start(traitors={LIAR: "lie-to-clients"})
        yield cluster


async def once_it_is(value: int, client: Client) -> None:
    for _ in range(3000):
        if await RemoteCounters(client).value(NAME) >= value:
            return
        await asyncio.sleep(0.01)
    raise TimeoutError(f"it never was {value}")


async def add(client: Client, timeout: float) -> str | None:
    """None where the call was acknowledged, else its key."""
    try:
        await RemoteCounters(client, timeout=timeout).add(NAME)
    except UnansweredError as error:
        return error.key or ""
    return None


def begun(clients: Sequence[Client], timeout: float) -> "list[asyncio.Task[str | None]]":
    """Half of the calls, all at once."""
    return [asyncio.create_task(add(each, timeout)) for _ in range(CALLS // 2) for each in clients]


def test_a_thousand_calls_while_the_primary_is_killed_and_a_replica_lies(tmp_path: Path) -> None:
    async def main() -> None:
        with counters(tmp_path / "c") as cluster:
            async with AsyncExitStack() as stack:
                opened = [Client(cluster.directory, identity=name) for name in NAMES]
                for each in opened:
                    await stack.enter_async_context(each)
                onlooker = await stack.enter_async_context(
                    Client(cluster.directory, identity=ONLOOKER)
                )
                calls = begun(opened, PATIENT_SECONDS)
                await once_it_is(1, onlooker)
                cluster.kill(PRIMARY)
                calls += begun(opened, IMPATIENT_SECONDS)
                told = await asyncio.gather(*calls)
                acknowledged = told.count(None)
                value = await RemoteCounters(onlooker).value(NAME)
                assert acknowledged <= value <= CLIENTS * CALLS
                cluster.start(PRIMARY)
                for client, key in zip(opened * CALLS, told, strict=True):
                    if key:
                        await RemoteCounters(client).resolve(Counters.add, key)
                sent = CLIENTS * CALLS - told.count("")
                assert sent > acknowledged >= 1
                assert await RemoteCounters(onlooker).value(NAME) == sent
                stats = [each.stats() for each in opened]
                assert all(each.wrong_replies.keys() == {LIAR} for each in stats)
            cluster.check()

    asyncio.run(main(), debug=True)


def started(directory: Path) -> "list[subprocess.Popen[bytes]]":
    command = [sys.executable, "-W", "error", "-m", "tests.cluster.counting", str(directory)]
    return [subprocess.Popen([*command, name, str(CALLS)]) for name in NAMES]


def killed(programs: "Sequence[subprocess.Popen[bytes]]") -> None:
    for each in programs:
        each.kill()
    for each in programs:
        each.wait()


def test_the_same_with_every_client_killed_half_way(tmp_path: Path) -> None:
    async def main() -> None:
        with counters(tmp_path / "c") as cluster:
            async with Client(cluster.directory, identity=ONLOOKER) as onlooker:
                programs = started(cluster.directory)
                try:
                    await once_it_is(CLIENTS * CALLS // 4, onlooker)
                    cluster.kill(PRIMARY)
                    await once_it_is(CLIENTS * CALLS * 2 // 5, onlooker)
                finally:
                    killed(programs)
                unfinished = await RemoteCounters(onlooker).value(NAME)
                assert unfinished < CLIENTS * CALLS
                cluster.start(PRIMARY)
                programs = started(cluster.directory)
                try:
                    ended = [await asyncio.to_thread(each.wait, 60) for each in programs]
                finally:
                    killed(programs)
                assert ended == [0] * CLIENTS
                assert await RemoteCounters(onlooker).value(NAME) == CLIENTS * CALLS
            cluster.check()

    asyncio.run(main(), debug=True)
