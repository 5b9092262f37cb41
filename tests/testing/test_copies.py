"""Each life of a replica has the globals of its module for itself, as a process has."""

import sys

import pytest

from pbft.core.service import Context
from pbft.core.state.machine import Machine
from pbft.services.counters import Counters
from pbft.testing.copies import copied
from pbft.testing.subjects import subject
from pbft.typed.methods import methods_of
from tests.testing import breakable

PAY = methods_of(breakable.Forgetful)["pay"][0].pack(("token",), {})


def test_a_copy_has_globals_of_its_own() -> None:
    with copied(breakable.Forgetful) as one, copied(breakable.Forgetful) as other:
        assert len({one, other, breakable.Forgetful}) == 3
        assert one.__module__ == breakable.__name__
    assert sys.modules[breakable.__name__] is breakable


def test_what_is_kept_in_a_global_dies_with_the_replica() -> None:
    about = subject(f"{breakable.__name__}:Forgetful")
    paid = [Machine(about.make()).execute(PAY, Context("ann", 1, 0)) for _ in range(2)]
    assert paid == [b"\x01", b"\x01"]
    machine = Machine(about.make())
    assert [machine.execute(PAY, Context("ann", n, 0)) for n in (1, 2)] == [b"\x01", b"\x01"]
    machine.service = about.make()
    machine.install(machine.tree.freeze())
    assert machine.execute(PAY, Context("ann", 3, 0)) == b"\x02"


def test_modules_of_pbft_are_shared() -> None:
    with copied(Counters) as same:
        assert same is Counters


def test_the_module_is_back_where_its_copy_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    loader = breakable.__spec__.loader if breakable.__spec__ else None
    monkeypatch.setattr(loader, "exec_module", lambda module: None)
    with pytest.raises(AttributeError), copied(breakable.Forgetful):
        pass
    assert sys.modules[breakable.__name__] is breakable
