"""Disks that are lost or put back from an older copy, and the operator who then recovers (T35).

Whose disk is lost counts among the f from then on. If its peers know better, it refuses to run;
in any case the operator runs `pbft recover` in the end, and from there on it counts as correct
again, and is held to everything that it said before the loss.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pbft.core.ids import ReplicaId
from pbft.testing.disk import Copy
from pbft.testing.host import Host


@dataclass(frozen=True, slots=True)
class Loss:
    """The disk of `replica` fails at `begin`. In its place comes at `end` the copy that was made
    at `copied`, or an empty one; the operator recovers it at `recovered`."""

    replica: ReplicaId
    copied: int | None
    begin: int
    end: int
    recovered: int


class Cluster(Protocol):
    """What this needs of a simulation."""

    @property
    def hosts(self) -> list[Host]: ...
    def at(self, time: int, action: Callable[[], None]) -> None: ...
    def crash(self, host: Host) -> None: ...
    def restart(self, host: Host) -> None: ...
    def recovered(self, host: Host) -> None: ...


def schedule(cluster: Cluster, loss: Loss) -> None:
    """Have it happen in the run of `cluster`."""
    host = cluster.hosts[loss.replica]
    copies: list[Copy] = []

    def lose() -> None:
        cluster.crash(host)
        host.disk.put_back(copies[0] if copies else None)
        host.correct, host.lost = False, True

    def recover() -> None:
        cluster.crash(host)
        host.disk.forget()
        host.correct, host.refused = True, False
        cluster.recovered(host)
        cluster.restart(host)

    if loss.copied is not None:
        cluster.at(loss.copied, lambda: copies.append(host.disk.copy()))
    cluster.at(loss.begin, lose)
    cluster.at(loss.end, lambda: cluster.restart(host))
    cluster.at(loss.recovered, recover)
