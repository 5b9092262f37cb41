"""FL11: what replicas keep on their disks while one of them never votes for a checkpoint that
exists, for as long as others go on writing."""

import asyncio
from pathlib import Path

import pytest

from pbft import Client
from pbft.services.kv import KeyValueClient
from pbft.sqlite_store import LOG_BYTES
from pbft.testing.cluster import ProcessCluster
from pbft.transport.loop import run

pytestmark = pytest.mark.cluster

PROTOCOL = {
    **{"checkpoint_interval": 4, "window": 8, "batch_max_requests": 1},
    **{"request_timeout_ms": 500, "timeout_max_ms": 1000},
}
VALUE_BYTES = 16_000
KEYS = 16
BOUND_BYTES = 2 * LOG_BYTES + 1024 * 1024
"""The log, and as much room in the file as the log was reserved in, which holds two windows of
these batches and two states."""


def kept_bytes(cluster: ProcessCluster) -> list[int]:
    """On the disk of each replica, log included."""
    databases = [cluster.database(replica) for replica in range(4)]
    return [
        sum(each.stat().st_size for each in file.parent.glob(f"{file.name}*")) for file in databases
    ]


async def rewritten(directory: Path, rounds: int) -> int:
    """So many times, the same keys; how many bytes that were."""
    async with Client(directory, identity="client-0", timeout=30.0) as caller:
        kv = KeyValueClient(caller)
        for number in range(rounds):
            value = bytes([number % 256]) * VALUE_BYTES
            await asyncio.gather(*(kv.put(b"%d" % key, value) for key in range(KEYS)))
    return rounds * KEYS * VALUE_BYTES


@pytest.mark.scenario("FL11", kills="FL11 batches below a stable checkpoint stay on the disk")
def test_the_disks_stay_bounded_however_much_is_written(tmp_path: Path) -> None:
    """First the others are a quorum; then one more is stopped, so that the window fills."""
    with ProcessCluster(tmp_path / "c", protocol=PROTOCOL) as cluster:
        cluster.start(traitors={3: "lie-in-checkpoints"})
        written = run(rewritten(cluster.directory, 50))
        assert max(kept_bytes(cluster)) <= BOUND_BYTES < LOG_BYTES + written
        cluster.suspend(2)
        run(rewritten(cluster.directory, 12))
        assert max(kept_bytes(cluster)) <= BOUND_BYTES
        cluster.resume(2)
        run(rewritten(cluster.directory, 4))
        cluster.check()
