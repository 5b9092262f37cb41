"""Journals are read beside their replicas, and what is none is refused with a sentence."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pbft import Cluster, journal_files
from pbft.core.effects import Diverged
from pbft.core.errors import ConfigurationError, StorageError
from pbft.core.records import Began
from pbft.journal_files import journal_paths, read_journal
from pbft.sqlite_copy import copy_path
from pbft.sqlite_store import SqliteStore
from tests.test_sqlite_store import snapshot


@pytest.fixture
def cluster() -> Cluster:
    return Cluster.create(4, 1)[0]


def path_of(directory: Path, replica: int) -> Path:
    return directory / "data" / f"replica-{replica}.db"


def test_a_journal_in_use_is_read_without_touching_it(tmp_path: Path, cluster: Cluster) -> None:
    path, record = path_of(tmp_path, 2), snapshot(8)
    with closing(SqliteStore(path, cluster.config.cluster_id, 2)) as store:

        async def main() -> None:
            await store.append([record])
            found = read_journal(path, cluster)
            assert (found.replica, found.records, found.certified) == (2, [record], None)
            await store.append([Began()])

        asyncio.run(main())
        assert len(read_journal(path, cluster).records) == 2
    assert list(journal_paths(tmp_path)) == [path]


def test_a_copy_says_what_was_certified(tmp_path: Path, cluster: Cluster) -> None:
    path = path_of(tmp_path, 1)
    with closing(SqliteStore(path, cluster.config.cluster_id, 1)) as store:
        store.set_aside(Diverged(8, bytes(32), bytes([7]) * 32))
    assert list(journal_paths(tmp_path)) == [path, copy_path(path)]
    found = read_journal(copy_path(path), cluster)
    assert (found.replica, found.certified) == (1, (8, bytes([7]) * 32))


def test_what_is_no_journal_of_this_cluster_is_refused(tmp_path: Path, cluster: Cluster) -> None:
    path = path_of(tmp_path, 0)
    SqliteStore(path, bytes(16), 0).close()
    text, empty = tmp_path / "text", tmp_path / "empty"
    text.write_text("# this is no journal\n" * 100)
    empty.touch()
    for wrong, words in ((path, "of another cluster"), (text, "not a r"), (empty, "not a r")):
        with pytest.raises(ConfigurationError, match=words):
            read_journal(wrong, cluster)
    with pytest.raises(StorageError, match="cannot be copied"):
        read_journal(tmp_path / "absent", cluster)


def test_a_file_with_a_row_changed_is_not_believed(
    tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = path_of(tmp_path, 0)
    with closing(SqliteStore(path, cluster.config.cluster_id, 0)) as store:
        asyncio.run(appended(store))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE journal SET value = x'00' WHERE key = x'30'")
    monkeypatch.setattr(journal_files, "PAUSE_SECONDS", 0.0)
    with pytest.raises(StorageError, match="cannot be trusted"):
        read_journal(path, cluster)


async def appended(store: SqliteStore) -> None:
    await store.append([Began()])
