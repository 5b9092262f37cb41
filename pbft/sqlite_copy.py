"""A copy of a replica's journal, kept where the repair of a divergence does not reach it.

A replica whose state contradicts a certified one fetches that one, and with it goes what could
explain how they came to differ. So the store sets a copy aside first: one per replica, of a bounded
size, made by the disk's thread between two transactions. Nothing relies on it: where it cannot be
made, the log says so and the replica goes on.
"""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from pbft.core.effects import Diverged

MAX_COPY_BYTES = 256 * 1024 * 1024
"""Of a journal that is copied: more would keep the disk's thread for seconds."""
CERTIFIED = "certified"
"""In the head of a copy: what q replicas have said of which sequence number."""
NUMBER_BYTES = 8

log = logging.getLogger(__name__)


def copy_path(path: Path) -> Path:
    """Where the copy of the journal at `path` is kept."""
    return path.with_name(f"{path.stem}.diverged.db")


def set_aside(db: sqlite3.Connection, path: Path, divergence: Diverged) -> None:
    """Copy the journal that `db` has open at `path`, unless there is a copy already: the first
    divergence is the one to explain."""
    kept = copy_path(path)
    new = kept.with_suffix(".new")
    try:
        if kept.exists():
            log.warning("%s is kept already: move it away to keep the next one", kept)
            return
        size = _size(db)
        if size > MAX_COPY_BYTES:
            log.warning("%s: %d bytes are too many to keep a copy of", path, size)
            return
        new.unlink(missing_ok=True)
        db.execute("VACUUM INTO ?", (str(new),))
        with closing(sqlite3.connect(new, isolation_level=None)) as copy:
            value = divergence.sequence.to_bytes(NUMBER_BYTES, "big") + divergence.certified
            copy.execute("INSERT INTO head VALUES (?, ?)", (CERTIFIED, value))
        new.rename(kept)
        log.warning("%s is kept: `pbft diverged %s` explains it", kept, path.parent.parent)
    except (sqlite3.Error, OSError) as error:
        log.warning("%s: no copy of the diverged state could be kept: %s", path, error)


def _size(db: sqlite3.Connection) -> int:
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    (size,) = db.execute("PRAGMA page_size").fetchone()
    return int(pages) * int(size)
