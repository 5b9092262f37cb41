"""What rots in the file of a replica that runs is found while it can be made good (T54).

At each stable checkpoint the disk's thread owes a look at so many rows, in rotation, and takes it
in slices between two transactions. A row is read from the file and not from what was kept of it:
before, SQLite lets go of its pages, and the kernel is asked to let go of those it keeps of the
file, of a large one in turns.

Columns that differ from a row's checksum in a few bits have rotted themselves, and are written
anew. Otherwise the content is lost to the disk: of a part of the state the replica is told, which
holds it in memory; of votes and certificates, people are.
"""

import logging
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from pbft.journal import LEAF, PLACE
from pbft.row_checksums import FEW_BITS, checksum, halves, wrong_bits

log = logging.getLogger(__name__)

SCRUBBED_ROWS = 1024
SCRUBBED_BYTES = 4 * 1024 * 1024
"""Read again at each stable checkpoint."""
SLICE_ROWS = 64
SLICE_BYTES = 256 * 1024
"""At most so much between two transactions, and the rest of one row."""
LET_GO_BYTES = 64 * 1024 * 1024
"""Of the file, at each stable checkpoint: for all of a large one, the disk would stand still."""


class Scrub:
    """Reads the rows of the database `path` again, over its connection. For one thread."""

    def __init__(self, database: sqlite3.Connection, path: Path) -> None:
        self._db = database
        self._path = path
        # Open as long as the database: closing it would let go of SQLite's locks on the file.
        self._file = os.open(path, os.O_RDONLY)
        self._after = b""
        self._kept = 0
        """Where the kernel has not been asked to let go yet, in this turn."""
        self._rows = self._bytes = 0
        self._fresh = False
        self._told: set[bytes] = set()

    def close(self) -> None:
        """After the database."""
        os.close(self._file)

    @property
    def owed(self) -> bool:
        """Whether there is more to look at now."""
        return self._rows > 0 and self._bytes > 0

    def owe(self) -> None:
        """A checkpoint has become stable."""
        self._rows, self._bytes, self._fresh = SCRUBBED_ROWS, SCRUBBED_BYTES, True

    def rewritten(self, keys: Iterable[bytes]) -> None:
        """If one of them rots now, that is news."""
        self._told.difference_update(keys)

    def look(self) -> list[bytes]:
        """Check one slice: the keys of parts of the state that have rotted, each told once.
        Whatever is wrong with the file is logged, not raised."""
        lost: list[bytes] = []
        try:
            broken = self._broken()
            # Where a part of the log has rotted, a start would not read beyond it: begin it anew.
            if broken:
                self._db.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
            for key, whole in broken:
                if self._is_part_of_state(key, whole):
                    lost.append(key)
        except (sqlite3.Error, OSError) as error:
            self._rows = 0
            self._log_once(b"", f"a part of it cannot be read any more ({error})")
        return lost

    def _broken(self) -> list[tuple[bytes, int | None]]:
        """Of the next rows those that do not fit: the key, and the checksum where only that has
        rotted."""
        if self._fresh:
            self._let_go()
        found: list[tuple[bytes, int | None]] = []
        seen = size = 0
        query = "SELECT * FROM journal WHERE key > ? ORDER BY key LIMIT ?"
        rows = self._db.execute(query, (self._after, SLICE_ROWS))
        for key, value, *columns in rows:
            if isinstance(key, bytes):  # one that rotted into text is sorted elsewhere
                self._after = key
            wrong = wrong_bits(key, value, columns)
            if wrong:
                named = bytes(key) if isinstance(key, bytearray) else key
                found.append((named, checksum(key, value) if wrong <= FEW_BITS else None))
            seen, size = seen + 1, size + len(value if isinstance(value, bytes) else b"")
            if size >= SLICE_BYTES:
                break
        rows.close()
        self._rows, self._bytes = self._rows - seen, self._bytes - size
        if seen < SLICE_ROWS and size < SLICE_BYTES:
            self._after, self._rows = b"", 0
        return found

    def _let_go(self) -> None:
        """Of what is kept in memory of the file; not of its log, which is written over in parts of
        pages, and would have to be read for that."""
        self._fresh = False
        self._db.execute("PRAGMA shrink_memory")
        if not hasattr(os, "posix_fadvise"):
            return
        os.posix_fadvise(self._file, self._kept, LET_GO_BYTES, os.POSIX_FADV_DONTNEED)
        self._kept += LET_GO_BYTES
        if self._kept >= os.fstat(self._file).st_size:
            self._kept = 0

    def _is_part_of_state(self, key: bytes, whole: int | None) -> bool:
        """Whether the replica can be asked for it; else it is made good here, or told of."""
        if whole is not None:
            self._correct(key, whole)
            return False
        if not isinstance(key, bytes) or not key.startswith((LEAF, PLACE)):
            self._log_once(key, "a vote or certificate has rotted")
            return False
        if key in self._told:
            return False
        self._told.add(key)
        log.warning("%s: a part of the state has rotted and is written anew", self._path)
        return True

    def _correct(self, key: bytes, whole: int) -> None:
        """Set the columns of one row; the total was right, and stays."""
        log.warning("%s: a checksum has rotted and is written anew", self._path)
        self._db.execute("BEGIN IMMEDIATE")
        try:
            total = self._db.execute("SELECT high, low FROM total").fetchone()
            columns = (*halves(whole), key)
            self._db.execute("UPDATE journal SET high = ?, low = ? WHERE key = ?", columns)
            self._db.execute("UPDATE total SET high = ?, low = ?", total)
            self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:  # what is written next would never be synced (T34)
                self._db.execute("ROLLBACK")

    def _log_once(self, key: bytes, what: str) -> None:
        if key in self._told:
            return
        self._told.add(key)
        log.error(
            "%s: %s: the replica goes on, since it remembers what that said; but once it stops, it"
            " may not start from this file, and has to be recovered with `pbft recover`",
            self._path,
            what,
        )
