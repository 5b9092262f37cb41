"""A cluster of real processes whose agreement is broken: more than f traitors, in collusion.

    with ForkedCluster(Path(scratch) / "cluster", traitors=(2, 3)) as forked:
        forked.start()
        ... Client(forked.sides[0], identity="client-0") ...
        ... Client(forked.sides[1], identity="client-1") ...

Each traitor runs twice, with the same keys and unmodified code; the correct replicas are split
between two sides, which cannot reach each other. Where a traitor is primary of view 0, both sides
decide in it; otherwise one side has to change the view first. A side is a directory like one that
`pbft init` makes, in which the replicas of the other side are where nobody listens.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from pbft import cluster_file
from pbft.cluster import CLUSTER_FILE, KEYS, Cluster, replica_name
from pbft.core.ids import ReplicaId
from pbft.evidence import FOLDER
from pbft.processes import Processes
from pbft.testing.cluster import HOST, ProcessError, free_ports


class ForkedCluster:
    """`n` replicas with new keys in `directory`, two clients, and two `sides`."""

    def __init__(
        self,
        directory: Path,
        traitors: Sequence[ReplicaId],
        *,
        n: int = 4,
        protocol: Mapping[str, int] | None = None,
    ) -> None:
        ports = free_ports(4 * n)
        cluster, identities = Cluster.create(
            n, 2, host=HOST, ports=ports[: 2 * n], protocol=protocol
        )
        cluster.save(directory, identities)
        self.cluster = cluster
        self.directory = directory
        self.sides = (directory / "side-0", directory / "side-1")
        correct = [replica for replica in range(n) if replica not in traitors]
        self.members = tuple(sorted((*correct[side::2], *traitors)) for side in (0, 1))
        for side, mine in zip(self.sides, (ports[: 2 * n], ports[2 * n :]), strict=True):
            _write_side(side, cluster, mine)
        self._processes = [Processes(logs=side) for side in self.sides]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Both sides."""
        for side, members, processes in zip(self.sides, self.members, self._processes, strict=True):
            for replica in members:
                arguments = ["-m", "pbft", "replica", str(side), str(replica), "--with-parent"]
                processes.start(replica, arguments)

    def stop(self) -> None:
        """SIGTERM to all, and wait."""
        for processes in self._processes:
            processes.stop()

    def check(self) -> None:
        """Raises `ProcessError` with the last words of a replica that ended by itself."""
        for processes in self._processes:
            for replica in processes.ended():
                words = processes.last_words(replica)
                raise ProcessError(f"replica {replica} ended by itself: {words}")

    def kept(self, side: int, replica: ReplicaId) -> Path:
        """What it keeps for an audit."""
        return self.sides[side] / FOLDER / f"{replica_name(replica)}.jsonl"


def _write_side(side: Path, cluster: Cluster, ports: Sequence[int]) -> None:
    replicas = [
        msgspec.structs.replace(each, port=ports[2 * each.id], client_port=ports[2 * each.id + 1])
        for each in cluster.file.replica
    ]
    side.mkdir(parents=True)
    file = msgspec.structs.replace(cluster.file, replica=replicas)
    (side / CLUSTER_FILE).write_text(cluster_file.render(file), "utf-8")
    (side / KEYS).symlink_to(Path("..", KEYS))
