"""The cluster file: what is written is read back, and every mistake is one clear sentence."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pbft.cluster import Cluster, replica_name
from pbft.cluster_file import UNITS, defaults, parse, render
from pbft.core.config import Configuration
from pbft.core.errors import ConfigurationError
from pbft.core.ids import MILLISECOND
from tests.local_cluster import make_cluster


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    cluster, identities = Cluster.create(4, 2, 7400)
    cluster.save(tmp_path / "c", identities)
    return tmp_path / "c"


def edit(directory: Path, change: Callable[[str], str]) -> None:
    path = directory / "cluster.toml"
    before = path.read_text()
    path.write_text(change(before))
    assert path.read_text() != before


def test_what_was_made_is_loaded_again(saved: Path) -> None:
    cluster = Cluster.load(saved)
    assert [each.name for each in cluster.replicas] == [f"replica-{i}" for i in range(4)]
    assert [(each.port, each.client_port) for each in cluster.replicas] == [
        (7400 + 2 * i, 7401 + 2 * i) for i in range(4)
    ]
    assert list(cluster.clients) == ["client-0", "client-1"]
    assert cluster.config.n == 4
    for name in cluster.keys:
        identity = cluster.identity(saved, name)
        assert identity.signing.public == cluster.keys[name].signing
        assert cluster.identity(saved, name).link.public == cluster.keys[name].link


def test_private_keys_are_private(saved: Path) -> None:
    assert (saved / "keys").stat().st_mode & 0o777 == 0o700
    assert len(list((saved / "keys").iterdir())) == 6
    for path in (saved / "keys").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    assert "PRIVATE" not in (saved / "cluster.toml").read_text()


def test_every_parameter_can_be_set_in_its_unit_and_shows_its_default() -> None:
    named = {key.removesuffix("_ms") + "_ns" if key.endswith("_ms") else key for key in UNITS}
    assert named == {field.name for field in dataclasses.fields(Configuration)} - {
        "cluster_id",
        "n",
    }
    cluster, _ = Cluster.create(5, 1, protocol={"request_timeout_ms": 700, "window": 512})
    assert cluster.config.request_timeout_ns == 700 * MILLISECOND
    assert cluster.config.window == 512
    text = render(cluster.file)
    assert "request_timeout_ms = 700\n" in text
    assert f"# pipeline = {defaults()['pipeline']}\n" in text
    assert parse(text) == cluster.file


def test_two_clusters_differ_where_links_compare_them(tmp_path: Path) -> None:
    one, _ = make_cluster(tmp_path / "one")
    other, _ = make_cluster(tmp_path / "other")
    assert one.digest != other.digest
    assert one.digest == Cluster.load(tmp_path / "one").digest
    edit(tmp_path / "one", lambda text: text.replace("# window = 256", "window = 512"))
    assert one.digest != Cluster.load(tmp_path / "one").digest


def test_nothing_is_overwritten(saved: Path) -> None:
    cluster, identities = Cluster.create(4)
    with pytest.raises(ConfigurationError, match="exists already"):
        cluster.save(saved, identities)
    (saved / "cluster.toml").unlink()
    with pytest.raises(ConfigurationError, match="keys exists already"):
        cluster.save(saved, identities)
    with pytest.raises(ConfigurationError, match="cannot write"):
        cluster.save(saved / "keys" / "client-0.pem" / "c", identities)


@pytest.mark.scenario("CF1")
@pytest.mark.parametrize("n", [0, 1, 3, 101])
def test_a_cluster_of_the_wrong_size_is_refused(n: int) -> None:
    with pytest.raises(ConfigurationError, match="4 to 100 replicas"):
        Cluster.create(n)


def test_ports_beyond_the_last_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="choose another base port"):
        Cluster.create(4, base_port=65_530)
    with pytest.raises(ConfigurationError, match="need 8 ports"):
        Cluster.create(4, ports=[1, 2, 3])


def _key(text: str, name: str, number: int) -> str:
    return str(re.findall(rf'{name} = "(\w+)"', text)[number])


MISTAKES: dict[str, tuple[Callable[[str], str], str]] = {
    "cut": (lambda text: text[: len(text) // 2 - 3], "not valid TOML|not a cluster file"),
    "broken": (lambda text: text.replace("[[replica]]", "[[replica", 1), "not valid TOML"),
    "empty": (lambda text: "", "missing required field `format`"),
    "unknown key": (lambda text: "colour = 1\n" + text, "unknown field `colour`"),
    "unknown parameter": (
        lambda text: text.replace("[protocol]", "[protocol]\nspeed = 1"),
        r"unknown key 'speed' in \[protocol\]",
    ),
    "parameter of a wrong type": (
        lambda text: text.replace("[protocol]", '[protocol]\nwindow = "big"'),
        "got `str`",
    ),
    "parameters that contradict": (
        lambda text: text.replace("[protocol]", "[protocol]\nwindow = 10"),
        "window must be >= 2 checkpoint_interval",
    ),
    "future format": (lambda text: text.replace("format = 1", "format = 2"), "format 2"),
    "port": (lambda text: text.replace("port = 7400", "port = 70000", 1), "65535"),
    "address twice": (
        lambda text: text.replace("client_port = 7401", "client_port = 7400"),
        "address 127.0.0.1:7400 is there twice",
    ),
    "replica id twice": (lambda text: text.replace("id = 3", "id = 2"), "replica id 2 is there"),
    "replica id beyond": (lambda text: text.replace("id = 3", "id = 7"), "0 to 3 without gaps"),
    "client id twice": (
        lambda text: text.replace('"client-1"', '"client-0"'),
        "client id client-0 is there twice",
    ),
    "client called replica": (
        lambda text: text.replace('"client-1"', '"replica-9"'),
        "such names are for replicas",
    ),
    "signing key twice": (
        lambda text: text.replace(_key(text, "signing_key", 1), _key(text, "signing_key", 0)),
        "signing_key .* twice",
    ),
    "link key twice": (
        lambda text: text.replace(_key(text, "link_key", 5), _key(text, "link_key", 0)),
        "link_key .* twice",
    ),
    "key cut": (
        lambda text: text.replace(_key(text, "link_key", 0), _key(text, "link_key", 0)[:-2]),
        "link_key",
    ),
    "no point": (
        lambda text: text.replace(_key(text, "signing_key", 0), "00" * 32),
        "not an Ed25519 public key",
    ),
    "three replicas": (
        lambda text: text[: text.index("[[replica]]\nid = 3")],
        "takes 4 to 100 replicas",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_mistake_is_one_clear_sentence(saved: Path, mistake: str) -> None:
    change, sentence = MISTAKES[mistake]
    edit(saved, change)
    with pytest.raises(ConfigurationError, match=sentence) as refused:
        Cluster.load(saved)
    assert str(refused.value).startswith(str(saved / "cluster.toml"))
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_one_clear_sentence(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no .*name the directory .*pbft init"):
        Cluster.load(tmp_path / "nowhere")
    with pytest.raises(ConfigurationError, match=r"cluster.toml is a file: name the directory"):
        Cluster.load(saved / "cluster.toml")
    (saved / "cluster.toml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        Cluster.load(saved)
    (saved / "cluster.toml").unlink()
    (saved / "cluster.toml").mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Cluster.load(saved)


def test_private_keys_that_do_not_fit_are_refused(saved: Path, tmp_path: Path) -> None:
    cluster = Cluster.load(saved)
    path = saved / "keys" / "replica-0.pem"
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        cluster.identity(saved, "replica-0")
    path.chmod(0o600)
    path.write_bytes((saved / "keys" / "replica-1.pem").read_bytes())
    with pytest.raises(ConfigurationError, match=r"does not hold the keys .* replica-0"):
        cluster.identity(saved, "replica-0")
    path.unlink()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        cluster.identity(saved, "replica-0")
    with pytest.raises(ConfigurationError, match="no 'client-9'"):
        cluster.identity(saved, "client-9")
    with pytest.raises(ConfigurationError, match="no replica 4: this cluster has 0 to 3"):
        cluster.member(4)


def test_replicas_are_in_order_whatever_the_file_says(saved: Path) -> None:
    def swap(text: str) -> str:
        return (
            text.replace("id = 0\n", "id = X\n").replace("id = 3\n", "id = 0\n").replace("X", "3")
        )

    before = Cluster.load(saved)
    edit(saved, swap)
    after = Cluster.load(saved)
    assert [each.id for each in after.replicas] == [0, 1, 2, 3]
    assert after.member(3).keys == before.member(0).keys
    assert after.member(3).name == replica_name(3)
