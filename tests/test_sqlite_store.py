"""The durable store: what it gives back, what it refuses, and that a failed write is final."""

import asyncio
import contextlib
import functools
import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pbft.core.errors import ConfigurationError, StorageError
from pbft.core.records import AnyRecord, Began, Leaf, Snapshotted, Stabilised
from pbft.journal import Drop, Put, Write
from pbft.sqlite_store import LOG_BYTES, STATEMENT_ROWS, SqliteStore, folded
from pbft.store import Store
from tests.cli.command import ROOT

CLUSTER = bytes(range(16))


def snapshot(sequence: int, size: int = 100) -> Snapshotted:
    return Snapshotted(sequence, bytes(32), ((os.urandom(size), bytes(32)),), ())


@contextlib.contextmanager
def opened(path: Path, cluster: bytes = CLUSTER, replica: int = 2) -> Iterator[SqliteStore]:
    store = SqliteStore(path, cluster, replica)
    try:
        yield store
    finally:
        store.close()


async def appended(store: Store, *records: AnyRecord) -> None:
    for record in records:
        await store.append([record])


def written(path: Path, *records: AnyRecord) -> Path:
    with opened(path) as store:
        asyncio.run(appended(store, *records))
    return path


def test_a_restart_gives_back_what_was_appended(tmp_path: Path) -> None:
    records: Sequence[AnyRecord] = (Began(), snapshot(8), snapshot(16))
    path = written(tmp_path / "data" / "r.db", *records)
    with opened(path) as store:
        assert store.load() == list(records)
        assert store.durability == "fsync"


def traced(store: SqliteStore) -> list[str]:
    """The statements that it gives to SQLite; triggers repeat the one that set them off."""
    statements: list[str] = []

    def seen(sql: str) -> None:
        if statements[-1:] != [sql]:
            statements.append(sql)

    store._db.set_trace_callback(seen)
    return statements


def test_what_waits_together_is_written_together(tmp_path: Path) -> None:
    async def main(store: SqliteStore) -> None:
        await asyncio.gather(*(store.append([snapshot(n)]) for n in range(200)))

    with opened(tmp_path / "r.db") as store:
        statements = traced(store)
        asyncio.run(main(store))
        assert len(statements) < 100
        assert len(store.load()) == 200


def test_one_statement_is_enough_for_a_group_without_removals(tmp_path: Path) -> None:
    """With each the disk's thread gives up the interpreter: a busy loop makes it wait for it."""
    with opened(tmp_path / "r.db") as store:
        statements = traced(store)
        asyncio.run(appended(store, snapshot(8)))
        assert len(statements) == 1
        asyncio.run(appended(store, Stabilised(9, (), superseded=9)))
        assert statements[1].startswith("BEGIN")
        assert "COMMIT" in statements[2:]
        assert store.load() == [Stabilised(9, ())]


def test_removals_and_writes_of_one_group_are_folded() -> None:
    group: list[Write] = [Put(b"5a", b"1"), Put(b"5a", b"2"), Put(b"6", b"3"), Drop(b"5", b"5z")]
    assert folded([*group, Put(b"5b", b"4")]) == (
        {b"6": b"3", b"5b": b"4"},
        [Drop(b"5", b"5z")],
    )


def test_the_log_has_its_full_size_from_the_start(tmp_path: Path) -> None:
    """A log that grows makes every sync of the file's size, too."""
    log = tmp_path / "r.db-wal"
    with opened(tmp_path / "r.db") as store:
        size = log.stat().st_size
        assert size >= LOG_BYTES
        asyncio.run(appended(store, *(snapshot(n) for n in range(50))))
        assert log.stat().st_size == size


def test_more_rows_than_one_statement_takes(tmp_path: Path) -> None:
    async def main(store: Store) -> None:
        await store.append([snapshot(n) for n in range(3 * STATEMENT_ROWS)])

    with opened(tmp_path / "r.db") as store:
        asyncio.run(main(store))
        assert len(store.load()) == 3 * STATEMENT_ROWS


def test_what_was_appended_is_there_after_a_kill(tmp_path: Path) -> None:
    """The child leaves without closing anything, as a killed process does."""
    child = os.fork()
    if child == 0:
        store = SqliteStore(tmp_path / "r.db", CLUSTER, 2)
        asyncio.run(appended(store, Began(), snapshot(8)))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    with opened(tmp_path / "r.db") as store:
        assert len(store.load()) == 2


