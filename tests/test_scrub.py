"""A running store reads its file again: what rots under it is noticed, and made good where it can
be. Bits flip in the files themselves, while the store has them open."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pbft import scrub
from pbft.core.errors import StorageError
from pbft.core.records import (
    Acknowledged,
    AnyRecord,
    Began,
    Leaf,
    Settled,
    Snapshotted,
    Stabilised,
    encode_record,
)
from pbft.journal import Rotten
from pbft.row_checksums import checksum, halves, wrong_bits
from pbft.sqlite_store import SqliteStore

STABLE = Stabilised(8, (b"proof",))
LEAVES = tuple(Leaf(bytes([number]) * 32, b"leaf %03d" % number * 20) for number in range(200))


@contextmanager
def opened(path: Path, *records: AnyRecord) -> Iterator[SqliteStore]:
    """A store that holds these records, all of them read again."""
    store = SqliteStore(path, bytes(16), 2)
    try:
        asyncio.run(looked(store, [*records, STABLE]))
        assert store.rotten() == Rotten()
        yield store
    finally:
        store.close()


async def looked(store: SqliteStore, records: list[AnyRecord]) -> None:
    """Until what they have it look at is read: between two writes it looks at one slice."""
    await store.append(records)
    owed = True
    while owed:
        owed = store._scrub.owed
        await store.append([Acknowledged(1)])


def checkpoint(store: SqliteStore, *records: AnyRecord) -> Rotten:
    """What it finds at the next stable checkpoint."""
    asyncio.run(looked(store, [*records, STABLE]))
    return store.rotten()


def flip(path: Path, old: bytes, new: bytes) -> None:
    """In the file and in its log, wherever it stands."""
    found = 0
    for each in (path, path.with_name(path.name + "-wal")):
        with each.open("r+b") as file:
            content = file.read()
            found += content.count(old)
            file.seek(0)
            file.write(content.replace(old, new))
    assert found


def test_a_leaf_that_rots_under_a_running_replica_is_told_of_once_and_can_be_written_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "r.db"
    with opened(path, Began(), *LEAVES) as store:
        flip(path, b"leaf 077", b"leaf 177")
        assert checkpoint(store) == Rotten(leaves=(LEAVES[77].digest,))
        assert "a part of the state has rotted and is written anew" in caplog.text
        assert checkpoint(store) == Rotten()
        assert checkpoint(store, LEAVES[77]) == Rotten()
        flip(path, b"leaf 077", b"leaf 277")
        assert checkpoint(store).leaves == (LEAVES[77].digest,)
        assert checkpoint(store, LEAVES[77]) == Rotten()
    with opened(path) as store:
        assert LEAVES[77] in store.load()


def test_bytes_that_rot_into_a_text_are_told_of_like_others(tmp_path: Path) -> None:
    """One bit of the type; that it is no text either must not end the look at the rest."""
    path = tmp_path / "r.db"
    with opened(path, Began(), *LEAVES) as store:
        text = "UPDATE journal SET value = CAST(value AS TEXT) WHERE key >= ? AND key < ?"
        store._db.execute(text, (b"9\xbb", b"9\xbd"))
        flip(path, b"leaf 190", b"leaf 000")
        lost = tuple(LEAVES[each].digest for each in (0xBB, 0xBC, 190))
        assert checkpoint(store) == Rotten(leaves=lost)
        assert checkpoint(store, *(LEAVES[each] for each in (0xBB, 0xBC, 190))) == Rotten()
    with opened(path) as store:
        assert set(LEAVES) <= set(store.load())


@pytest.mark.parametrize("other", ["CAST(key AS TEXT)", "7"])
def test_a_key_that_rotted_into_another_type_is_not_read(tmp_path: Path, other: str) -> None:
    """It would lie beside what is written under that key later."""
    path = tmp_path / "r.db"
    with opened(path, Began()) as store:
        store._db.execute(f"UPDATE journal SET key = {other} WHERE key = x'30'")
    with pytest.raises(StorageError, match="pbft recover"), opened(path) as store:
        store.load()


def test_a_place_that_rots_is_told_of(tmp_path: Path) -> None:
    path, place = tmp_path / "r.db", Settled(b"\x01\x02", b"where it lies".ljust(32))
    with opened(path, Began(), place) as store:
        flip(path, b"where it lies", b"where it Lies")
        assert checkpoint(store) == Rotten(places=(b"\x01\x02",))
        checkpoint(store, place)
    with opened(path) as store:
        assert place in store.load()


def test_a_vote_that_rots_is_told_of_and_the_replica_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It remembers what it has voted; the next start does not, and refuses."""
    path = tmp_path / "r.db"
    with opened(path, Began(77_777)) as store:
        flip(path, (77_777).to_bytes(4, "big"), (77_776).to_bytes(4, "big"))
        for _ in range(2):
            assert checkpoint(store) == Rotten()
        assert caplog.text.count("a vote or certificate has rotted") == 1
    with pytest.raises(StorageError, match="pbft recover"), opened(path) as store:
        store.load()


