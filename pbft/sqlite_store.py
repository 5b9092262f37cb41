"""A replica's records in one SQLite file: what was appended survives a crash and a power cut.

A thread of its own writes. Everything that waits when it looks goes into one transaction with one
sync, so a slow disk makes larger groups, not longer queues. Each row carries a checksum. A head row
holds the XOR of all checksums and changes in the same transaction: a row that the disk lost, or
that it kept in an older state, is noticed when the file is next read. Any failure to write is
final (T34): what a disk holds after a failed sync is not known, so nothing is tried again.
"""

import asyncio
import contextlib
import fcntl
import os
import queue
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TypeAlias

from pbft.core.errors import ConfigurationError, StorageError
from pbft.core.ids import ReplicaId
from pbft.core.journal import Drop, Put, Write, read, writes
from pbft.core.records import AnyRecord

FORMAT = b"1"
CHECKSUM_BYTES = 16

SETTINGS = (
    # Nobody else reads the file while we run; without sharing there is no memory-mapped index.
    "PRAGMA locking_mode = EXCLUSIVE",
    # A commit is one sequential write and one sync.
    "PRAGMA journal_mode = WAL",
    # Sync the log at every commit; NORMAL would sync only when the log is folded in.
    "PRAGMA synchronous = FULL",
    # Fold the log into the file after 16 MiB: rarely, and yet the log stays bounded.
    "PRAGMA wal_autocheckpoint = 4096",
    "PRAGMA journal_size_limit = 67108864",
    # Corrupted cells are an error and not a wild read.
    "PRAGMA cell_size_check = ON",
)
TABLES = (
    "CREATE TABLE head (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE journal"
    " (key BLOB PRIMARY KEY, value BLOB NOT NULL, checksum BLOB NOT NULL) WITHOUT ROWID",
)

Task: TypeAlias = "tuple[list[Write], int, asyncio.Future[None]]"
"""What to write, its size in bytes, and whom to tell."""


