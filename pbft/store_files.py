"""The files of one replica's store, as whoever opens or replaces it treats them: a lock beside the
database, so that one process at a time has it, and the mark of a replacement that is under way.
"""

import fcntl
import os
from pathlib import Path

from pbft.core.errors import ConfigurationError


def locked(path: Path) -> int:
    """A lock beside the file for as long as the descriptor is open. Raises `ConfigurationError`."""
    if not path.parent.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # others start at once, too
        sync_directory(path.parent.parent)
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise ConfigurationError(
            f"{path} is in use: this replica is running already; stop that process first"
        ) from None
    return lock


def aside(path: Path, number: int) -> Path:
    """Where the database is kept that was replaced as the `number`-th."""
    return path.with_name(f"{path.stem}.lost-{number}.db")


def mark(path: Path, number: int) -> Path:
    """There while the `number`-th replacement of the database has begun and not ended."""
    return aside(path, number).with_suffix(".unfinished")


def unfinished(path: Path) -> int | None:
    """The number of a replacement that was cut off."""
    for found in path.parent.glob(f"{path.stem}.lost-*.unfinished"):
        return int(found.stem.rpartition("-")[2])
    return None


def sync_directory(directory: Path) -> None:
    """Have the names in it on the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
