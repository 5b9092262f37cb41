"""What one replica hears, says and does, written to a file while it runs: opt-in, for `pbft
timeline`.

    with Recorder(Path("replica-0.jsonl"), cluster, 0, lambda replica: replica) as recorder:
        Node(..., wrap=recorder.around)

The seam is the node's own: the core knows nothing of it.
"""

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from pbft.cluster import Cluster, replica_name
from pbft.core.effects import Committed, Effects, Send
from pbft.core.errors import StorageError
from pbft.core.ids import Instant, Packet, ReplicaId
from pbft.core.replica import Replica
from pbft.core.status import ReplicaStatus
from pbft.node import ReplicaLike
from pbft.recording import (
    FORMAT,
    MAX_RECORDED_BYTES,
    MAX_RECORDING_BYTES,
    SUFFIX,
    Full,
    Header,
    Heard,
    Said,
    Turned,
)


class Recorder:
    """Writes `path`, after what an earlier life has left there. `inner` is built around the
    replica first. Raises `StorageError` where the file cannot be opened."""

    def __init__(
        self,
        path: Path,
        cluster: Cluster,
        replica: ReplicaId,
        inner: Callable[[Replica], ReplicaLike],
        note: str = "",
    ) -> None:
        self._cluster = cluster
        self._replica = replica
        self._inner = inner
        self._note = note
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self._file = os.fdopen(descriptor, "ab")
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error.strerror}") from None
        self._left = MAX_RECORDING_BYTES - self._file.tell()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def around(self, replica: Replica) -> "Recorded":
        """`replica`, overheard: what a node is given as `wrap`."""
        inner = self._inner(replica)
        status, cluster = inner.status(), self._cluster
        self.put(
            Header(
                FORMAT,
                time.monotonic_ns(),
                time.time_ns(),
                self._replica,
                cluster.config.n,
                cluster.config.cluster_id.hex(),
                cluster.file.service.runs,
                status.view,
                status.active,
                self._note,
            )
        )
        return Recorded(inner, self)

    def put(self, line: Header | Turned | Full) -> None:
        """One line, and to the kernel at once: a killed process leaves all but the last."""
        if self._left <= 0:
            return
        data = msgspec.json.encode(line) + b"\n"
        self._left -= len(data)
        if self._left <= 0:
            data += msgspec.json.encode(Full(line.at)) + b"\n"
        self._file.write(data)
        self._file.flush()


class Recorded:
    """Between a node and its replica."""

    def __init__(self, inner: ReplicaLike, recorder: Recorder) -> None:
        self._inner = inner
        self._recorder = recorder

    def receive(self, packets: Sequence[Packet], now: Instant) -> Effects:
        return self._told(
            now, [_heard(each) for each in packets], self._inner.receive(packets, now)
        )

    def expire(self, now: Instant) -> Effects:
        return self._told(now, [], self._inner.expire(now))

    @property
    def deadline(self) -> int | None:
        return self._inner.deadline

    @property
    def acted(self) -> int:
        """Attacks of a behaviour inside."""
        return getattr(self._inner, "acted", 0)

    def status(self) -> ReplicaStatus:
        return self._inner.status()

    def _told(self, now: Instant, heard: list[Heard], effects: Effects) -> Effects:
        said = [_said(each) for each in (*effects.messages, *effects.replies)]
        told = [each for each in effects.events if not isinstance(each, Committed)]
        events = [(type(each).__name__, msgspec.structs.asdict(each)) for each in told]
        evidence = [(each.kind, each.culprit) for each in effects.evidence]
        if heard or said or events or evidence:
            self._recorder.put(Turned(now.monotonic, heard, said, events, evidence))
        return effects


def recording_path(directory: Path, replica: ReplicaId) -> Path:
    """Where a replica's recording is put among those of its cluster."""
    return directory / f"{replica_name(replica)}{SUFFIX}"


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def _kept(data: bytes) -> bytes | None:
    return data if len(data) <= MAX_RECORDED_BYTES else None


def _said(send: Send) -> Said:
    return Said(send.to, _digest(send.data), len(send.data), _kept(send.data))


def _heard(packet: Packet) -> Heard:
    kept = _kept(packet.data) if isinstance(packet.peer, str) else None
    return Heard(packet.peer, _digest(packet.data), len(packet.data), kept)
