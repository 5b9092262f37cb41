"""A replica whose disk fails stops with one clear sentence; the others go on without it."""

import asyncio
import resource
from pathlib import Path

import pytest

from pbft.testing.cluster import ProcessError
from pbft.testing.sqlite_disk import FAULTS, fault_file
from tests.cluster.scene import BOUND, Scene, scene

pytestmark = pytest.mark.cluster


async def ended(now: Scene, replica: int) -> str:
    """What it said last, once it has ended by itself, which must not look like an orderly end."""
    for _ in range(int(BOUND * 20)):
        try:
            now.mesh.check()
        except ProcessError as error:
            assert now.mesh.exit_status(replica) == 1
            return str(error)
        await asyncio.sleep(0.05)
    raise TimeoutError(f"replica {replica} goes on")


async def stops_and_comes_back(now: Scene, replica: int, told: Path) -> None:
    """Its one sentence names the file; with a sound disk it catches up."""
    words = await ended(now, replica)
    assert words.startswith(f"replica {replica} ended by itself: pbft: {told} could not be written")
    assert words.endswith("then start the replica again")
    log = (now.mesh.directory / f"replica-{replica}.log").read_text()
    assert "Traceback" not in log
    await now.answers(10)


@pytest.mark.scenario("CR17")
def test_a_disk_that_fails_to_sync_or_is_full_or_writes_by_half(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path / "c", power_cuts=True) as now:
            for replica, fault in enumerate(FAULTS):
                database = now.mesh.database(replica)
                fault_file(database).write_text(fault)
                await stops_and_comes_back(now, replica, database)
                fault_file(database).unlink()
                now.mesh.start(replica)
                await now.caught_up(replica, 2 * BOUND)
            await now.end_well()

    asyncio.run(main())


def test_a_kernel_that_refuses_to_write(tmp_path: Path) -> None:
    """The plain store and a real refusal: the process may not write to any file beyond 4 KiB."""

    async def main() -> None:
        async with scene(tmp_path / "c") as now:
            resource.prlimit(now.mesh.pid(2), resource.RLIMIT_FSIZE, (4096, 4096))
            await stops_and_comes_back(now, 2, now.mesh.database(2))
            now.mesh.start(2)
            await now.caught_up(2, 2 * BOUND)
            await now.end_well()

    asyncio.run(main())
