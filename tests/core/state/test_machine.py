"""A service writes its own part of the state, while it executes, and all of it or nothing."""

import contextlib

import pytest

from pbft.core.errors import ServiceError
from pbft.core.service import Context, State
from pbft.core.state.machine import Machine
from pbft.crypto.trie import Snapshot, Trie

CONTEXT = Context("client-0", 1, 0)


class Writer:
    """Writes, deletes and overwrites what its operation says: `key=value` or `key`; then `!`."""

    def __init__(self) -> None:
        self.opened = 0

    def open(self, state: State) -> None:
        self.state = state
        self.opened += 1

    def execute(self, operation: bytes, context: Context) -> bytes:
        for each in operation.split():
            key, is_put, value = each.partition(b"=")
            if each == b"!":
                raise ValueError("refused")
            if is_put:
                self.state.put(key, value)
            else:
                self.state.delete(key)
        return b""

    def query(self, operation: bytes) -> bytes:
        self.state.put(operation, b"")
        return b""


def test_what_a_refused_operation_wrote_is_undone() -> None:
    machine = Machine(Writer())
    machine.execute(b"a=1 b=2", CONTEXT)
    before = machine.tree.digest
    for operation in (b"a=3 a=4 !", b"a b c=5 a=6 !", b"c=1 c !", b"a a=1 b=7 !"):
        with pytest.raises(ValueError, match="refused"):
            machine.execute(operation, CONTEXT)
        assert machine.tree.digest == before
    machine.execute(b"a=3", CONTEXT)
    assert machine.tree.digest != before


def test_the_state_is_the_services_part_of_the_tree_alone() -> None:
    service = Writer()
    tree = Trie()
    tree.put(b"\x01other", b"region")
    machine = Machine(service)
    machine.install(tree.freeze())
    for count in range(100):
        assert (len(service.state), service.state.size_bytes) == (count, 3 * count)
        machine.execute(b"%02d=v" % count, CONTEXT)
    assert sorted(service.state.items()) == [(b"%02d" % i, b"v") for i in range(100)]
    assert service.state.get(b"07") == b"v"
    assert service.state.get(b"other") is None


def test_only_executing_may_write() -> None:
    service = Writer()
    machine = Machine(service)
    with pytest.raises(ServiceError, match="execute alone"):
        machine.query(b"x")
    with pytest.raises(ServiceError, match="execute alone"):
        service.state.delete(b"x")
    assert len(service.state) == 0


def test_a_service_that_cannot_open_leaves_the_tree_as_it_was() -> None:
    class Picky(Writer):
        def open(self, state: State) -> None:
            if state.get(b"poison"):
                raise ValueError("not this")
            super().open(state)

    machine = Machine(Picky())
    machine.execute(b"a=1", CONTEXT)
    other = Trie()
    other.put(b"\x00poison", b"yes")
    with pytest.raises(ValueError, match="not this"):
        machine.install(other.freeze())
    machine.execute(b"b=2", CONTEXT)
    assert len(machine.tree) == 2
    machine.install(Snapshot(None))
    assert len(machine.tree) == 0


@pytest.mark.parametrize("operation", [b"a=1", b"a=1 !"])
def test_a_query_after_an_operation_may_still_write_nothing(operation: bytes) -> None:
    machine = Machine(Writer())
    with contextlib.suppress(ValueError):
        machine.execute(operation, CONTEXT)
    before = machine.tree.digest
    with pytest.raises(ServiceError, match="execute alone"):
        machine.query(b"b")
    assert machine.tree.digest == before
