"""Four real processes of a service, with callers, for a test of that service.

with ServiceCluster(tmp_path / "cluster", "bank:Bank") as cluster:
    bank = BlockingBank(cluster.client())
    cluster.kill(cluster.primary())
    bank.deposit("ann", 3)
"""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from pbft.blocking import BlockingClient
from pbft.core.errors import UnansweredError
from pbft.core.ids import ReplicaId
from pbft.testing.cluster import ProcessError
from pbft.testing.cluster.mesh import MeshCluster
from pbft.testing.determinism import imported
from pbft.typed.hosting import hosted

PROTOCOL = {"checkpoint_interval": 8, "window": 32, "request_timeout_ms": 500}
CLIENTS = 2
"""Besides the one that asks who is primary."""
CALL_SECONDS = 30.0


class ServiceCluster(MeshCluster):
    """A running `MeshCluster` of `module:Class`; every client's links pass the proxy. What it has
    given out is closed with it. Raises `ConfigurationError`, and `ServiceError` where the class
    cannot be imported or replicated."""

    def __init__(
        self,
        directory: Path,
        service: str,
        *,
        n: int = 4,
        clients: int = CLIENTS,
        protocol: Mapping[str, int] | None = None,
        seed: int = 0,
    ) -> None:
        hosted(imported(service)())
        super().__init__(
            directory,
            n=n,
            clients=clients + 1,
            protocol=PROTOCOL | dict(protocol or {}),
            service=service,
            seed=seed,
        )
        self._opened = ExitStack()
        self._clients: dict[str, BlockingClient] = {}
        self._onlooker = f"client-{clients}"
        self.start()

    def stop(self, *replicas: ReplicaId) -> None:
        """SIGTERM to those named (none named: all, and everything is closed), and wait."""
        if not replicas:
            self._opened.close()
            self._clients.clear()
        super().stop(*replicas)

    def client(
        self, identity: str = "client-0", *, timeout: float = CALL_SECONDS
    ) -> BlockingClient:
        """An open client whose calls wait for `timeout` seconds, the same one each time for the
        same identity."""
        if identity not in self._clients:
            client = BlockingClient(self.seen_by(identity), identity=identity, timeout=timeout)
            self._clients[identity] = self._opened.enter_context(client)
        return self._clients[identity]

    def restart(self, replica: ReplicaId) -> None:
        """Start one that was killed or stopped, or one that runs, after SIGKILL."""
        if self.exit_status(replica) is None:
            self.kill(replica)
        self.start(replica)

    def primary(self) -> ReplicaId:
        """Of the latest view that a replica is in. Raises `ProcessError` where none answers."""
        client, found = self.client(self._onlooker), []
        for replica in range(self.cluster.config.n):
            try:
                found.append(client.status(replica).status)
            except UnansweredError:
                continue
        if not found:
            raise ProcessError("no replica says which view it is in")
        return max(found, key=lambda each: each.view).primary
