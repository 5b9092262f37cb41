"""No timestamp is used in two lives of a client, whatever its clock does."""

import os
from itertools import pairwise
from pathlib import Path

import pytest

from pbft.core.errors import ConfigurationError
from pbft.timestamps import BLOCK, TimestampMark

NOON = 1_700_000_000_000_000


def test_the_clock_gives_the_first_timestamp_while_it_goes_forward(tmp_path: Path) -> None:
    path = tmp_path / "client-0.timestamp"
    assert TimestampMark(path, NOON).first == NOON
    assert TimestampMark(path, NOON + 10 * BLOCK).first == NOON + 10 * BLOCK


def test_a_clock_that_went_back_begins_above_all_that_was_reserved(tmp_path: Path) -> None:
    path = tmp_path / "client-0.timestamp"
    mark = TimestampMark(path, NOON)
    used = NOON
    for _ in range(5):
        used += BLOCK // 3
        mark.keep_ahead(used)
        assert TimestampMark(_copied(path, tmp_path), 0).first > used


def _copied(path: Path, folder: Path) -> Path:
    """What a crash at this moment leaves, read by another life."""
    copy = folder / "copy"
    copy.write_bytes(path.read_bytes())
    return copy


def test_every_life_has_a_block_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "client-0.timestamp"
    lives = [TimestampMark(path, NOON).first for _ in range(4)]
    assert all(later - earlier >= BLOCK for earlier, later in pairwise(lives))


def test_a_block_is_taken_rarely_and_never_too_late(tmp_path: Path) -> None:
    path = tmp_path / "client-0.timestamp"
    mark = TimestampMark(path, NOON)
    before = path.read_bytes()
    mark.keep_ahead(NOON + BLOCK // 2)
    assert path.read_bytes() == before
    mark.keep_ahead(NOON + BLOCK // 2 + 1)
    assert int(path.read_bytes()) == NOON + BLOCK // 2 + 1 + BLOCK


def test_the_mark_is_synced_before_it_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, replace = os.fsync, Path.replace

    def noted_sync(descriptor: int) -> None:
        done.append("sync")
        sync(descriptor)

    def noted_replace(path: Path, target: Path) -> Path:
        done.append("replace")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    TimestampMark(tmp_path / "m", NOON)
    assert done == ["sync", "replace", "sync"]


def test_a_crash_before_the_new_mark_is_in_place_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "m"
    TimestampMark(path, NOON)
    (tmp_path / "m.new").write_bytes(b"17")
    assert TimestampMark(path, 0).first == NOON + BLOCK


@pytest.mark.parametrize("content", [b"", b"-5\n", b"soon", b"1" * 31, b"\xff\xfe"])
def test_a_damaged_mark_is_refused_and_not_overwritten(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="remove the file"):
        TimestampMark(path, NOON)
    assert path.read_bytes() == content


def test_where_it_cannot_be_written_the_sentence_says_what_it_is_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="never uses one again"):
        TimestampMark(tmp_path / "no such folder" / "m", NOON)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        TimestampMark(tmp_path / "folder", NOON)
