"""Replicas as processes of their own, each with one oddity around what `pbft replica` runs:
`python -m tests.cluster.odd_replicas ODDITY DIR ID`.

    jumps      its wall clock jumps by an hour, there and back, several times a second
    past       a traitor: it answers every read as it answered the first
    dies/N     it is killed at point N of the driver (`POINTS`), the first time it reaches it
"""

import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

import pbft.serving
from pbft.cluster import Cluster
from pbft.core.effects import Send
from pbft.core.ids import Instant, ReplicaId
from pbft.core.messages import ReadReply
from pbft.serving import opened_store, serve
from pbft.store import Store
from pbft.testing.byzantine import Behaviour
from pbft.testing.failpoints import POINTS, Stop
from pbft.testing.mortal import Mortal

HOUR_NS = 3600 * 10**9
JUMP_NS = 200 * 10**6


def jumps(directory: Path, replica: ReplicaId) -> None:
    """By the monotonic clock, which all processes share: all that jump do so together."""
    real, steady = time.time_ns, time.monotonic_ns
    time.time_ns = lambda: real() + HOUR_NS * (steady() // JUMP_NS % 3 - 1)
    serve(directory, replica, with_parent=True)


class Past(Behaviour):
    """Each kind of answer, in full or as a digest, was true once."""

    def __init__(self, honest: object) -> None:
        super().__init__(honest)  # type: ignore[arg-type]
        self._first: dict[type, ReadReply] = {}

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        said = send.message
        if not isinstance(said, ReadReply):
            return (send,)
        first = self._first.setdefault(type(said.results), said)
        old = msgspec.structs.replace(said, results=first.results, sequence=first.sequence)
        return (self.say(send, old),)


def past(directory: Path, replica: ReplicaId) -> None:
    """Honest in all else."""
    serve(directory, replica, with_parent=True, wrap=Past)


def dies(directory: Path, replica: ReplicaId, point: int) -> None:
    """With what its disk has by then: it is not stopped, it is gone."""
    mortals: list[Mortal] = []

    @contextmanager
    def opened(cluster: Cluster, where: Path, who: ReplicaId) -> Iterator[Store]:
        with opened_store(cluster, where, who) as store:
            stop = Stop(POINTS[point], 1, False, 0)
            mortals.append(Mortal(store, stop, lambda: os.kill(os.getpid(), signal.SIGKILL)))
            yield mortals[0]

    pbft.serving.opened_store = opened  # type: ignore[assignment]
    serve(directory, replica, with_parent=True, wrap=lambda it: mortals[0].around(it))


def main(oddity: str, directory: str, replica: str) -> None:
    """Until told to stop."""
    kind, _, point = oddity.partition("/")
    where, who = Path(directory), int(replica)
    if kind == "dies":
        dies(where, who, int(point))
    else:
        {"jumps": jumps, "past": past}[kind](where, who)


if __name__ == "__main__":
    main(*sys.argv[1:])