class SqliteStore:
    """A `Store` in the file `path`, which belongs to one replica of one cluster.

    Raises `ConfigurationError` where another process has the file or it belongs to another
    replica, `StorageError` where it cannot be read, written or trusted.
    """

    durability = "fsync"

    def __init__(self, path: Path, cluster_id: bytes, replica: ReplicaId) -> None:
        self._path = path
        self._replica = replica
        self._process = os.getpid()
        self._failure: StorageError | None = None
        self.unsynced_bytes = 0
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        try:
            self._lock = _locked(path)
        except OSError as error:
            raise self._failed(error) from None
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            try:
                self._open(cluster_id)
            except BaseException:
                self._db.close()
                raise
        except (sqlite3.Error, OSError) as error:
            os.close(self._lock)
            raise self._unreadable(str(error)) from None
        except BaseException:
            os.close(self._lock)
            raise

    def load(self) -> Sequence[AnyRecord]:
        """All that is held, verified. Raises `StorageError` and `RecordError`."""
        entries: list[tuple[bytes, bytes]] = []
        total = 0
        try:
            for key, value, checksum in self._db.execute("SELECT * FROM journal"):
                if _checksum(key, value) != checksum:
                    raise self._unreadable("a row does not match its checksum")
                total ^= int.from_bytes(checksum, "big")
                entries.append((key, value))
        except sqlite3.Error as error:
            raise self._unreadable(str(error)) from None
        if total != self._sum:
            raise self._unreadable("a row is missing or older than the others")
        return read(entries)

    def append(self, records: Sequence[AnyRecord]) -> "asyncio.Future[None]":
        """Done once `records`, and all that were appended before, are on the disk. `StorageError`
        where they are not known to be: then every later call raises it, too."""
        if self._failure is not None:
            raise self._failure
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="disk", daemon=True)
            self._thread.start()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        group = [write for record in records for write in writes(record)]
        size = sum(len(write.value) for write in group if isinstance(write, Put))
        self.unsynced_bytes += size
        self._tasks.put((group, size, done))
        return done

    def close(self) -> None:
        """Write what waits, and let go of the file. In a forked child, this does nothing: the
        file is the parent's."""
        if os.getpid() != self._process:
            return
        if self._thread is not None:
            self._tasks.put(None)
            self._thread.join()
            self._thread = None
        try:
            self._db.close()
        except sqlite3.Error as error:
            raise self._failed(error) from None
        finally:
            os.close(self._lock)

    # -- opening ------------------------------------------------------------------------------

    def _open(self, cluster_id: bytes) -> None:
        for setting in SETTINGS:
            self._db.execute(setting)
        identity = {"format": FORMAT, "cluster": cluster_id, "replica": b"%d" % self._replica}
        if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'head'").fetchone():
            self._create(identity)
        head = dict(self._db.execute("SELECT name, value FROM head"))
        for name, value in identity.items():
            if head.get(name) != value:
                raise ConfigurationError(
                    f"{self._path} belongs to another {name}: move it away, or start the replica"
                    " in the directory of its own cluster"
                )
        self._sum = int.from_bytes(head["sum"], "big")
        # What a killed process wrote but did not sync is readable from the page cache. Before we
        # rely on it, it is written again, to the file itself, and synced (T34).
        busy, _, _ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise sqlite3.OperationalError("the log cannot be folded into the file")
        _sync_directory(self._path.parent)

    def _create(self, identity: dict[str, bytes]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        for table in TABLES:
            self._db.execute(table)
        rows = {**identity, "sum": bytes(CHECKSUM_BYTES)}
        self._db.executemany("INSERT INTO head VALUES (?, ?)", rows.items())
        self._db.execute("COMMIT")

    # -- the disk's thread --------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            tasks, last = self._waiting()
            if tasks:
                self._perform(tasks)
            if last:
                return

    def _waiting(self) -> tuple[list[Task], bool]:
        """Everything that waits, at least one; and whether the end is among it."""
        tasks: list[Task] = []
        task = self._tasks.get()
        while task is not None:
            tasks.append(task)
            try:
                task = self._tasks.get_nowait()
            except queue.Empty:
                return tasks, False
        return tasks, True

    def _perform(self, tasks: list[Task]) -> None:
        if self._failure is None:
            try:
                self._commit(write for group, _, _ in tasks for write in group)
            except Exception as error:  # whatever it was, nothing may pass for written
                self._failure = self._failed(error)
        with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits
            tasks[0][-1].get_loop().call_soon_threadsafe(self._settle, tasks, self._failure)

    def _settle(self, tasks: list[Task], failure: StorageError | None) -> None:
        """In the event loop again."""
        for _, size, done in tasks:
            self.unsynced_bytes -= size
            if done.done():
                continue
            if failure is None:
                done.set_result(None)
            else:
                done.set_exception(failure)

    def _commit(self, group: Iterator[Write]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        total = self._sum
        for write in group:
            for checksum in self._apply(write):
                total ^= int.from_bytes(checksum, "big")
        value = total.to_bytes(CHECKSUM_BYTES, "big")
        self._db.execute("UPDATE head SET value = ? WHERE name = 'sum'", (value,))
        self._db.execute("COMMIT")
        self._sum = total

    def _apply(self, write: Write) -> list[bytes]:
        """The checksums that join or leave the sum."""
        match write:
            case Put(key, value):
                gone = self._db.execute("SELECT checksum FROM journal WHERE key = ?", (key,))
                changed = [each for (each,) in gone.fetchall()]
                row = (key, value, _checksum(key, value))
                self._db.execute("INSERT OR REPLACE INTO journal VALUES (?, ?, ?)", row)
                return [*changed, row[2]]
            case Drop(first, last):
                span = (first, last)
                gone = self._db.execute(
                    "SELECT checksum FROM journal WHERE key BETWEEN ? AND ?", span
                )
                changed = [each for (each,) in gone.fetchall()]
                self._db.execute("DELETE FROM journal WHERE key BETWEEN ? AND ?", span)
                return changed

    def _failed(self, error: Exception) -> StorageError:
        return StorageError(
            f"{self._path} could not be written ({error}): this replica has stopped; make room on"
            " the disk or replace it, then start the replica again"
        )

    def _unreadable(self, reason: str) -> StorageError:
        return StorageError(
            f"{self._path} cannot be trusted ({reason}): run `pbft recover DIR {self._replica}`"
        )


def _checksum(key: bytes, value: bytes) -> bytes:
    hasher = blake2b(len(key).to_bytes(8, "big"), digest_size=CHECKSUM_BYTES)
    hasher.update(key)
    hasher.update(value)
    return hasher.digest()


def _locked(path: Path) -> int:
    """A lock beside the file for as long as the descriptor is open. Raises `ConfigurationError`."""
    if not path.parent.exists():
        path.parent.mkdir(mode=0o700, parents=True)
        _sync_directory(path.parent.parent)
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise ConfigurationError(
            f"{path} is in use: this replica is running already; stop that process first"
        ) from None
    return lock


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
