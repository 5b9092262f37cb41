"""Every bad configuration gets one clear sentence and exit status 2."""

import re
import socket
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from pbft.cli.main import main
from pbft.cluster import Cluster
from pbft.testing.cluster import free_ports
from tests.cli.command import assert_refused, pbft_command

Edit = Callable[[str], str]
Command = Callable[..., "CompletedProcess[str]"]


@pytest.fixture
def pbft_main(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """`pbft ARGUMENTS` in this process: what it takes to start one would be most of the time."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> "CompletedProcess[str]":
        status = main(arguments)
        return CompletedProcess(arguments, status, *capsys.readouterr())

    return run


def _make(directory: Path) -> Path:
    cluster, identities = Cluster.create(clients=2, ports=free_ports(8))
    cluster.save(directory / "c", identities)
    return directory / "c"


def _without(key: str) -> Edit:
    return lambda text: re.sub(rf"(?m)^{key} = .*\n", "", text, count=1)


def _set(key: str, value: str, count: int = 1) -> Edit:
    return lambda text: re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", text, count=count)


def _copy_last(key: str) -> Edit:
    """The last entry of `key` takes the value of the first."""

    def edit(text: str) -> str:
        found = list(re.finditer(rf"(?m)^{key} = (.*)$", text))
        first, last = found[0], found[-1]
        return text[: last.start()] + first.group(0) + text[last.end() :]

    return edit


def _three_replicas(text: str) -> str:
    before, _, after = text.rpartition("[[replica]]")
    return before + after[after.index("[[client]]") :]


EDITS: dict[str, tuple[Edit, str]] = {
    "no cluster id": (_without("cluster_id"), "cluster_id"),
    "no format": (_without("format"), "format"),
    "another format": (_set("format", "99"), "99"),
    "a short cluster id": (_set("cluster_id", '"abcd"'), "cluster_id"),
    "a replica without a port": (_without("port"), "port"),
    "a replica without a host": (_without("host"), "host"),
    "a replica without a signing key": (_without("signing_key"), "signing_key"),
    "a replica without a link key": (_without("link_key"), "link_key"),
    "a port that is none": (_set("port", "70000"), "65535"),
    "a port of another type": (_set("port", '"7400"'), "port"),
    "a host without an address": (_set("host", '"no such host"', 0), "no such host"),
    "duplicate replica ids": (lambda text: text.replace("id = 3\n", "id = 2\n"), "id 2"),
    "a gap in the replica ids": (lambda text: text.replace("id = 3\n", "id = 7\n"), "gaps"),
    "duplicate client ids": (
        lambda text: text.replace('"client-1"', '"client-0"'),
        "client-0",
    ),
    "duplicate addresses": (_copy_last("port"), "address"),
    "duplicate signing keys": (_copy_last("signing_key"), "signing_key"),
    "duplicate link keys": (_copy_last("link_key"), "link_key"),
    "a key that is no point": (_set("signing_key", '"' + "f" * 64 + '"'), "signing_key"),
    "a key cut short": (_set("signing_key", '"abcd"'), "signing_key"),
    "three replicas": (_three_replicas, "n = 3"),
    "broken TOML": (lambda text: text.replace("[protocol]", "[protocol"), "TOML"),
    "TOML cut in the middle": (lambda text: text[: len(text) // 2], "cluster.toml"),
    "an empty file": (lambda text: "", "cluster.toml"),
    "an unknown key": (
        lambda text: text.replace("[protocol]", "[protocol]\nwindows = 3"),
        "windows",
    ),
    "a window below two intervals": (
        lambda text: text.replace("[protocol]", "[protocol]\nwindow = 9"),
        "window",
    ),
    "a timeout of zero": (
        lambda text: text.replace("[protocol]", "[protocol]\nrequest_timeout_ms = 0"),
        "request_timeout",
    ),
}


@pytest.mark.parametrize("case", EDITS)
def test_a_broken_cluster_file_is_refused(case: str, tmp_path: Path, pbft_main: Command) -> None:
    directory = _make(tmp_path)
    edit, word = EDITS[case]
    path = directory / "cluster.toml"
    before = path.read_text()
    path.write_text(edit(before))
    assert path.read_text() != before
    assert_refused(pbft_main("replica", "c", "0"), word)


@pytest.mark.parametrize(
    "arguments",
    [("up", "c"), ("status", "c"), ("kv", "c", "get", "a")],
    ids=lambda arguments: arguments[0],
)
def test_every_command_refuses_it_alike(arguments: tuple[str, ...], tmp_path: Path) -> None:
    directory = _make(tmp_path)
    (directory / "cluster.toml").write_text("nonsense")
    assert_refused(pbft_command(*arguments, cwd=tmp_path), "cluster.toml")


def test_no_cluster_at_all(tmp_path: Path, pbft_main: Command) -> None:
    assert_refused(pbft_main("status", "nowhere"), "nowhere", "pbft init")


def test_a_file_that_is_not_text(tmp_path: Path, pbft_main: Command) -> None:
    directory = _make(tmp_path)
    (directory / "cluster.toml").write_bytes(b"\xff\xfe\x00")
    assert_refused(pbft_main("replica", "c", "0"), "cluster.toml")


def test_a_replica_that_is_not_there(tmp_path: Path, pbft_main: Command) -> None:
    _make(tmp_path)
    assert_refused(pbft_main("replica", "c", "4"), "no replica 4")


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_private_key_that_others_can_read(mode: int, tmp_path: Path, pbft_main: Command) -> None:
    directory = _make(tmp_path)
    (directory / "keys" / "replica-0.pem").chmod(mode)
    assert_refused(pbft_main("replica", "c", "0"), "replica-0.pem")


def test_a_private_key_that_is_gone(tmp_path: Path, pbft_main: Command) -> None:
    directory = _make(tmp_path)
    (directory / "keys" / "replica-0.pem").unlink()
    assert_refused(pbft_main("replica", "c", "0"), "replica-0.pem")
    assert not (directory / "keys" / "replica-0.pem").exists()


def test_a_private_key_cut_in_the_middle(tmp_path: Path, pbft_main: Command) -> None:
    directory = _make(tmp_path)
    path = directory / "keys" / "client-0.pem"
    path.write_bytes(path.read_bytes()[:70])
    assert_refused(pbft_main("status", "c"), "client-0.pem")


def test_the_keys_of_another_cluster(tmp_path: Path, pbft_main: Command) -> None:
    directory = _make(tmp_path)
    other, identities = Cluster.create(ports=free_ports(8))
    other.save(tmp_path / "other", identities)
    foreign = (tmp_path / "other" / "keys" / "replica-0.pem").read_bytes()
    (directory / "keys" / "replica-0.pem").write_bytes(foreign)
    assert_refused(pbft_main("replica", "c", "0"), "another cluster")


def test_a_client_that_the_cluster_does_not_know(tmp_path: Path, pbft_main: Command) -> None:
    _make(tmp_path)
    done = pbft_main("kv", "c", "--identity", "mallory", "get", "a")
    assert_refused(done, "mallory", "client-0")


@pytest.mark.parametrize("key", ["port", "client_port"])
def test_a_port_in_use(key: str, tmp_path: Path, pbft_main: Command) -> None:
    directory = _make(tmp_path)
    member = Cluster.load(directory).member(0)
    port = member.port if key == "port" else member.client_port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((member.host, port))
        assert_refused(pbft_main("replica", "c", "0"), str(port), "in use")
