"""What a diverged replica keeps of its journal: what came before, once, and at nobody's cost."""

import asyncio
from pathlib import Path

import pytest

from pbft import sqlite_copy
from pbft.core.effects import Diverged
from pbft.core.records import AnyRecord, Began
from pbft.sqlite_copy import copy_path
from pbft.sqlite_store import SqliteStore
from tests.test_sqlite_store import CLUSTER, opened, snapshot

FIRST = Diverged(8, bytes(32), bytes([7]) * 32)


def diverged(path: Path, before: AnyRecord, after: AnyRecord) -> None:
    """One record, a divergence, another record; all before the disk's thread has looked."""

    async def main(store: SqliteStore) -> None:
        appended = [store.append([before])]
        store.set_aside(FIRST)
        appended.append(store.append([after]))
        await asyncio.gather(*appended)

    with opened(path) as store:
        asyncio.run(main(store))
        assert before in store.load()
        assert after in store.load()


def test_the_copy_has_what_came_before_it_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "replica-2.db"
    before = snapshot(8)
    diverged(path, before, snapshot(16))
    with opened(copy_path(path)) as copy:
        assert copy.load() == [before]


def test_the_first_copy_stays(tmp_path: Path) -> None:
    path = tmp_path / "replica-2.db"
    before = snapshot(8)
    diverged(path, before, snapshot(16))
    diverged(path, snapshot(24), Began())
    with opened(copy_path(path)) as copy:
        assert copy.load() == [before]


def test_a_journal_that_is_too_large_is_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite_copy, "MAX_COPY_BYTES", 1000)
    diverged(tmp_path / "replica-2.db", snapshot(8), snapshot(16))
    assert not copy_path(tmp_path / "replica-2.db").exists()
    assert "too many to keep a copy of" in caplog.text


def test_a_copy_that_cannot_be_made_stops_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "replica-2.db"
    copy_path(path).with_suffix(".new").mkdir()
    diverged(path, snapshot(8), snapshot(16))
    assert not copy_path(path).exists()
    assert "no copy of the diverged state could be kept" in caplog.text


def test_who_opens_the_store_again_finds_it_whole(tmp_path: Path) -> None:
    """Nothing of the copy gets into the file itself."""
    path = tmp_path / "replica-2.db"
    diverged(path, snapshot(8), Began())
    with opened(path, CLUSTER) as store:
        assert len(store.load()) == 2
