"""A new store for a replica that lost its records: the old one is set aside, never deleted (T35).

The new store holds one record, which says that this replica has forgotten what it voted. What that
means is the core's business, at the next start. Every step leaves a directory from which the
replica refuses to vote: with the old file, with none, or with the new one.
"""

import asyncio
import os
from contextlib import closing
from pathlib import Path

from pbft.cluster import Cluster
from pbft.core.errors import ConfigurationError, StorageError
from pbft.core.ids import ReplicaId
from pbft.core.records import Recovering
from pbft.serving import store_path
from pbft.sqlite_store import SqliteStore, locked, sync_directory

SIDE_FILES = ("-wal", "-shm", "")
"""What SQLite keeps beside a database, and the database: it goes last, for it is what counts."""


def replace_store(cluster: Cluster, directory: Path, replica: ReplicaId) -> Path | None:
    """Have `replica` recover at its next start; where its old store is now, if it had one.

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
            aside = _set_aside(path)
            new.rename(path)
            sync_directory(path.parent)
        finally:
            os.close(lock)
    except OSError as error:
        raise StorageError(
            f"{path} could not be replaced ({error.strerror}): put that right, and run `pbft"
            f" recover {directory} {replica}` again"
        ) from None
    return aside


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


def _set_aside(path: Path) -> Path | None:
    """Rename the old files to the first number that is free."""
    number = 1
    while (aside := path.with_name(f"{path.stem}.lost-{number}.db")).exists():
        number += 1
    found = path.exists()
    for suffix in SIDE_FILES:
        each = path.with_name(path.name + suffix)
        if each.exists():
            each.rename(aside.with_name(aside.name + suffix))
    return aside if found else None