@pytest.mark.scenario("CR7", "CR17", kills="T34 the folder of a new store is not synced")
def test_a_new_file_and_its_folder_are_named_on_the_disk_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut may lose the name of a file whose folder was never synced, synced as it was."""
    synced: set[int] = set()
    sync = os.fsync

    def noted(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    with opened(tmp_path / "data" / "r.db"):
        assert synced == {tmp_path.stat().st_ino, (tmp_path / "data").stat().st_ino}


def test_a_file_of_another_cluster_or_replica_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "r.db", Began())
    with pytest.raises(ConfigurationError, match="another cluster"), opened(path, bytes(16)):
        pass
    with pytest.raises(ConfigurationError, match="another replica"), opened(path, replica=3):
        pass
    with opened(path) as store:
        assert len(store.load()) == 1


def test_a_file_of_another_version_is_left_alone(tmp_path: Path) -> None:
    """Whoever moved it away would start a replica that has forgotten its votes."""
    path = written(tmp_path / "r.db", Began())
    with contextlib.closing(beneath(path)) as database, database:
        database.execute("UPDATE head SET value = x'33' WHERE name = 'format'")
    with pytest.raises(ConfigurationError, match=r"another version.*leave it"), opened(path):
        pass


def test_one_identity_is_not_started_twice(tmp_path: Path) -> None:
    with opened(tmp_path / "r.db"), pytest.raises(ConfigurationError, match="running already"):
        SqliteStore(tmp_path / "r.db", CLUSTER, 2)
    with opened(tmp_path / "r.db") as store:
        assert store.load() == []


def beneath(path: Path) -> sqlite3.Connection:
    """The file as damage reaches it: the triggers see nothing of it."""
    database = sqlite3.connect(path)
    for trigger in ("joins", "leaves", "changes"):
        database.execute(f"DROP TRIGGER {trigger}")
    return database


@pytest.mark.scenario("CR5", kills="T34 whatever rots on the disk is left out")
@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE journal SET value = x'00' WHERE key = x'30'",
        "DELETE FROM journal WHERE key = x'30'",
        "UPDATE journal SET value = 17 WHERE key = x'30'",
        "UPDATE journal SET low = 'x' WHERE key = x'30'",
        "UPDATE total SET low = low + 1",
        "DELETE FROM total",
    ],
)
def test_a_damaged_or_missing_row_is_noticed(tmp_path: Path, damage: str) -> None:
    path = written(tmp_path / "r.db", Began(), snapshot(8))
    database = beneath(path)
    assert database.execute(damage).rowcount == 1
    database.commit()
    database.close()
    with opened(path) as store, pytest.raises(StorageError, match=r"run `pbft recover .* 2`"):
        store.load()


@pytest.mark.scenario("CR5")
def test_a_leaf_that_has_rotted_is_left_out_and_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The others have it; votes and certificates they have not, so those must all be whole."""
    path = written(tmp_path / "r.db", Began(), Leaf(bytes(32), b"a"), Leaf(b"1" * 32, b"b"))
    database = beneath(path)
    database.execute("UPDATE journal SET value = x'00' WHERE key = ?", (b"9" + bytes(32),))
    database.commit()
    database.close()
    with opened(path) as store:
        assert store.load() == [Began(), Leaf(b"1" * 32, b"b")]
    assert "has rotted and is fetched anew" in caplog.text
    database = sqlite3.connect(path)
    database.execute("UPDATE journal SET low = 0 WHERE key = ?", (b"9" + bytes(32),))
    database.commit()
    database.close()
    with opened(path) as store, pytest.raises(StorageError, match="missing or older"):
        store.load()


def test_a_row_in_an_older_state_is_noticed(tmp_path: Path) -> None:
    """Each row is sound by itself; together they never were (a misdirected or lost write)."""
    path = written(tmp_path / "r.db", Stabilised(1, (b"old",)))
    database = sqlite3.connect(path)
    old = database.execute("SELECT * FROM journal").fetchone()
    database.close()
    written(path, Stabilised(1, (b"new",)))
    database = beneath(path)
    database.execute("INSERT OR REPLACE INTO journal VALUES (?, ?, ?, ?)", old)
    database.commit()
    database.close()
    with opened(path) as store, pytest.raises(StorageError, match="missing or older"):
        store.load()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.db").write_bytes(os.urandom(8192))
    with pytest.raises(StorageError, match="cannot be trusted"):
        SqliteStore(tmp_path / "r.db", CLUSTER, 2)


