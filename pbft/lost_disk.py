"""A new store for a replica that lost its records: the old one is set aside, never deleted (T35).

The new store holds one record, which says that this replica has forgotten what it voted. What that
means is the core's business, at the next start. The old store is several files, and they are moved
one by one: while that goes on, a mark beside them makes every start refuse, so that nobody takes a
database without its log for an older one. Whoever was killed in between is run again, and goes on.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from pbft.cluster import Cluster
from pbft.core.errors import ConfigurationError, StorageError
from pbft.core.ids import ReplicaId
from pbft.core.records import Began, Recovering
from pbft.journal_files import read_journal
from pbft.serving import store_path
from pbft.sqlite_store import SqliteStore
from pbft.store_files import aside, locked, mark, sync_directory, unfinished

SIDE_FILES = ("-wal", "-shm", "")
"""What SQLite keeps beside a database, and the database: it goes last, for it is what counts."""


def _nothing() -> None:
    pass


def remembers(cluster: Cluster, directory: Path, replica: ReplicaId) -> bool:
    """Whether the store of `replica` is whole, as far as it can tell itself, and says what it has
    voted. An older copy is: only the others know. Raises `ConfigurationError` where it runs."""
    cluster.member(replica)
    path = store_path(directory, replica)
    if not path.exists() or unfinished(path) is not None:
        return False
    try:
        os.close(locked(path))
        records = read_journal(path, cluster).records
    except (OSError, StorageError):
        return False
    return any(not isinstance(each, Began | Recovering) for each in records)


def replace_store(
    cluster: Cluster, directory: Path, replica: ReplicaId, between: Callable[[], None] = _nothing
) -> Path | None:
    """Have `replica` recover at its next start; where its old store is now, if it had one.
    `between` is called between each two steps, for tests that stop there.

    Raises `ConfigurationError` where the replica runs, or its cluster keeps nothing on disk, and
    `StorageError` where the disk does not let us."""
    cluster.member(replica)
    if cluster.file.storage.durability == "memory":
        raise ConfigurationError(
            'the replicas of this cluster keep their records in memory (durability = "memory"):'
            " there is nothing that could recover; make a new cluster with `pbft init`"
        )
    path = store_path(directory, replica)
    try:
        lock = locked(path)
        try:
            new = _written(path, cluster.config.cluster_id, replica)
            between()
            return _exchanged(path, new, between)
        finally:
            os.close(lock)
    except OSError as error:
        raise StorageError(
            f"{path} could not be replaced ({error.strerror}): put that right, and run `pbft"
            f" recover {directory} {replica}` again"
        ) from None


def _written(path: Path, cluster_id: bytes, replica: ReplicaId) -> Path:
    """A whole new store beside the old one."""
    new = path.with_name(f"{path.stem}.new.db")
    for suffix in SIDE_FILES:
        new.with_name(new.name + suffix).unlink(missing_ok=True)

    async def write(store: SqliteStore) -> None:
        await store.append([Recovering()])

    with closing(SqliteStore(new, cluster_id, replica)) as store:
        asyncio.run(write(store))
    new.with_suffix(".lock").unlink(missing_ok=True)
    return new


def _exchanged(path: Path, new: Path, between: Callable[[], None]) -> Path | None:
    """The old files under the first number that is free, the new one in their place. Each step is
    on the disk before the next, and does nothing where it was done before."""
    number = unfinished(path) or _free(path)
    old, marked = aside(path, number), mark(path, number)
    marked.touch(mode=0o600)
    sync_directory(path.parent)
    between()
    for suffix in SIDE_FILES:
        each, there = (base.with_name(base.name + suffix) for base in (path, old))
        if each.exists() and not there.exists():
            each.rename(there)
            sync_directory(path.parent)
            between()
    new.rename(path)
    sync_directory(path.parent)
    between()
    marked.unlink()
    sync_directory(path.parent)
    return old if old.exists() else None


def _free(path: Path) -> int:
    number = 1
    while aside(path, number).exists():
        number += 1
    return number
