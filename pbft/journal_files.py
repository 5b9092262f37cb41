"""Journals read from outside: of replicas that run, that have stopped, or on another host.

A running replica has its file for itself, so what is read is a copy, with SQLite's log. A copy that
was taken while the replica wrote may be torn; the checksums in the file show that, and it is taken
again. Nothing here locks, changes or delays what it reads.
"""

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from pbft.cluster import Cluster
from pbft.core.errors import ConfigurationError, RecordError, StorageError
from pbft.core.ids import Digest, ReplicaId, SequenceNumber
from pbft.core.records import AnyRecord
from pbft.sqlite_copy import CERTIFIED, NUMBER_BYTES
from pbft.sqlite_store import FORMAT, UntrustedError, verified

ATTEMPTS = 5
PAUSE_SECONDS = 0.2


class JournalFile(Struct, frozen=True):
    """What a file holds, and whose it is. `certified`: in a copy that was set aside, what a quorum
    had said of the state that its replica had another of."""

    path: Path
    replica: ReplicaId
    records: list[AnyRecord]
    certified: tuple[SequenceNumber, Digest] | None = None


def journal_paths(directory: Path) -> Iterator[Path]:
    """The journals in a cluster's directory, and the copies that were set aside."""
    data = directory / "data"
    for path in sorted(data.glob("replica-*.db")):
        if ".lost-" not in path.name and ".new" not in path.name:
            yield path


def read_journal(path: Path, cluster: Cluster) -> JournalFile:
    """The records in the file at `path`. Raises `ConfigurationError` where it is no journal of
    `cluster`, and `StorageError` where it cannot be read or trusted."""
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        try:
            return _read(path, cluster)
        except (OSError, shutil.Error) as error:
            raise StorageError(f"{path} cannot be copied: {error}") from None
        except (UntrustedError, RecordError, sqlite3.Error) as error:
            reason = str(error)
    raise StorageError(
        f"{path} cannot be trusted ({reason}): if its replica runs, stop it and try again"
    )


def _read(path: Path, cluster: Cluster) -> JournalFile:
    with tempfile.TemporaryDirectory(prefix="pbft-journal-") as scratch:
        copy = Path(scratch) / "journal.db"
        shutil.copyfile(path, copy)
        log = path.with_name(path.name + "-wal")
        if log.exists():
            shutil.copyfile(log, copy.with_name(copy.name + "-wal"))
        with closing(sqlite3.connect(copy, isolation_level=None)) as db:
            head = _head(db, path, cluster)
            records, _ = verified(db)
    return JournalFile(path, int(head["replica"]), records, _certified(head.get(CERTIFIED)))


def _head(db: sqlite3.Connection, path: Path, cluster: Cluster) -> dict[str, bytes]:
    try:
        head = {name: bytes(value) for name, value in db.execute("SELECT name, value FROM head")}
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        raise ConfigurationError(f"{path} is not a replica's journal") from None
    except sqlite3.DatabaseError as error:
        if "not a database" not in str(error):
            raise
        raise ConfigurationError(f"{path} is not a replica's journal") from None
    if head.get("format") != FORMAT or not head.get("replica", b"").isdigit():
        raise ConfigurationError(f"{path} was written by another version of this library")
    if head.get("cluster") != cluster.config.cluster_id:
        raise ConfigurationError(f"{path} is the journal of another cluster")
    return head


def _certified(value: bytes | None) -> tuple[SequenceNumber, Digest] | None:
    if value is None:
        return None
    return int.from_bytes(value[:NUMBER_BYTES], "big"), value[NUMBER_BYTES:]
