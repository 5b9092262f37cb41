"""A replica that has nothing, and a state of 1 GiB: `python -m tests.stress.transfer [--mib N]
[--loss P] [--stopped]`.

Three durable replicas start with a certified checkpoint of so much state in values of 16 KiB, under
load and over links that lose datagrams. Then the fourth starts with an empty disk, while the load
goes on or after it has stopped for good. It must come to vote with an equal state. Printed: the
rate of the transfer, and what the three others answered before and meanwhile.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from pbft import Client
from pbft.cluster import replica_name
from pbft.core.authentication import Authentication
from pbft.core.errors import UnansweredError
from pbft.core.messages import Checkpoint
from pbft.core.records import AnyRecord, Began, Leaf, Settled, Stabilised
from pbft.core.service import Context
from pbft.core.state.machine import Machine
from pbft.core.state.sessions import Sessions
from pbft.crypto.trie import Snapshot, node_digest
from pbft.services.kv import KeyValueService, Put, encode
from pbft.sqlite_store import SqliteStore
from pbft.testing.cluster.account import Account, Worker, until_level
from pbft.testing.cluster.mesh import MeshCluster
from pbft.testing.cluster.proxy import Conditions

MIB = 1024 * 1024
VALUE_BYTES = 16 * 1024
AT = 128
"""The sequence number of the checkpoint."""
ABSENT = 3
WORKERS = 32
BASELINE_SECONDS = 15.0
GROUP = 256
"""Records per transaction."""


def state_of(mib: int) -> Snapshot:
    """A key-value state with so much in it."""
    machine, dice = Machine(KeyValueService()), random.Random(1)
    context = Context("filler", 1, 1)
    for number in range(mib * MIB // VALUE_BYTES):
        put = Put(b"bulk/%08d" % number, dice.randbytes(VALUE_BYTES))
        machine.execute(encode(put), context)
    Sessions(time=1).flush(machine.tree)
    return machine.tree.freeze()


async def fill(mesh: MeshCluster, snapshot: Snapshot) -> None:
    """Give the three others disks that hold `snapshot` as their stable checkpoint."""
    holders = [each for each in range(mesh.cluster.config.n) if each != ABSENT]
    proof = tuple(_vote(mesh, each, snapshot.digest) for each in holders)
    for replica in holders:
        path = mesh.home(replica) / "data" / f"{replica_name(replica)}.db"
        with closing(SqliteStore(path, mesh.cluster.config.cluster_id, replica)) as store:
            group: list[AnyRecord] = [Began()]
            for place, leaf in snapshot.leaves():
                digest = node_digest(leaf)
                group += [Leaf(digest, leaf.data), Settled(place, digest)]
                if len(group) >= GROUP:
                    await store.append(group)
                    group = []
            await store.append([*group, Stabilised(AT, proof)])


def _vote(mesh: MeshCluster, replica: int, root: bytes) -> bytes:
    cluster = mesh.cluster
    signer = cluster.identity(mesh.directory, replica_name(replica)).signing
    who = Authentication(cluster.config.cluster_id, signer, cluster.verifier())
    return who.sign(Checkpoint(AT, root, replica)).raw


class Load:
    """Workers that ask the whole time; `rate` is of their answers."""

    def __init__(self, client: Client) -> None:
        self.account = Account()
        self._workers = [Worker(client, f"w{number}", self.account) for number in range(WORKERS)]
        self._tasks = [asyncio.create_task(each.run()) for each in self._workers]

    async def warm(self) -> None:
        """Until answers come."""
        for _ in range(600):
            if len(self.account.answered_at) >= 50:
                return
            await asyncio.sleep(0.1)
        raise TimeoutError("no load within a minute")

    def rate(self, since: float, until: float) -> float:
        """Answers per second."""
        count = sum(since <= at < until for at in self.account.answered_at)
        return count / (until - since)

    async def end(self) -> list[str]:
        """Stop, and read everything back; what was wrong."""
        for each in self._workers:
            each.stopping = True
        await asyncio.gather(*self._tasks)
        for each in self._workers:
            await each.read_back()
        return self.account.complaints


async def until_voting(onlooker: Client, mesh: MeshCluster, seconds: float) -> None:
    """Until the absent one has a state and votes; a line now and then."""
    began = said = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        mesh.check()
        try:
            status = (await onlooker.status(ABSENT, timeout=1.0)).status
        except UnansweredError:
            continue
        if status.voting and status.low_watermark >= AT and not status.transferring:
            return
        if time.monotonic() - said > 10:
            said = time.monotonic()
            print(f"{passed:.0f} s: {status}", file=sys.stderr, flush=True)
        await asyncio.sleep(0.1)
    raise TimeoutError(f"no state after {seconds:.0f} s")


async def measure(mib: int, loss: float, seconds: float, stopped: bool) -> dict[str, object]:
    """One run. Raises where the state does not arrive, or differs."""
    with tempfile.TemporaryDirectory() as scratch:
        protocol = {"checkpoint_interval": AT}
        with MeshCluster(Path(scratch) / "cluster", clients=2, protocol=protocol) as mesh:
            snapshot = state_of(mib)
            await fill(mesh, snapshot)
            leaves = sum(1 for _ in snapshot.leaves())
            mesh.everywhere(Conditions(loss=loss))
            mesh.start(*(each for each in range(4) if each != ABSENT))
            async with (
                Client(mesh.directory, identity="client-0") as caller,
                Client(mesh.directory, identity="client-1") as onlooker,
            ):
                load = Load(caller)
                await load.warm()
                first = time.monotonic()
                await asyncio.sleep(BASELINE_SECONDS)
                if stopped:
                    await load.end()
                second = time.monotonic()
                mesh.start(ABSENT)
                await until_voting(onlooker, mesh, seconds)
                third = time.monotonic()
                complaints = load.account.complaints if stopped else await load.end()
                await until_level(onlooker, range(4), 60.0)
            before, meanwhile = load.rate(first, second), load.rate(second, third)
            return {
                "state_mib": mib,
                "leaves": leaves,
                "loss": loss,
                "seconds": round(third - second, 1),
                "mib_per_second": round(mib / (third - second), 2),
                "answers_per_second_before": round(before),
                "answers_per_second_meanwhile": round(meanwhile),
                "kept": None if stopped else round(meanwhile / before, 2),
                "complaints": complaints,
            }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--loss", type=float, default=0.05)
    parser.add_argument("--seconds", type=float, default=900.0, help="give up after so many")
    parser.add_argument("--stopped", action="store_true", help="nobody asks for anything meanwhile")
    args = parser.parse_args()
    result = asyncio.run(measure(args.mib, args.loss, args.seconds, args.stopped))
    print(json.dumps(result, indent=2))
    return 1 if result["complaints"] else 0


if __name__ == "__main__":
    sys.exit(main())
