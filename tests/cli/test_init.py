"""`pbft init` writes a cluster that loads, keeps keys private, and never overwrites."""

import re
import stat
import sys
from pathlib import Path

import pytest

from pbft import command
from pbft.cli.main import main
from pbft.cluster import Cluster


def test_what_it_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = tmp_path / "c"
    arguments = ["--replicas", "7", "--clients", "3", "--base-port", "9100"]
    assert main(["init", str(directory), *arguments]) == 0
    cluster = Cluster.load(directory)
    assert cluster.config.n == 7
    assert [member.port for member in cluster.replicas] == list(range(9100, 9114, 2))
    assert list(cluster.clients) == ["client-0", "client-1", "client-2"]
    keys = directory / "keys"
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    assert {path.name for path in keys.iterdir()} == {
        *(f"replica-{i}.pem" for i in range(7)),
        *(f"client-{i}.pem" for i in range(3)),
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys.iterdir()} == {0o600}
    assert f"pbft up {directory}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("service", "said"),
    [("tests.typed.bank:Bank", True), ("pbft.services.kv:KeyValueService", False)],
)
def test_who_may_switch_versions_is_said_while_the_file_is_easy_to_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], service: str, said: bool
) -> None:
    assert main(["init", str(tmp_path / "c"), "--service", service]) == 0
    text = f'may = ["*", "pbft.upgrade"] in {tmp_path}/c/cluster.toml'
    assert (text in capsys.readouterr().out) == said


@pytest.mark.parametrize(("n", "window"), [(10, 256), (25, 235), (100, 14)])
def test_the_window_is_one_that_so_many_replicas_can_have(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], n: int, window: int
) -> None:
    directory = tmp_path / "c"
    assert main(["init", str(directory), "--replicas", str(n)]) == 0
    config = Cluster.load(directory).config
    assert (config.window, config.checkpoint_interval) == (window, window // 2)
    assert (f"window = {window}, less than usual" in capsys.readouterr().out) == (window < 256)


def test_a_window_that_does_not_fit_is_refused_with_what_to_lower(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "c"
    assert main(["init", str(directory), "--replicas", "25"]) == 0
    file = directory / "cluster.toml"
    file.write_text(file.read_text("utf-8").replace("\nwindow = 235", "\nwindow = 236"), "utf-8")
    assert main(["replica", str(directory), "0"]) == 2
    said = capsys.readouterr().err
    assert "n = 25 with window = 236" in said
    assert "lower window to 235 or less" in said


def test_private_keys_are_not_in_the_public_file(tmp_path: Path) -> None:
    assert main(["init", str(tmp_path / "c")]) == 0
    assert "PRIVATE" not in (tmp_path / "c" / "cluster.toml").read_text()


def test_it_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = tmp_path / "c"
    assert main(["init", str(directory)]) == 0
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    assert main(["init", str(directory)]) == 2
    assert "exists" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before


def test_it_does_not_touch_keys_without_a_cluster_file(tmp_path: Path) -> None:
    directory = tmp_path / "c"
    assert main(["init", str(directory)]) == 0
    (directory / "cluster.toml").unlink()
    assert main(["init", str(directory)]) == 2
    assert not (directory / "cluster.toml").exists()


@pytest.mark.parametrize(
    ("service", "said"),
    [
        ("nowhere:Counter", "nowhere:Counter cannot be made: ModuleNotFoundError: No module named"),
        ("pbft.services.kv:Counter", "Counter cannot be made: AttributeError: module"),
        ("tests.cli.test_init:Leaving", "cannot be made: SystemExit: 3"),
        (
            "tests.cli.test_init:Raising",
            r"made: ValueError: no \(test_init.py, line \d+\)$",
        ),
        ("pbft.services.kv:Counter", r"has no attribute 'Counter'; start in the directory"),
        ("tests.cli.test_init:Untyped", "Untyped cannot be hosted: add: annotate amount"),
        ("pbft.services.counters:BlockingCounters", "cannot be made: TypeError"),
        ("counter", "the service counter is not module:Class"),
    ],
)
def test_a_service_that_cannot_be_hosted_is_refused_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], service: str, said: str
) -> None:
    assert main(["init", str(tmp_path / "c"), "--service", service]) == 2
    error = capsys.readouterr().err
    assert re.search(said, error), error
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_one_that_can_be_is_not(tmp_path: Path) -> None:
    arguments = ["--service", "pbft.services.counters:Counters"]
    assert main(["init", str(tmp_path / "c"), *arguments]) == 0
    assert Cluster.load(tmp_path / "c").file.service.runs == arguments[1]


class Leaving:
    def __init__(self) -> None:
        sys.exit(3)


class Raising:
    def __init__(self) -> None:
        raise ValueError("no")


class Untyped:
    def __init__(self) -> None:
        self.value = 0

    @command
    def add(self, amount) -> None:  # type: ignore[no-untyped-def]
        self.value += amount