def test_nobody_is_told_to_recover_what_cannot_be_written_now(tmp_path: Path) -> None:
    """That would have its replica forget what it voted: all of them, where they share a disk."""
    path = written(tmp_path / "r.db", Began())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, limits[1]))
    try:
        with pytest.raises(StorageError, match="make room on the disk") as refused:
            SqliteStore(path, CLUSTER, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "pbft recover" not in str(refused.value)
    with opened(path) as store:
        assert store.load() == [Began()]


@pytest.mark.parametrize("held", ["BEGIN", "BEGIN EXCLUSIVE"])
def test_nor_one_that_another_program_has_open(
    tmp_path: Path, held: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "r.db", Began())
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(held)
        other.execute("SELECT * FROM head").fetchall()
        connect = functools.partial(sqlite3.connect, timeout=0.01)
        monkeypatch.setattr("pbft.sqlite_store.sqlite3.connect", connect)
        with pytest.raises(StorageError, match="open in another program: close it there"):
            SqliteStore(path, CLUSTER, 2)
    with opened(path) as store:
        assert store.load() == [Began()]


def test_a_full_disk_is_final(tmp_path: Path) -> None:
    """Also once there is room again: what was written in between is not known."""

    async def main(store: SqliteStore) -> None:
        await store.append([Began()])
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, limits[1]))
        try:
            with pytest.raises(StorageError, match="could not be written"):
                await store.append([snapshot(8, 1024 * 1024)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        with pytest.raises(StorageError, match="could not be written"):
            await store.append([snapshot(16)])

    with opened(tmp_path / "r.db") as store:
        asyncio.run(main(store))
    with opened(tmp_path / "r.db") as store:
        assert store.load() == [Began()]


NO_ROOM = 'mount -t tmpfs -o size=20m tmpfs "$0" && exec "$@"'
LITTLE_ROOM = 'ulimit -f 40960; exec "$@"'


def test_a_file_system_without_room_ends_it_with_one_sentence(tmp_path: Path) -> None:
    """A small file system of our own, where this system lets us mount one in a namespace; or else a
    limit on the size of files."""
    alone = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    try:
        mounts = subprocess.run([*alone, NO_ROOM, str(tmp_path), "true"], check=False).returncode
    except FileNotFoundError:
        mounts = 1
    shell = [*alone, NO_ROOM] if mounts == 0 else ["sh", "-c", LITTLE_ROOM]
    child = [sys.executable, "-m", "tests.testing.store_process", "plain", str(tmp_path / "r.db")]
    done = subprocess.run(
        [*shell, str(tmp_path), *child], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"{tmp_path / 'r.db'} could not be written (" in done.stderr
    assert len(done.stdout.split()) > 10


@pytest.mark.scenario("FL11")
def test_the_files_stay_bounded_over_many_checkpoints(tmp_path: Path) -> None:
    async def main(store: SqliteStore) -> None:
        for sequence in range(1, 200):
            stable = Stabilised(sequence, (b"proof",), superseded=sequence)
            await store.append([snapshot(sequence, 200_000), stable])

    with opened(tmp_path / "r.db") as store:
        asyncio.run(main(store))
        assert len(store.load()) == 1
        assert sum(each.stat().st_size for each in tmp_path.iterdir()) < 32 * 1024 * 1024


def test_a_forked_child_leaves_the_file_to_its_parent(tmp_path: Path) -> None:
    with opened(tmp_path / "r.db") as store:
        child = os.fork()
        if child == 0:
            store.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        asyncio.run(appended(store, Began()))
        assert store.load() == [Began()]


def test_what_is_set_and_removed_in_one_group_is_not_there() -> None:
    one: list[Write] = [Put(b"a", b"1"), Put(b"b", b"2"), Drop(b"a", b"a"), Put(b"c", b"3")]
    assert folded(one)[0] == {b"b": b"2", b"c": b"3"}
    assert folded([*one, Put(b"a", b"4")])[0] == {b"b": b"2", b"c": b"3", b"a": b"4"}


@pytest.mark.scenario("T34")
@pytest.mark.parametrize(
    "error",
    [sqlite3.OperationalError("disk I/O error"), sqlite3.DatabaseError("malformed"), OSError()],
)
def test_t34_what_waits_behind_a_failed_write_is_not_written_either(
    tmp_path: Path, error: Exception
) -> None:
    """It may have got into the queue before the failure was known: it must not stand alone."""

    async def main(store: SqliteStore) -> None:
        commit = store._commit
        done = [asyncio.get_running_loop().create_future() for _ in range(2)]

        def fails(group: object) -> None:
            store._commit = commit  # type: ignore[method-assign]
            raise error

        store._commit = fails  # type: ignore[method-assign]
        for number, each in enumerate(done):
            store._perform([([Put(b"2%d" % number, b"")], 0, each)])
        for each in done:
            with pytest.raises(StorageError):
                await each
        assert store._db.execute("SELECT count(*) FROM journal").fetchone() == (0,)

    with opened(tmp_path / "r.db") as store:
        asyncio.run(main(store))


def test_a_forked_child_leaves_the_store_to_its_parent(tmp_path: Path) -> None:
    with opened(tmp_path / "r.db") as store:
        store._process += 1
        store.close()
        store._process = os.getpid()
        asyncio.run(appended(store, Began()))
        assert store.load() == [Began()]


def test_nothing_waits_for_the_disk_once_all_is_durable(tmp_path: Path) -> None:
    with opened(tmp_path / "r.db") as store:
        asyncio.run(appended(store, Began(), snapshot(8)))
        assert store.unsynced_bytes == 0
