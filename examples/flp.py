"""Asynchrony, and what Fischer, Lynch and Paterson proved about it, on real processes.

In a network that never calms, no deterministic protocol can promise to decide, if even one process
may crash. PBFT does not try to: it stays safe without any assumption about time, and terminates
once messages arrive within a bound. Here an adversary who owns the network holds back what is sent
to whoever leads or is about to, view after view: nothing is decided, and nothing goes wrong. Then
the network calms, and what was asked is answered. Run it: `python examples/flp.py`.
"""

import asyncio
import tempfile
from pathlib import Path

from pbft import Client, UnansweredError
from pbft.core.status import ReplicaStatus
from pbft.services.kv import KeyValueClient, Put, encode
from pbft.testing.cluster.mesh import MeshCluster
from pbft.testing.cluster.proxy import PERFECT

N = 4
PROTOCOL = {"request_timeout_ms": 200, "timeout_max_ms": 400, "checkpoint_interval": 8}
STORM_SECONDS = 3.0
CALM_SECONDS = 20.0


async def look(onlooker: Client) -> list[ReplicaStatus]:
    """What each replica says about itself."""
    reports = (onlooker.status(replica, timeout=5.0) for replica in range(N))
    return [report.status for report in await asyncio.gather(*reports)]


def safe(seen: list[ReplicaStatus]) -> bool:
    """No two replicas have different states at one checkpoint."""
    states: dict[int, set[bytes]] = {}
    for each in seen:
        for sequence, digest in each.checkpoints.items():
            states.setdefault(sequence, set()).add(digest)
    return all(len(each) == 1 for each in states.values())


def hold_back(mesh: MeshCluster, deaf: set[int], before: set[int]) -> None:
    """What is sent to `deaf`; those of `before` hear again."""
    for replica in deaf - before:
        mesh.deafen(replica)
    for replica in before - deaf:
        for other in set(range(N)) - {replica}:
            mesh.set(f"replica-{other}", f"replica-{replica}", PERFECT)


async def storm(mesh: MeshCluster, onlooker: Client, seconds: float) -> tuple[bool, int]:
    """Whoever leads the highest view or the next does not hear. Was it safe, and that view."""
    clock = asyncio.get_running_loop().time
    deaf: set[int] = set()
    until, always, view = clock() + seconds, True, 0
    while clock() < until:
        now = {view % N, (view + 1) % N}
        hold_back(mesh, now, deaf)
        deaf = now
        await asyncio.sleep(0.02)
        seen = await look(onlooker)
        always, view = always and safe(seen), max(each.view for each in seen)
    return always, view


async def show(mesh: MeshCluster, client: Client, onlooker: Client) -> dict[str, bool]:
    """The claims, and whether they held."""
    store = KeyValueClient(client)
    await store.put(b"before", b"1")
    before = max(each.executed for each in await look(onlooker))
    raging = asyncio.create_task(storm(mesh, onlooker, STORM_SECONDS))
    await asyncio.sleep(0.2)
    key = client.prepare(encode(Put(b"during", b"1")))
    try:
        await client.resolve(key, timeout=STORM_SECONDS - 1)
    except UnansweredError as error:
        print("no answer:", error)
    always, views = await raging
    after = max(each.executed for each in await look(onlooker))
    print(f"{STORM_SECONDS:.0f} s of storm: {views} views begun, {after - before} decisions")
    mesh.heal()
    began = asyncio.get_running_loop().time()
    await client.resolve(key, timeout=CALM_SECONDS)
    took = asyncio.get_running_loop().time() - began
    found = await store.get(b"before"), await store.get(b"during")
    print(f"then the network calms: the same request is answered after {took:.1f} s")
    return {
        "nothing terminates while the network never calms": after == before and views > 0,
        "safety holds all along": always and safe(await look(onlooker)),
        "once it calms, what was asked takes effect": found == (b"1", b"1"),
    }


async def main() -> None:
    with (
        tempfile.TemporaryDirectory() as scratch,
        MeshCluster(Path(scratch) / "cluster", clients=2, protocol=PROTOCOL) as mesh,
    ):
        mesh.start()
        async with (
            Client(mesh.directory, identity="client-0") as client,
            Client(mesh.directory, identity="client-1") as onlooker,
        ):
            checks = await show(mesh, client, onlooker)
    for name, holds in checks.items():
        print(f"  {name}: {'holds' if holds else 'BROKEN'}")
    if not all(checks.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    asyncio.run(main())
