"""`pbft admit`: what it writes, and what it says where it would write nothing of use."""

import json
import stat
import time
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from pbft import tickets
from pbft.acquired import acquire
from pbft.cli.main import main
from pbft.cluster import Cluster
from pbft.core.errors import ConfigurationError
from pbft.core.ids import SECOND
from pbft.crypto.keyfiles import Identity, load_identity, save_identity

DAY_NS = 24 * 3600 * SECOND


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Two clients; each may admit three others."""
    path, service = tmp_path / "c", "tests.typed.bank:Bank"
    assert main(["init", str(path), "--admits", "3", "--service", service]) == 0
    return path


def set_service(directory: Path, runs: str) -> None:
    path = directory / "cluster.toml"
    path.write_text(path.read_text().replace("tests.typed.bank:Bank", runs))


def admit(directory: Path, *arguments: str) -> int:
    return main(["admit", str(directory), *arguments])


def set_may(directory: Path, may: str) -> None:
    """Of client-0."""
    path = directory / "cluster.toml"
    head, _, tail = path.read_text().partition('may = ["*"]')
    path.write_text(f"{head}may = {may}{tail}")


def test_what_it_writes(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (directory / "cluster.toml").read_bytes()
    capsys.readouterr()
    assert admit(directory, "client-0", "printer") == 0
    said = capsys.readouterr().out
    assert "client-0/0, which may call all that client-0 may" in said
    assert 'identity="printer"' in said
    path = directory / "keys" / "printer.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (directory / "cluster.toml").read_bytes() == before
    arguments = ("--may", "balance,deposit", "--days", "2", "--json")
    assert admit(directory, "client-0", "reader", *arguments) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["client"], said["may"]) == ("client-0/1", ["balance", "deposit"])
    assert abs(said["until_ns"] - time.time_ns() - 2 * DAY_NS) < 600 * SECOND
    cluster = Cluster.load(directory)
    for name, client in (("printer", "client-0/0"), (directory / "keys/reader.pem", "client-0/1")):
        acquired = acquire(cluster, directory, name, None)
        assert acquired.name == client
        with pytest.raises(ConfigurationError, match=f"{client} is in use"):
            acquire(cluster, directory, name, None)
        acquired.lock.close()


def test_slots_are_given_once_unless_one_is_named(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert admit(directory, "client-0", "b", "--slot", "1") == 0
    for name, slot in (("a", 0), ("c", 2)):
        assert admit(directory, "client-0", name) == 0
        assert f"client-0/{slot}" in capsys.readouterr().out
    assert admit(directory, "client-0", "d") == 2
    assert "all 3 slots are given" in capsys.readouterr().err
    (directory / "keys" / "b.pem").rename(directory / "b.pem")  # given away: its slot is not free
    assert admit(directory, "client-0", "d") == 2
    assert admit(directory, "client-0", "d", "--slot", "1") == 0
    assert admit(directory, "client-1", "e") == 0
    assert "client-1/0" in capsys.readouterr().out
    (directory / "keys" / "client-1.guests").write_text("nonsense\n")
    assert admit(directory, "client-1", "f") == 2
    assert "client-1.guests cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("client-9", "new"), "has no 'client-9'"),
        (("replica-0", "new"), "has no client 'replica-0' to admit others"),
        (("client-0", "new", "--slot", "3"), "may admit 3 others, in slots 0 to 2, and 3"),
        (("client-0", "new", "--slot", "64"), "not between 0 and 63"),
        (("client-0", "client-1"), "not a new name"),
        (("client-0", "replica-0"), "not a new name"),
        (("client-0", "../new"), "not a new name"),
        (("client-0", "new", "--may", "deposit,balance"), "may not call balance itself"),
        (("client-0", "new", "--may", ""), "1 to 64 letters"),
        (("client-0", "new", "--may", "x" * 65), "1 to 64 letters"),
        (("client-0", "new", "--days", "0"), "not between"),
    ],
)
def test_what_would_be_of_no_use_is_refused_in_a_sentence(
    directory: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    if "x" not in arguments[-1][:1] and arguments[-1]:
        set_may(directory, '["deposit", "total"]')
    capsys.readouterr()
    assert admit(directory, *arguments) == 2
    assert words in capsys.readouterr().err
    assert not list((directory / "keys").glob("*new*"))


@pytest.mark.parametrize(
    ("may", "service", "words"),
    [
        ("depost", "", "--may names depost, which the service does not have: did you mean deposit"),
        ("balance,pbft.upgarde", "", "did you mean pbft.upgrade"),
        ("get", "pbft.services.kv:KeyValueService", "have no names: leave --may out"),
    ],
)
def test_a_name_that_the_service_does_not_have_is_refused(
    directory: Path, capsys: pytest.CaptureFixture[str], may: str, service: str, words: str
) -> None:
    set_service(directory, service or "tests.typed.bank:Bank")
    assert admit(directory, "client-0", "new", "--may", may) == 2
    assert words in capsys.readouterr().err
    assert not list((directory / "keys").glob("new*"))
    assert not (directory / "keys" / "client-0.guests").exists()


def test_where_the_service_is_not_here_its_names_are_not_judged_and_that_is_said(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    set_service(directory, "elsewhere:Service")
    assert admit(directory, "client-0", "new") == 0
    assert not capsys.readouterr().err
    assert admit(directory, "client-0", "newer", "--may", "depost") == 0
    said = capsys.readouterr()
    assert "which may call depost" in said.out
    assert "nobody has looked whether the service has depost: " in said.err
    assert "elsewhere:Service cannot be made" in said.err


def test_a_client_that_may_admit_nobody_learns_how_it_could(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", str(tmp_path / "c")]) == 0
    assert admit(tmp_path / "c", "client-0", "new") == 2
    assert "set `admits = 4`" in capsys.readouterr().err
    assert not (tmp_path / "c" / "keys" / "client-0.guests").exists()


def test_a_ticket_fits_into_the_datagram_that_opens_a_link(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    set_service(directory, "elsewhere:Service")
    many = ",".join(f"a-command-with-a-long-name-{number}" for number in range(32))
    assert admit(directory, "client-0", "new", "--may", many) == 2
    assert "one datagram has room for 1024" in capsys.readouterr().err
    assert admit(directory, "client-0", "new", "--may", many[:600].rpartition(",")[0]) == 0
    too_many = ",".join(f"c{number}" for number in range(33))
    assert admit(directory, "client-0", "newer", "--may", too_many) == 2


def test_a_file_that_no_replica_would_take_says_why(directory: Path, tmp_path: Path) -> None:
    cluster = Cluster.load(directory)
    assert admit(directory, "client-0", "new", "--slot", "2") == 0
    path = directory / "keys" / "new.pem"
    guest = load_identity(path)
    assert main(["init", str(tmp_path / "d"), "--admits", "3"]) == 0
    other = Cluster.load(tmp_path / "d")
    with pytest.raises(ConfigurationError, match="client-0 of this cluster has not signed"):
        tickets.judge(other, guest, path)
    stolen = Identity.generate()
    stolen.ticket = guest.ticket
    with pytest.raises(ConfigurationError, match="other keys than its own"):
        tickets.judge(cluster, stolen, path)
    toml = directory / "cluster.toml"
    toml.write_text(toml.read_text().replace("admits = 3", "admits = 2"))
    with pytest.raises(ConfigurationError, match="slots 0 to 1, and 2 is none"):
        tickets.judge(Cluster.load(directory), guest, path)
    toml.write_text(toml.read_text().replace("client-0", "client-7"))
    with pytest.raises(ConfigurationError, match="whom this cluster does not have"):
        tickets.judge(Cluster.load(directory), guest, path)
    guest.ticket = b"no ticket"
    with pytest.raises(ConfigurationError, match="no ticket that this version reads"):
        tickets.judge(cluster, guest, path)
    for name in ("replica-0", "nobody", tmp_path):
        with pytest.raises(ConfigurationError, match=r"has no client .*: it has client-0"):
            acquire(cluster, directory, name, None)


def name_of(directory: Path, wanted: str) -> str:
    acquired = acquire(Cluster.load(directory), directory, wanted, None)
    acquired.lock.close()
    return acquired.name


def test_two_at_once_give_two_slots(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = tickets.make

    def slowly(*arguments: Any, **named: Any) -> bytes:
        time.sleep(0.1)
        return make(*arguments, **named)

    monkeypatch.setattr(tickets, "make", slowly)
    admitting = [Thread(target=admit, args=(directory, "client-0", f"g{n}")) for n in range(3)]
    for each in admitting:
        each.start()
    for each in admitting:
        each.join(20)
    names = {name_of(directory, f"g{n}") for n in range(3)}
    assert names == {"client-0/0", "client-0/1", "client-0/2"}


def test_a_crash_in_between_gives_no_slot_twice(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*arguments: Any) -> None:
        save_identity(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr("pbft.cli.admit.save_identity", killed)
    assert admit(directory, "client-0", "first") != 0
    monkeypatch.undo()
    assert admit(directory, "client-0", "second") == 0
    assert name_of(directory, "first") != name_of(directory, "second")


def test_a_file_that_exists_costs_no_slot(directory: Path) -> None:
    assert admit(directory, "client-0", "printer") == 0
    for _ in range(3):
        assert admit(directory, "client-0", "printer") != 0
    assert admit(directory, "client-0", "reader") == 0
    register = (directory / "keys" / "client-0.guests").read_text()
    assert register == "0 printer\n1 reader\n"
