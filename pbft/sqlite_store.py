"""A replica's records in one SQLite file: what was appended survives a crash and a power cut.

A thread of its own writes. Everything that waits when it looks goes into one transaction with one
sync, so a slow disk makes larger groups, not longer queues. Each row carries a checksum. Triggers
keep the XOR of them all, in the same transaction: a row that the disk lost, or that it kept in an
older state, is noticed when the file is next read. Any failure to write is
final (T34): what a disk holds after a failed sync is not known, so nothing is tried again.
"""

import asyncio
import contextlib
import logging
import os
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from struct import error as StructError
from typing import TypeAlias, TypeVar

from pbft.core.effects import Diverged
from pbft.core.errors import ConfigurationError, StorageError
from pbft.core.ids import ReplicaId
from pbft.core.records import AnyRecord, decode_record
from pbft.journal import LEAF, STABLE, Drop, Put, Rotten, Write, rotten, writes
from pbft.row_checksums import FEW_BITS, checksum, halves, joined, wrong_bits
from pbft.scrub import Scrub
from pbft.sqlite_copy import set_aside
from pbft.store_files import locked, sync_directory, unfinished

log = logging.getLogger(__name__)

FORMAT = b"4"
STATEMENT_ROWS = 64
"""At most so many rows are set by one statement; statements are kept ready by their text."""

COLUMNS = ("high", "low")
LOG_BYTES = 8 * 1024 * 1024
PAGE_BYTES = 4096


def _exchange(row: str) -> str:
    """Into the total, or out of it: SQLite has no exclusive or."""
    both = (f"{each} = ({each} | {row}.{each}) & ~({each} & {row}.{each})" for each in COLUMNS)
    return f"UPDATE total SET {', '.join(both)};"


SETTINGS: tuple[str, ...] = (
    f"PRAGMA page_size = {PAGE_BYTES}",
    # Nobody else reads the file while we run; without sharing there is no memory-mapped index.
    "PRAGMA locking_mode = EXCLUSIVE",
    # A commit is one sequential write and one sync.
    "PRAGMA journal_mode = WAL",
    # Sync the log at every commit; NORMAL would sync only when the log is folded in.
    "PRAGMA synchronous = FULL",
    # Fold the log into the file when it is full: rarely, and yet it stays bounded.
    f"PRAGMA wal_autocheckpoint = {LOG_BYTES // PAGE_BYTES}",
    "PRAGMA journal_size_limit = 67108864",
    # Corrupted cells are an error and not a wild read.
    "PRAGMA cell_size_check = ON",
)
TABLES = (
    "CREATE TABLE head (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    # A checksum is 128 bits: two of SQLite's integers.
    "CREATE TABLE total (high INTEGER NOT NULL, low INTEGER NOT NULL)",
    "INSERT INTO total VALUES (0, 0)",
    "CREATE TABLE journal (key BLOB PRIMARY KEY, value BLOB NOT NULL,"
    " high INTEGER NOT NULL, low INTEGER NOT NULL) WITHOUT ROWID",
    *(
        f"CREATE TRIGGER {name} AFTER {event} ON journal BEGIN {changes} END"
        for name, event, changes in (
            ("joins", "INSERT", _exchange("new")),
            ("leaves", "DELETE", _exchange("old")),
            ("changes", "UPDATE", _exchange("old") + _exchange("new")),
        )
    ),
)

UNWRITTEN = {
    *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM),
    *(sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC),
}
"""Why a file cannot be written, though nothing is wrong with what is in it."""

