"""Clusters of real processes on loopback UDP: for the demonstration, the benchmark and tests.

    with tempfile.TemporaryDirectory() as scratch:
        with ProcessCluster(Path(scratch) / "cluster", clients=1) as cluster:
            cluster.start()
            ...

A traitor is an honest replica in a process whose effects pass through a Byzantine behaviour
(`pbft.testing.cluster.traitor`); the honest processes are plain `pbft replica`.
"""

import contextlib
import itertools
import os
import random
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from pbft.cluster import Cluster, replica_name
from pbft.cluster_file import KEY_VALUE, Durability
from pbft.core.errors import PbftError
from pbft.core.ids import ReplicaId
from pbft.processes import Processes
from pbft.recorder import recording_path

HOST = "127.0.0.1"
EVERYTHING = ("*", "pbft.upgrade")
"""What clients may call: a cluster begins with version 1, and who tests a later one switches."""
PORTS = range(20_000, 32_000)


class ProcessError(PbftError):
    """A replica process that ended by itself, or cannot be started."""


class ProcessCluster:
    """`n` replicas with new keys in `directory`, which must not hold a cluster yet.

    `protocol` holds keys of the cluster file's [protocol] table, in its units. With `power_cuts`, a
    kill also loses what was not synced (`pbft.testing.cluster.bad_disk`). What the replicas print
    goes to replica-N.log in the directory. `admits`: how many guests each client may let in.
    `record`: a directory in which replicas, those with `power_cuts` apart, write what they hear and
    say (`pbft.recorder`). `environments`: what is set beside our environment for some of them.
    Raises `ConfigurationError`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        n: int = 4,
        clients: int = 1,
        protocol: Mapping[str, int] | None = None,
        durability: Durability = "fsync",
        power_cuts: bool = False,
        service: str = KEY_VALUE,
        admits: int = 0,
        record: Path | None = None,
        environments: Mapping[ReplicaId, Mapping[str, str]] | None = None,
    ) -> None:
        self.directory = directory
        cluster, identities = Cluster.create(
            n,
            clients,
            host=HOST,
            ports=free_ports(2 * n),
            protocol=protocol,
            durability=durability,
            service=service,
            admits=admits,
            may=EVERYTHING,
        )
        cluster.save(directory, identities)
        self.cluster = cluster
        self._power_cuts = power_cuts
        self._record = record
        self._environments = environments or {}
        self._processes = Processes(logs=directory)

    def __enter__(self) -> Self:
        """What was started ends with the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, *replicas: ReplicaId, traitors: Mapping[ReplicaId, str] | None = None) -> None:
        """Start those named (none named: all); `traitors` names a behaviour by replica."""
        for replica in replicas or range(self.cluster.config.n):
            self._start(replica, (traitors or {}).get(replica))

    def _start(self, replica: ReplicaId, behaviour: str | None) -> None:
        who = [str(self.home(replica)), str(replica)]
        if behaviour is None and self._power_cuts:
            arguments = ["-m", "pbft.testing.cluster.bad_disk", *who]
        elif behaviour is None:
            arguments = ["-m", "pbft", "replica", *who, "--with-parent", "--verbose"]
        else:
            arguments = ["-m", "pbft.testing.cluster.traitor", *who, behaviour]
        if self._record is not None and not (self._power_cuts and behaviour is None):
            file = recording_path(self._record, replica)
            arguments += ["--record", str(file)] if behaviour is None else [str(file)]
        self._processes.start(replica, arguments, self.environment(replica))

    def environment(self, replica: ReplicaId) -> dict[str, str]:
        """What its process has besides ours: the same modules to import, and a hash seed that no
        other has, whatever ours is."""
        paths = os.pathsep.join([os.getcwd(), *filter(None, sys.path)])
        own = {"PYTHONHASHSEED": str(replica + 1), "PYTHONPATH": paths}
        return own | dict(self._environments.get(replica, {}))

    def home(self, replica: ReplicaId) -> Path:
        """The directory that this replica loads."""
        del replica
        return self.directory

    def database(self, replica: ReplicaId) -> Path:
        """The file that holds its records."""
        return self.home(replica) / "data" / f"{replica_name(replica)}.db"

    def start_unreplicated(self) -> None:
        """In place of the replicas: the same service in one process, without the protocol."""
        arguments = ["-m", "pbft.testing.cluster.unreplicated", str(self.directory)]
        self._processes.start(0, arguments)

    def stop(self, *replicas: ReplicaId) -> None:
        """SIGTERM to those named (none named: all), and wait."""
        self._processes.stop(*replicas)

    def kill(self, replica: ReplicaId) -> None:
        """SIGKILL: a crash."""
        self._processes.kill(replica)

    def suspend(self, replica: ReplicaId) -> None:
        """SIGSTOP: it does nothing and knows nothing of it, until resumed."""
        self._processes.suspend(replica)

    def resume(self, replica: ReplicaId) -> None:
        """SIGCONT."""
        self._processes.resume(replica)

    def pid(self, replica: ReplicaId) -> int:
        """Of its process, to look at it."""
        return self._processes.pid(replica)

    def exit_status(self, replica: ReplicaId) -> int | None:
        """Of a replica whose process has ended."""
        return self._processes.ended().get(replica)

    def check(self) -> None:
        """Raises `ProcessError` with the last words of a replica that ended by itself."""
        for replica, status in self._processes.ended().items():
            words = self._processes.last_words(replica) or f"exit status {status}"
            raise ProcessError(f"replica {replica} ended by itself: {words}")


def _round(first: int) -> Iterator[int]:
    """All ports from that place on, over and over."""
    return itertools.cycle([*PORTS[first:], *PORTS[:first]])


_CANDIDATES = _round(random.SystemRandom().randrange(len(PORTS)))
"""Each process goes its own round: ports drawn anew each time were now and then those that another
process had just been given, and whose replica had yet to start."""


def free_ports(count: int) -> list[int]:
    """UDP ports of loopback that nobody has now, below those that systems hand out: a socket bound
    to any port does not get one of them before its replica does. Raises `ProcessError` where there
    are too few."""
    with contextlib.ExitStack() as stack:
        found: list[int] = []
        for port in itertools.islice(_CANDIDATES, len(PORTS)):
            sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            with contextlib.suppress(OSError):
                sock.bind((HOST, port))
                found.append(port)
            if len(found) == count:
                return found
    raise ProcessError(f"there are no {count} free UDP ports on {HOST}")
