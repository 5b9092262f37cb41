"""A cluster inside one event loop: real nodes, real links, real sockets, no processes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from pbft.cluster import Cluster, replica_name
from pbft.core.replica import Replica
from pbft.crypto.keyfiles import Identity
from pbft.node import Node, ReplicaLike
from pbft.services.kv import KeyValueService
from pbft.testing.cluster import free_ports

HOST = "127.0.0.1"
PROTOCOL = {"request_timeout_ms": 500, "status_interval_ms": 50, "timeout_max_ms": 2000}


def make_cluster(
    directory: Path, *, n: int = 4, clients: int = 1, protocol: Mapping[str, int] = PROTOCOL
) -> tuple[Cluster, dict[str, Identity]]:
    """Made and saved under `directory`."""
    cluster, identities = Cluster.create(n, clients, ports=free_ports(2 * n), protocol=protocol)
    cluster.save(directory, identities)
    return cluster, identities


def make_node(
    cluster: Cluster,
    identities: Mapping[str, Identity],
    replica: int,
    wrap: Callable[[Replica], ReplicaLike] = lambda replica: replica,
    service: object = None,
) -> Node:
    """One node with an empty store of keys and values, or with `service`."""
    identity = identities[replica_name(replica)]
    return Node(cluster, replica, identity, service or KeyValueService(), wrap=wrap)


@contextlib.asynccontextmanager
async def running(*nodes: Node) -> AsyncIterator[list["asyncio.Task[None]"]]:
    """Their tasks, until the block ends; whatever a node raised is raised then."""
    tasks = [asyncio.create_task(node.run()) for node in nodes]
    try:
        await asyncio.gather(*(node.serving.wait() for node in nodes))
        yield tasks
    finally:
        for node in nodes:
            node.stop()
        done = await asyncio.gather(*tasks, return_exceptions=True)
    for each in done:
        if isinstance(each, Exception):
            raise each