Row = TypeVar("Row")
Statement: TypeAlias = "tuple[str, Sequence[bytes | int]]"
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
        self._tasks: queue.SimpleQueue[Task | Diverged | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._rotten: deque[bytes] = deque()
        """From the disk's thread to the event loop's."""
        try:
            self._lock = locked(path)
        except OSError as error:
            raise self._failed(error) from None
        try:
            if unfinished(path) is not None:
                raise self._unreadable("an earlier `pbft recover` of it was cut off")
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            # Bytes that rotted into a text: most are no UTF-8, and none are what was written.
            self._db.text_factory = bytearray
            try:
                self._open(cluster_id)
                self._scrub = Scrub(self._db, path)
            except BaseException:
                self._db.close()
                raise
        except (sqlite3.Error, OSError) as error:
            os.close(self._lock)
            raise self._unopened(error) from None
        except BaseException:
            os.close(self._lock)
            raise

    def load(self) -> Sequence[AnyRecord]:
        """All that is held, verified, by key. Leaves of the state that have rotted are left out:
        the replica fetches them. Raises `StorageError` and `RecordError`."""
        try:
            records, whole = verified(self._db)
        except UntrustedError as error:
            raise self._unreadable(str(error)) from None
        if not whole:
            log.warning("%s: a part of the state has rotted and is fetched anew", self._path)
        return records

    def append(self, records: Sequence[AnyRecord]) -> "asyncio.Future[None]":
        """Done once `records`, and all that were appended before, are on the disk. `StorageError`
        where they are not known to be: then every later call raises it, too."""
        if self._failure is not None:
            raise self._failure
        self._start()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        group = [write for record in records for write in writes(record)]
        size = sum(len(write.value) for write in group if isinstance(write, Put))
        self.unsynced_bytes += size
        self._tasks.put((group, size, done))
        return done

    def rotten(self) -> Rotten:
        """Parts of the state that were found to have rotted since the last call."""
        return rotten([self._rotten.popleft() for _ in range(len(self._rotten))])

    def set_aside(self, divergence: Diverged) -> None:
        """A copy beside the file, made by the disk's thread in its turn."""
        self._start()
        self._tasks.put(divergence)

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
            self._scrub.close()
            os.close(self._lock)

    # -- opening ------------------------------------------------------------------------------

    def _open(self, cluster_id: bytes) -> None:
        for setting in SETTINGS:
            self._db.execute(setting)
        identity = {"format": FORMAT, "cluster": cluster_id, "replica": b"%d" % self._replica}
        if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'head'").fetchone():
            self._create(identity)
        head = dict(self._db.execute("SELECT CAST(name AS BLOB), value FROM head"))
        if head.get(b"format") != FORMAT:
            raise ConfigurationError(
                f"{self._path} was written by another version of pbft, and this one does not read"
                " it: leave it where it is, and start the replica with the version that wrote it"
            )
        for name, value in identity.items():
            if head.get(name.encode()) != value:
                raise ConfigurationError(
                    f"{self._path} belongs to another {name}: move it away, or start the replica"
                    " in the directory of its own cluster"
                )
        # What a killed process wrote but did not sync is readable from the page cache. Before we
        # rely on it, it is written again, to the file itself, and synced (T34).
        self._reserve()
        busy, _, _ = self._db.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
        if busy:
            raise self._in_use()
        sync_directory(self._path.parent)

    def _reserve(self) -> None:
        """Give the log its full size, to be written over from now on: where it would grow, each
        sync would also have to write where the file's parts are."""
        log = self._path.with_name(self._path.name + "-wal")
        if log.exists() and log.stat().st_size >= LOG_BYTES:
            return
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("CREATE TABLE filler (bytes BLOB)")
        self._db.execute("INSERT INTO filler VALUES (zeroblob(?))", (LOG_BYTES,))
        self._db.execute("DROP TABLE filler")
        self._db.execute("COMMIT")

    def _create(self, identity: dict[str, bytes]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        for table in TABLES:
            self._db.execute(table)
        self._db.executemany("INSERT INTO head VALUES (?, ?)", identity.items())
        self._db.execute("COMMIT")

    # -- the disk's thread --------------------------------------------------------------------

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="disk", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while True:
            tasks, then = self._waiting()
            if tasks:
                self._perform(tasks)
            if isinstance(then, Diverged):
                set_aside(self._db, self._path, then)
            elif then:
                return
            if self._scrub.owed and self._failure is None:
                self._rotten.extend(self._scrub.look())

    def _waiting(self) -> tuple[list[Task], "Diverged | bool"]:
        """Everything that waits, up to what has to be kept as it is, at least one unless there are
        rows to look at; and whether the end is among it."""
        tasks: list[Task] = []
        block = not self._scrub.owed
        try:
            while isinstance(task := self._tasks.get(block), tuple):
                tasks.append(task)
                block = False
        except queue.Empty:
            return tasks, False
        return tasks, task or True

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

    def _commit(self, group: Iterable[Write]) -> None:
        """One transaction, of one statement where it can be: with each this thread gives up the
        interpreter several times, and a busy event loop is slow to hand it back."""
        puts, drops = folded(group)
        self._scrub.rewritten(puts)
        statements = [_deleting(drop) for drop in drops if drop.first != drop.last]
        singles = [drop.first for drop in drops if drop.first == drop.last]
        statements += [_deleting_each(keys) for keys in batched(singles)]
        statements += [_setting(rows) for rows in batched(list(puts.items()))]
        if len(statements) == 1:
            self._db.execute(*statements[0])
            return
        self._db.execute("BEGIN IMMEDIATE")
        for text, values in statements:
            self._db.execute(text, values)
        self._db.execute("COMMIT")
        if STABLE in puts:
            self._scrub.owe()

    def _failed(self, error: Exception) -> StorageError:
        return StorageError(
            f"{self._path} could not be written ({error}): this replica has stopped; make room on"
            " the disk or replace it, then start the replica again"
        )

    def _unopened(self, error: sqlite3.Error | OSError) -> StorageError:
        """Where it only cannot be written now, it has lost nothing: whoever were told to recover
        it would have its replica forget its votes."""
        code = getattr(error, "sqlite_errorcode", 0)
        if code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return self._in_use()
        unwritten = isinstance(error, OSError) or {code, code & 0xFF} & UNWRITTEN
        return self._failed(error) if unwritten else self._unreadable(str(error))

    def _in_use(self) -> StorageError:
        return StorageError(
            f"{self._path} is open in another program: close it there, then start the replica"
        )

    def _unreadable(self, reason: str) -> StorageError:
        return StorageError(
            f"{self._path} cannot be trusted ({reason}): run `pbft recover"
            f" {self._path.parent.parent} {self._replica}`"
        )


class UntrustedError(Exception):
    """Why the rows of a file are not what was written to it."""


def verified(db: sqlite3.Connection) -> tuple[list[AnyRecord], bool]:
    """The records in a file, by key, and whether they are all: leaves of the state that have rotted
    are left out. Raises `UntrustedError` and `RecordError`."""
    records: list[AnyRecord] = []
    total, whole = 0, True
    try:
        for key, value, *columns in db.execute("SELECT * FROM journal ORDER BY key"):
            wrong = wrong_bits(key, value, columns)
            total ^= checksum(key, value) if wrong <= FEW_BITS else joined(columns)
            if wrong <= FEW_BITS:
                records.append(decode_record(value))  # at once: the state is in memory once
            elif isinstance(key, bytes) and key.startswith(LEAF):
                whole = False
            else:
                raise UntrustedError("a row does not match its checksum")
        totals = db.execute("SELECT high, low FROM total").fetchall()
    except (sqlite3.Error, TypeError, StructError) as error:  # or a column of another type
        raise UntrustedError(str(error)) from None
    if totals != [halves(total)]:
        raise UntrustedError("a row is missing or older than the others")
    return records, whole


def folded(group: Iterable[Write]) -> tuple[dict[bytes, bytes], list[Drop]]:
    """The same as what to remove first and what to set then."""
    puts: dict[bytes, bytes] = {}
    drops: list[Drop] = []
    for write in group:
        if isinstance(write, Put):
            puts[write.key] = write.value
            continue
        drops.append(write)
        if write.first == write.last:
            puts.pop(write.first, None)
        else:
            for key in [each for each in puts if write.first <= each <= write.last]:
                del puts[key]
    return puts, drops


def batched(rows: list[Row]) -> list[list[Row]]:
    """In statements of a bounded size."""
    return [rows[at : at + STATEMENT_ROWS] for at in range(0, len(rows), STATEMENT_ROWS)]


def _deleting(drop: Drop) -> Statement:
    return "DELETE FROM journal WHERE key BETWEEN ? AND ?", (drop.first, drop.last)


def _deleting_each(keys: list[bytes]) -> Statement:
    return f"DELETE FROM journal WHERE key IN ({','.join('?' * len(keys))})", keys


def _setting(rows: list[tuple[bytes, bytes]]) -> Statement:
    values: list[bytes | int] = []
    for key, value in rows:
        values += (key, value, *halves(checksum(key, value)))
    text = (
        f"INSERT INTO journal VALUES {','.join(['(?,?,?,?)'] * len(rows))} ON CONFLICT (key)"
        " DO UPDATE SET value = excluded.value, high = excluded.high, low = excluded.low"
    )
    return text, values
