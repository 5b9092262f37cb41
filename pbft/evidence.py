"""What a replica keeps for an audit, as files that anybody can read elsewhere (`pbft audit`).

In `DIR/evidence/` there are, in lines of JSON that each stand by themselves:

- `replica-N.jsonl` and, before it, `replica-N.old.jsonl`: the commit certificate of every number
  that replica N decided and every NEW-VIEW that it accepted. When the first is full it becomes the
  second: so a bounded past is kept, longer than the journal's, which a stable checkpoint cuts.
- `replica-N-KIND-M.jsonl`: what convicts M, in N's opinion; the first of each kind.

Nothing relies on these files. They are written after what they are about is durable and before it
is reported, and not synced; where one cannot be written, the log says so once.
"""

import base64
import logging
from collections.abc import Iterable, Iterator
from io import SEEK_END, FileIO
from pathlib import Path

import msgspec
from msgspec import Struct

from pbft.cluster import replica_name
from pbft.core.effects import Committed, Effects
from pbft.core.errors import ConfigurationError
from pbft.core.ids import ReplicaId
from pbft.core.records import (
    Accepted,
    AnyRecord,
    Prepared,
    Stabilised,
    ViewChanged,
    ViewEntered,
)

FORMAT = 1
FOLDER = "evidence"
MAX_KEPT_BYTES = 32 * 1024 * 1024
"""Of each of the two files of certificates and new views."""
MAX_LINE_BYTES = 16 * 1024 * 1024
DECISION, NEW_VIEW = "decision", "new view"

log = logging.getLogger(__name__)


class Kept(Struct, frozen=True):
    """Statements, as they were signed, and what they are about."""

    kind: str
    statements: tuple[bytes, ...]


class Line(Struct, frozen=True, forbid_unknown_fields=True):
    """What a line says: `cluster` in hex, statements in base64."""

    format: int
    cluster: str
    by: ReplicaId
    kind: str
    statements: tuple[str, ...]


def worth_keeping(effects: Effects) -> Iterator[Kept]:
    """What of a turn an audit may need."""
    for record in effects.records:
        if isinstance(record, ViewEntered):
            yield Kept(NEW_VIEW, (record.new_view,))
    for event in effects.events:
        if isinstance(event, Committed):
            yield Kept(DECISION, event.certificate)


def in_records(records: Iterable[AnyRecord]) -> Iterator[bytes]:
    """The statements, and batches, in a journal."""
    for record in records:
        match record:
            case Accepted(pre_prepare, batch):
                yield from (pre_prepare, batch)
            case Prepared(_, certificate):
                yield from (certificate.pre_prepare, *certificate.prepares)
            case ViewChanged(raw) | ViewEntered(raw):
                yield raw
            case Stabilised():
                yield from record.proof


class EvidenceFolder:
    """The files of one replica under `directory`."""

    def __init__(self, directory: Path, cluster_id: bytes, replica: ReplicaId) -> None:
        self._folder = directory / FOLDER
        self._cluster = cluster_id.hex()
        self._me = replica
        self._name = replica_name(replica)
        self._path = self._folder / f"{self._name}.jsonl"
        self._file: FileIO | None = None
        self._failed = False

    def report(self, effects: Effects) -> None:
        """Write what a turn gives, once its records are durable."""
        if self._failed:
            return
        lines = [self._line(kept) for kept in worth_keeping(effects)]
        try:
            if lines:
                self._append(b"".join(lines))
            for each in effects.evidence:
                kind = each.kind.replace(" ", "-")
                path = self._folder / f"{self._name}-{kind}-{each.culprit}.jsonl"
                if not path.exists():
                    self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                    path.write_bytes(self._line(Kept(each.kind, each.statements)))
        except OSError as error:
            self._failed = True
            log.warning("%s: nothing more is kept for an audit: %s", self._folder, error)

    def _line(self, kept: Kept) -> bytes:
        texts = tuple(base64.b64encode(each).decode() for each in kept.statements)
        return msgspec.json.encode(Line(FORMAT, self._cluster, self._me, kept.kind, texts)) + b"\n"

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, data: bytes) -> None:
        if self._file is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = FileIO(self._path, "a+")
            if self._cut_off(self._file):
                self._file = self._turned_over(self._file)
        if self._file.tell() and self._file.tell() + len(data) > MAX_KEPT_BYTES:
            self._file = self._turned_over(self._file)
        if self._file.write(data) != len(data):
            raise OSError("a part of a line was written")

    def _cut_off(self, file: FileIO) -> bool:
        """Whether an earlier life ended within a line."""
        if not file.seek(0, SEEK_END):
            return False
        file.seek(-1, SEEK_END)
        return file.read() != b"\n"

    def _turned_over(self, file: FileIO) -> FileIO:
        file.close()
        self._path.replace(self._folder / f"{self._name}.old.jsonl")
        return FileIO(self._path, "a+")


def evidence_paths(directory: Path) -> Iterator[Path]:
    """The files of all replicas in a cluster's directory."""
    yield from sorted((directory / FOLDER).glob("*.jsonl"))


def read_evidence(path: Path, cluster_id: bytes) -> Iterable[bytes]:
    """The statements in a file, unverified. A last line that was cut off is left out. Raises
    `ConfigurationError` where it is no such file, or of another cluster."""
    try:
        with path.open("rb") as file:
            number = 0
            while data := file.readline(MAX_LINE_BYTES):
                number += 1
                if data.endswith(b"\n"):
                    yield from _statements(data, f"{path}, line {number}", cluster_id)
                elif len(data) == MAX_LINE_BYTES:
                    raise ConfigurationError(f"{path}, line {number}: this line is too long")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None


def _statements(data: bytes, where: str, cluster_id: bytes) -> list[bytes]:
    try:
        line = msgspec.json.decode(data, type=Line)
        statements = [base64.b64decode(each, validate=True) for each in line.statements]
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{where}: this is no evidence: {error}") from None
    if line.format != FORMAT:
        raise ConfigurationError(f"{where}: format {line.format}, and this version reads {FORMAT}")
    if line.cluster != cluster_id.hex():
        raise ConfigurationError(f"{where}: this is about another cluster")
    return statements
