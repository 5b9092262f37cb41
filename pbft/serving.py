"""A replica as the whole of a process: signals, log, and the end of whoever started it."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path

from pbft.cluster import Cluster
from pbft.core.ids import ReplicaId
from pbft.core.replica import Replica
from pbft.node import Node, ReplicaLike
from pbft.services.kv import KeyValueService
from pbft.transport.loop import run

PARENT_SECONDS = 0.5


def _honest(replica: Replica) -> ReplicaLike:
    return replica


def serve(
    directory: Path,
    replica: ReplicaId,
    *,
    with_parent: bool,
    verbose: bool = False,
    wrap: Callable[[Replica], ReplicaLike] = _honest,
) -> None:
    """Run one replica of the key-value service until SIGTERM or SIGINT, or, `with_parent`, until
    the process that started this one is gone. `wrap` is the node's.

    Raises what `Cluster.load`, `Cluster.identity` and `Node.run` raise.
    """
    parent = os.getppid() if with_parent else None
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(asctime)s %(message)s"
    )
    cluster = Cluster.load(directory)
    member = cluster.member(replica)
    identity = cluster.identity(directory, member.name)
    node = Node(cluster, replica, identity, KeyValueService(), wrap=wrap)
    run(_serve(node, parent))


async def _serve(node: Node, parent: int | None) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, node.stop)
    watching = asyncio.create_task(_stop_with(node, parent)) if parent is not None else None
    try:
        await node.run()
    finally:
        if watching is not None:
            watching.cancel()


async def _stop_with(node: Node, parent: int) -> None:
    """Stop `node` once we are orphaned: orphans are adopted, so their parent changes."""
    while True:
        await asyncio.sleep(PARENT_SECONDS)
        if os.getppid() != parent:
            return node.stop()
