"""Code with other types than a replica ran with is told of at its start, before any checkpoint."""

import logging
from pathlib import Path

import pytest

from pbft import command, query
from pbft.ran_before import remembered
from tests.typed.bank import Bank
from tests.typed.host import Host


class Wider(Bank):
    @command
    def deposit(self, name: str, amount: int = 1, why: str = "") -> int:
        return 0


class OnlyFirst:
    @query
    def balance(self, name: str) -> int:
        return 0


def ran(path: Path, *, switched: bool = False) -> None:
    """A replica that has executed something, and was stopped."""
    host = Host(Bank())
    with remembered(path, host.hosted):
        host.call(Bank.deposit, "ann")
        if switched:
            host.upgrade(2)


def told(path: Path, service: object, caplog: pytest.LogCaptureFixture) -> str:
    caplog.clear()
    host = Host(service)
    with caplog.at_level(logging.WARNING), remembered(path, host.hosted):
        return caplog.text


def test_other_types_are_told_of_at_the_next_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "replica-0.types"
    assert told(path, Wider(), caplog) == ""
    ran(path)
    assert told(path, Bank(), caplog) == ""
    said = told(path, Wider(), caplog)
    assert "replica-0 ran with other code before: deposit has other types" in said
    assert "in version 1" in said


def test_after_a_switch_those_of_the_new_version_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "replica-0.types"
    ran(path, switched=True)
    assert told(path, Bank(), caplog) == ""
    assert "version 2 of the service is active" in told(path, OnlyFirst(), caplog)


def test_who_has_not_executed_or_has_not_stopped_in_order_leaves_what_was_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "replica-0.types"
    ran(path)
    before = path.read_bytes()
    assert told(path, Bank(), caplog) == ""
    host = Host(Wider())

    def cut_off() -> None:
        with remembered(path, host.hosted):
            host.call(Wider.deposit, "ann")
            raise OSError("as told")

    with pytest.raises(OSError, match="as told"):
        cut_off()
    assert path.read_bytes() == before


@pytest.mark.parametrize("data", [b"", b"nonsense", bytes(8) + b"\xc1", b"\xff" * 100])
def test_a_file_that_does_not_read_says_so_and_stops_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, data: bytes
) -> None:
    path = tmp_path / "replica-0.types"
    path.write_bytes(data)
    assert "replica-0.types cannot be read" in told(path, Bank(), caplog)


def test_a_disk_that_is_full_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ran(tmp_path / "nowhere" / "replica-0.types")
    assert "replica-0.types cannot be written" in caplog.text


def test_a_service_of_bytes_has_no_types(tmp_path: Path) -> None:
    class Bytes:
        pass

    path = tmp_path / "replica-0.types"
    with remembered(path, Bytes()):  # type: ignore[arg-type]
        pass
    assert not path.exists()
