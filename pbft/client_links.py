"""A client's links to the replicas: one socket, a link to each, and nobody is waited for long."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

from pbft.acquired import Acquired
from pbft.cluster import Cluster
from pbft.core.errors import ConfigurationError
from pbft.core.wire import MAX_MESSAGE_BYTES
from pbft.transport.endpoint import Endpoint, EndpointLimits, open_endpoint

CONNECT_SECONDS = 1.0
"""How long opening waits for a quorum of links; beyond it, calls find out."""
GRACE_SECONDS = 0.05
"""How long it then waits for the others."""
LOOK_SECONDS = 0.001
PENDING_BYTES = 256 * 1024


async def open_links(
    cluster: Cluster, who: Acquired, drops: Counter[str], wake: Callable[[], None]
) -> Endpoint:
    """A socket of `who`, without links yet."""
    host = "::" if all(":" in each.host for each in cluster.replicas) else "0.0.0.0"
    limits = EndpointLimits(
        cluster.file.transport.datagram_bytes,
        message_bytes=MAX_MESSAGE_BYTES,
        reassembly_bytes=2 * MAX_MESSAGE_BYTES,
        pending_bytes=PENDING_BYTES + cluster.config.request_max_bytes,
        bulk_bytes=8 * cluster.config.request_max_bytes,
    )
    return await open_endpoint(
        who.name,
        who.identity.link,
        {each.name: each.keys.link for each in cluster.replicas},
        cluster_id=cluster.config.cluster_id,
        agreed=cluster.digest,
        bind=(host, 0),
        limits=limits,
        drops=drops,
        wake=wake,
        ticket=who.identity.ticket,
    )


async def connect(
    end: Endpoint, cluster: Cluster, drops: Counter[str], wake: Callable[[], None]
) -> None:
    """Shake hands with all replicas, and wait, but not for those that do not answer. One whose
    host has no address is one of them. Raises `ConfigurationError` where no quorum has any."""
    config, lost = cluster.config, 0
    for each in cluster.replicas:
        try:
            await end.open(each.name, each.host, each.client_port, time.monotonic_ns())
        except ConfigurationError:
            lost += 1
            drops[f"{each.name}: its host has no address"] += 1
            if lost > config.n - config.quorum:
                raise
    wake()
    await _wait(end, cluster, config.n - lost)


async def _wait(end: Endpoint, cluster: Cluster, wanted: int) -> None:
    began = time.monotonic()
    quorum_at: float | None = None
    while (connected := links_up(end, cluster)) < wanted:
        now = time.monotonic()
        if connected >= cluster.config.quorum:
            quorum_at = quorum_at or now
            if now - quorum_at >= GRACE_SECONDS:
                return
        if now - began >= CONNECT_SECONDS:
            return
        await asyncio.sleep(LOOK_SECONDS)


def links_up(end: Endpoint, cluster: Cluster) -> int:
    """How many replicas can be reached."""
    return sum(end.established(each.name) for each in cluster.replicas)
