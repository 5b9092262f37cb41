"""`pbft recover`: the old records are set aside whole, the new ones say that they are none."""

import asyncio
import io
import json
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from pbft.cli.main import main
from pbft.cluster import Cluster
from pbft.core.errors import StorageError
from pbft.core.records import AnyRecord, Began, Recovering, Snapshotted
from pbft.lost_disk import replace_store
from pbft.serving import store_path
from pbft.sqlite_store import SqliteStore


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A cluster whose replica 2 has a database that holds nothing."""
    cluster, identities = Cluster.create(4, 1)
    cluster.save(tmp_path / "c", identities)
    store_of(tmp_path / "c").close()
    return tmp_path / "c"


def store_of(directory: Path, replica: int = 2) -> SqliteStore:
    cluster_id = Cluster.load(directory).config.cluster_id
    return SqliteStore(store_path(directory, replica), cluster_id, replica)


def test_the_old_database_is_set_aside_and_the_new_one_says_that_votes_are_forgotten(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = store_path(directory, 2)
    for number in (1, 2):
        before = path.read_bytes()
        assert main(["recover", str(directory), "2"]) == 0
        aside = path.with_name(f"replica-2.lost-{number}.db")
        assert aside.read_bytes() == before
        said = capsys.readouterr().out
        assert str(aside) in said
        assert f"pbft replica {directory} 2" in said
        with closing(store_of(directory)) as store:
            assert store.load() == [Recovering()]
    names = {each.name for each in path.parent.iterdir()}
    lost = {f"replica-2.lost-{number}.db" for number in (1, 2)}
    assert names == {"replica-2.db", "replica-2.lock", *lost}


def test_a_database_that_is_gone_is_replaced_too_and_json_says_so(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store_path(directory, 2).unlink()
    assert main(["recover", str(directory), "2", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {"replica": 2, "set_aside": None, "next": f"pbft replica {directory} 2"}
    with closing(store_of(directory)) as store:
        assert store.load() == [Recovering()]


def test_a_log_that_was_not_folded_in_goes_with_its_database(directory: Path) -> None:
    path = store_path(directory, 2)
    path.with_name(path.name + "-wal").write_bytes(b"the last writes")
    assert main(["recover", str(directory), "2"]) == 0
    assert path.with_name("replica-2.lost-1.db-wal").read_bytes() == b"the last writes"


def test_a_replica_that_runs_is_left_alone(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(store_of(directory)):
        assert main(["recover", str(directory), "2"]) == 2
    assert "running already" in capsys.readouterr().err
    assert not list((directory / "data").glob("*lost*"))


@pytest.mark.parametrize(
    ("change", "replica", "says"),
    [
        ("", "4", "there is no replica 4"),
        ('durability = "memory"', "2", "make a new cluster"),
    ],
)
def test_what_cannot_recover_is_refused(
    directory: Path, capsys: pytest.CaptureFixture[str], change: str, replica: str, says: str
) -> None:
    file = directory / "cluster.toml"
    text = file.read_text("utf-8")
    assert 'durability = "fsync"' in text
    file.write_text(text.replace('durability = "fsync"', change or 'durability = "fsync"'), "utf-8")
    assert main(["recover", str(directory), replica]) == 2
    assert says in capsys.readouterr().err


class Steps:
    """Dies at a step, as a process does that is killed."""

    def __init__(self, last: int) -> None:
        self.left = last

    def __call__(self) -> None:
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1


def in_a_child(action: Callable[[], object]) -> int:
    """How the child ended that did it, and then left without closing anything."""
    child = os.fork()
    if child == 0:
        try:
            action()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


async def append(store: SqliteStore, records: Sequence[AnyRecord]) -> None:
    await store.append(records)


VOTED: tuple[AnyRecord, ...] = (Began(), Snapshotted(8, bytes(32), (), ()))


def killed_at(directory: Path, step: int) -> bool:
    """A replica with records, some in its log alone, and a `pbft recover` killed at that step;
    false where it has fewer."""
    store_path(directory, 2).unlink()
    assert in_a_child(lambda: asyncio.run(append(store_of(directory), VOTED))) == 0
    assert store_path(directory, 2).with_name("replica-2.db-wal").stat().st_size > 0
    cluster = Cluster.load(directory)
    end = in_a_child(lambda: replace_store(cluster, directory, 2, Steps(step)))
    assert end in (0, -signal.SIGKILL)
    return end != 0


def loaded(path: Path, directory: Path) -> Sequence[AnyRecord]:
    with closing(SqliteStore(path, Cluster.load(directory).config.cluster_id, 2)) as store:
        return store.load()


@pytest.mark.parametrize("step", range(5))
def test_killed_at_any_step_it_leaves_the_old_records_or_a_refusal(
    directory: Path, step: int
) -> None:
    assert killed_at(directory, step)
    path = store_path(directory, 2)
    if step == 0:
        assert list(loaded(path, directory)) == [*VOTED]
        return
    with pytest.raises(StorageError, match="cut off") as refused:
        loaded(path, directory)
    assert str(refused.value).endswith(f"run `pbft recover {directory} 2`")


@pytest.mark.parametrize("step", range(5))
def test_killed_at_any_step_it_is_run_again_and_the_old_records_are_whole(
    directory: Path, step: int
) -> None:
    assert killed_at(directory, step)
    assert main(["recover", str(directory), "2", *(["--yes"] if step == 0 else [])]) == 0
    path = store_path(directory, 2)
    assert loaded(path, directory) == [Recovering()]
    (old,) = path.parent.glob("*lost*.db")
    assert list(loaded(old, directory)) == [*VOTED]
    assert not list(path.parent.glob("*unfinished*"))


def test_these_are_all_its_steps(directory: Path) -> None:
    assert not killed_at(directory, 5)


@pytest.fixture
def voted(directory: Path) -> Path:
    """A cluster whose replica 2 was merely stopped."""
    with closing(store_of(directory)) as store:
        asyncio.run(append(store, VOTED))
    return directory


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_database_that_is_whole_is_set_aside_for_who_insists(
    voted: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store_path(voted, 2)
    before = path.read_bytes()
    assert main(["recover", str(voted), "2"]) == 2
    said = capsys.readouterr().err
    assert "the database of replica-2 is whole" in said
    assert f"`pbft replica {voted} 2`" in said
    assert "--yes" in said
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    assert main(["recover", str(voted), "2"]) == 1
    assert "nothing was changed" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert not list(path.parent.glob("*lost*"))
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert main(["recover", str(voted), "2"]) == 0
    assert path.with_name("replica-2.lost-1.db").read_bytes() == before


def test_who_insists_is_not_asked_and_neither_is_who_has_a_damaged_one(voted: Path) -> None:
    path = store_path(voted, 2)
    before = path.read_bytes()
    assert main(["recover", str(voted), "2", "--yes"]) == 0
    old = path.with_name("replica-2.lost-1.db")
    assert old.read_bytes() == before
    path.write_bytes(before[:4096])
    assert main(["recover", str(voted), "2"]) == 0


def test_one_that_runs_is_said_to_run_before_anything_is_asked(
    voted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(store_of(voted)):
        assert main(["recover", str(voted), "2"]) == 2
    assert "running already" in capsys.readouterr().err
