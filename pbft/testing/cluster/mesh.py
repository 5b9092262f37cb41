"""A process cluster whose links all pass through a proxy.

    with MeshCluster(Path(scratch) / "cluster") as cluster:
        cluster.start()
        cluster.partition({0, 1}, {2, 3})
        ...
        cluster.heal()

Everybody has a copy of the cluster file of its own, in `seen-by/NAME/` with a link to the keys, in
which the others are where the proxy is; that both ends run with the same file is told by its
parameters and keys, not by addresses. Clients that load `directory` itself go past the proxy.
"""

from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path

import msgspec

from pbft import cluster_file
from pbft.cluster import CLUSTER_FILE, KEYS, Cluster, replica_name
from pbft.cluster_file import KEY_VALUE
from pbft.core.ids import ReplicaId
from pbft.testing.cluster import ProcessCluster
from pbft.testing.cluster.proxy import CUT, Address, Conditions, Proxy

SEEN_BY = "seen-by"


class MeshCluster(ProcessCluster):
    """A `ProcessCluster` with a network that can be made bad, in each direction of each link."""

    def __init__(
        self,
        directory: Path,
        *,
        n: int = 4,
        clients: int = 1,
        protocol: Mapping[str, int] | None = None,
        power_cuts: bool = False,
        service: str = KEY_VALUE,
        seed: int = 0,
    ) -> None:
        super().__init__(
            directory,
            n=n,
            clients=clients,
            protocol=protocol,
            power_cuts=power_cuts,
            service=service,
        )
        self._proxy = Proxy(seed)
        self._names = [replica_name(replica) for replica in range(n)]
        seen = _joined(self._proxy, self.cluster)
        for name, addresses in seen.items():
            _write_view(directory, self.cluster, name, addresses)
        self._proxy.start()

    def home(self, replica: ReplicaId) -> Path:
        """The directory that this replica loads."""
        return self.seen_by(replica_name(replica))

    def seen_by(self, name: str) -> Path:
        """The directory for one end, a client for one, whose links shall pass the proxy."""
        return self.directory / SEEN_BY / name

    def stop(self, *replicas: ReplicaId) -> None:
        """As `ProcessCluster.stop`; the proxy ends with the last of them."""
        super().stop(*replicas)
        if not replicas:
            self._proxy.stop()

    def set(self, source: str, target: str, conditions: Conditions) -> None:
        """Of one directed link, from now on."""
        self._proxy.conditions[source, target] = conditions

    def everywhere(self, conditions: Conditions) -> None:
        """Of every link between replicas."""
        self._between(self._names, self._names, conditions)

    def mute(self, replica: ReplicaId) -> None:
        """Cut what it sends to the other replicas."""
        self._between([self._names[replica]], self._names, CUT)

    def deafen(self, replica: ReplicaId) -> None:
        """Cut what the other replicas send to it."""
        self._between(self._names, [self._names[replica]], CUT)

    def partition(self, *groups: Iterable[ReplicaId]) -> None:
        """Cut the links between groups; those within are perfect. Clients reach all."""
        self.heal()
        for one, other in combinations([[self._names[i] for i in group] for group in groups], 2):
            self._between(one, other, CUT)
            self._between(other, one, CUT)

    def heal(self) -> None:
        """All links perfect, those of clients too."""
        self._proxy.conditions.clear()

    def _between(self, sources: list[str], targets: list[str], conditions: Conditions) -> None:
        for source in sources:
            for target in targets:
                if source != target:
                    self.set(source, target, conditions)


def _joined(proxy: Proxy, cluster: Cluster) -> dict[str, dict[ReplicaId, Address]]:
    """For each name, where it finds each replica other than itself."""
    seen: dict[str, dict[ReplicaId, Address]] = {name: {} for name in cluster.keys}
    for one, other in combinations(cluster.replicas, 2):
        ends = ((each.name, (each.host, each.port)) for each in (one, other))
        seen[one.name][other.id], seen[other.name][one.id] = proxy.join(*ends)
    for client in cluster.clients:
        for each in cluster.replicas:
            facing, _ = proxy.join((client, None), (each.name, (each.host, each.client_port)))
            seen[client][each.id] = facing
    return seen


def _write_view(
    directory: Path, cluster: Cluster, name: str, addresses: Mapping[ReplicaId, Address]
) -> None:
    field = "client_port" if name in cluster.clients else "port"
    replicas = [
        msgspec.structs.replace(each, **{field: addresses[each.id][1]})
        if each.id in addresses
        else each
        for each in cluster.file.replica
    ]
    view = directory / SEEN_BY / name
    view.mkdir(parents=True)
    file = msgspec.structs.replace(cluster.file, replica=replicas)
    (view / CLUSTER_FILE).write_text(cluster_file.render(file), "utf-8")
    (view / KEYS).symlink_to(Path("..", "..", KEYS))
