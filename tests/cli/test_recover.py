"""`pbft recover`: the old records are set aside whole, the new ones say that they are none."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from pbft.cli.main import main
from pbft.cluster import Cluster
from pbft.core.records import Recovering
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
