"""The disk under the real SQLite loses what was not synced, and fails as it is told."""

import random
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pbft.core.records import Snapshotted
from pbft.sqlite_store import SqliteStore
from pbft.testing.sqlite_disk import FAULTS, fault_file
from tests.cli.command import ROOT
from tests.testing.store_process import CLUSTER

Child = subprocess.Popen[str]


def child(path: Path, *settings: str) -> Child:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.testing.store_process", "losing", str(path), *settings],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def acknowledged(process: Child, count: int) -> int:
    """The last number of so many that became durable, or so its store said."""
    if process.stdout is None:
        raise ValueError("the child has no pipe")
    return [int(process.stdout.readline()) for _ in range(count)][-1]


def rest(process: Child) -> tuple[str, str]:
    """What it still says, what its pipe has buffered already among it, until it ends."""
    if process.stdout is None or process.stderr is None:
        raise ValueError("the child has no pipe")
    out, told = process.stdout.read(), process.stderr.read()
    process.wait(timeout=20)
    return out, told


def held(path: Path) -> list[int]:
    """What is really there, read without our disk."""
    with closing(SqliteStore(path, CLUSTER, 0)) as store:
        return [each.sequence for each in store.load() if isinstance(each, Snapshotted)]


def killed(path: Path, count: int, *settings: str) -> int:
    """What was acknowledged before the kill."""
    with child(path, *settings) as process:
        last = acknowledged(process, count)
        process.kill()
    return last


def test_what_the_store_calls_durable_outlives_the_power_cut(tmp_path: Path) -> None:
    for count in random.Random(1).sample(range(1, 60), 3):
        path = tmp_path / f"{count}.db"
        last = killed(path, count)
        assert held(path)[: last + 1] == list(range(last + 1))


def test_what_was_not_synced_is_gone(tmp_path: Path) -> None:
    """The same kill, with syncs switched off: the disk is as bad as it says."""
    path = tmp_path / "r.db"
    assert killed(path, 40, "PRAGMA synchronous = OFF") >= 39
    assert held(path) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_disk_that_fails_stops_the_store_with_one_sentence(tmp_path: Path, fault: str) -> None:
    """What was acknowledged before stays, nothing is acknowledged after."""
    path = tmp_path / "r.db"
    with child(path) as process:
        acknowledged(process, 5)
        fault_file(path).write_text(fault)
        out, told = rest(process)
    assert process.returncode == 1
    assert told.count("\n") == 1
    assert f"{path} could not be written" in told
    fault_file(path).unlink()
    last = int(out.split()[-1]) if out.split() else 4
    assert held(path)[: last + 1] == list(range(last + 1))
    assert len(held(path)) <= last + 2
