"""A cluster inside one event loop, for examples and for tests of a service: real nodes, real links
and sockets, and nothing else to start.

    async with local_cluster(Counter) as cluster, cluster.client() as client:
        counter = RemoteCounter(client)
        await counter.add(3)
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from pbft.client import Client
from pbft.cluster import Cluster, replica_name
from pbft.node import Node
from pbft.testing.cluster import EVERYTHING, HOST, free_ports

PROTOCOL = {"status_interval_ms": 50}


class LocalCluster:
    """`nodes` by their numbers; `stop` ends one, as a crash would."""

    def __init__(self, directory: Path, make: Callable[[], object], n: int, clients: int) -> None:
        self.directory = directory
        self.cluster, identities = Cluster.create(
            n,
            clients,
            host=HOST,
            ports=free_ports(2 * n),
            protocol=PROTOCOL,
            durability="memory",
            may=EVERYTHING,
        )
        self.cluster.save(directory, identities)
        self.nodes = [
            Node(self.cluster, each, identities[replica_name(each)], make()) for each in range(n)
        ]

    def client(self, identity: str = "client-0", *, timeout: float = 30.0) -> Client:
        """To be opened with `async with`. `timeout` is in seconds."""
        return Client(self.directory, identity=identity, timeout=timeout)

    def stop(self, replica: int) -> None:
        """It answers nobody from now on."""
        self.nodes[replica].stop()


@asynccontextmanager
async def local_cluster(
    make: Callable[[], object], *, n: int = 4, clients: int = 1
) -> AsyncIterator[LocalCluster]:
    """`n` replicas, each of a service that `make` gives, and so many client identities."""
    with tempfile.TemporaryDirectory() as scratch:
        local = LocalCluster(Path(scratch) / "cluster", make, n, clients)
        serving = [asyncio.create_task(node.run()) for node in local.nodes]
        try:
            await asyncio.gather(*(node.serving.wait() for node in local.nodes))
            yield local
        finally:
            for node in local.nodes:
                node.stop()
            await asyncio.gather(*serving)