def test_a_checksum_that_rots_is_corrected_from_its_row(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "r.db"
    with opened(path, Began(), *LEAVES) as store:
        ((column,),) = store._db.execute("SELECT low FROM journal WHERE key = x'30'")
        whole = column.to_bytes(8, "big", signed=True)
        flip(path, whole, whole[:-1] + bytes([whole[-1] ^ 4]))
        assert checkpoint(store) == Rotten()
        assert "a checksum has rotted" in caplog.text
        caplog.clear()
        assert checkpoint(store) == Rotten()
        assert not caplog.text
        flip(path, whole, whole[:-1] + bytes([whole[-1] ^ 4]))
    with opened(path) as store:
        assert Began() in store.load()


def test_what_is_looked_at_for_one_checkpoint_is_bounded_and_goes_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "r.db"
    with opened(path, Began(), *LEAVES) as store:
        monkeypatch.setattr(scrub, "SCRUBBED_ROWS", 2 * scrub.SLICE_ROWS)
        flip(path, b"leaf 190", b"leaf 000")
        assert checkpoint(store) == Rotten()
        assert checkpoint(store) == Rotten(leaves=(LEAVES[190].digest,))


def test_large_rows_count_by_their_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = [Leaf(bytes([number]) * 32, os.urandom(100_000)) for number in range(10)]
    path = tmp_path / "r.db"
    with opened(path, Began(), *large) as store:
        monkeypatch.setattr(scrub, "SCRUBBED_BYTES", 500_000)
        flip(path, large[9].data[:50], bytes(50))
        assert checkpoint(store) == Rotten()
        assert checkpoint(store) == Rotten(leaves=(large[9].digest,))


def test_a_file_that_cannot_be_read_any_more_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "r.db"
    with opened(path, Began(), *LEAVES) as store:
        for each in (path, path.with_name("r.db-wal")):
            os.truncate(each, 0)
        store._scrub.owe()
        assert store._scrub.look() == []
        assert not store._scrub.owed
        assert "cannot be read any more" in caplog.text


def test_what_cannot_be_corrected_leaves_no_transaction_open(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is written next would be part of it: said to be durable, and never synced (T34)."""
    path = tmp_path / "r.db"
    with opened(path, Began()) as store:
        ((column,),) = store._db.execute("SELECT low FROM journal WHERE key = x'30'")
        whole = column.to_bytes(8, "big", signed=True)
        flip(path, whole, whole[:-1] + bytes([whole[-1] ^ 4]))
        store._db.execute(
            "CREATE TRIGGER breaks BEFORE UPDATE ON total BEGIN SELECT RAISE(FAIL, 'rotten'); END"
        )
        store._scrub.owe()
        assert store._scrub.look() == []
        assert "cannot be read any more" in caplog.text
        assert not store._db.in_transaction


def test_a_key_that_rots_into_text_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One bit of its header does that. An exception would end the disk's thread, and then nothing
    would ever be durable again, without a word."""
    path, record = tmp_path / "r.db", Snapshotted(8, bytes(32), (), ())
    with opened(path, Began(), record) as store:
        key, size = b"2" + (8).to_bytes(8, "big"), len(encode_record(record))
        header = [5, 12 + 2 * len(key), 12 + 2 * size, 6, 6]
        flip(path, bytes(header) + key, bytes([5, header[1] + 1, *header[2:]]) + key)
        store._scrub.owe()
        assert store._scrub.look() == []
        assert "a vote or certificate has rotted" in caplog.text


def test_columns_that_differ_by_a_few_bits_have_rotted_themselves() -> None:
    whole = checksum(b"key", b"value")
    assert wrong_bits(b"key", b"value", halves(whole)) == 0
    assert wrong_bits(b"key", b"value", halves(whole ^ 0b1001)) == 2
    assert wrong_bits(b"key", b"Value", halves(whole)) > 40
    assert wrong_bits(b"key", b"value", (1,)) == 128
