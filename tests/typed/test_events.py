"""What commands tell is always readable, and a query tells nothing."""

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from pbft import Context, InvalidArgumentsError, ServiceError, command, query
from pbft.typed.events import EVENTS, emit
from pbft.typed.methods import operation
from tests.typed.host import Host


@dataclass(frozen=True)
class Place:
    name: str


class Crier:
    version = 2

    def __init__(self) -> None:
        self.told = 0

    def migrate(self, version: int) -> None:
        emit("migrated", version)
        self.cry("from migrate")

    @command
    def cry(self, context: Context, what: str) -> None:
        self.told += 1
        emit("cried", [what, context.sequence])

    @command
    def spoil(self, how: int) -> None:
        topics: list[Any] = [5, None, "t", "t", "\ud800"]
        values: list[Any] = [1, 1, msgspec.Raw(b"\xc1"), {Place("a"): 1}, 1]
        emit(topics[how], values[how])

    @query
    def whisper(self) -> int:
        try:
            emit("whispered")
        except ServiceError:
            return 1
        return 0


@pytest.mark.parametrize("how", range(5))
def test_an_event_that_nobody_could_read_is_refused(how: int) -> None:
    host = Host(Crier())
    host.call(Crier.cry, "before")
    with pytest.raises(InvalidArgumentsError, match="an event of"):
        host.call(Crier.spoil, how)
    host.call(Crier.cry, "after")
    assert [each.value[0] for each in host.events()] == ["before", "after"]


def test_a_query_tells_nobody_in_the_order_or_outside_it() -> None:
    host = Host(Crier())
    for ask in (host.call, host.ask):
        with pytest.raises(ServiceError, match="is a query and changed the state"):
            ask(Crier.whisper)
    assert host.events() == []


def test_a_migration_tells_as_commands_do() -> None:
    crier = Crier()
    host = Host(crier)
    host.upgrade(2)
    assert [each.topic for each in host.events()] == ["migrated", "cried"]
    assert crier.told == 1


@pytest.mark.parametrize("given", [(), (0, 0), (0, 0, 1, 1)])
def test_a_faulty_reader_is_told_in_words_that_no_version_of_python_has_its_own_of(
    given: tuple[int, ...],
) -> None:
    """Clients may have it ordered, and what they are told is a part of the state."""
    asked = operation(EVENTS, [msgspec.msgpack.encode(each) for each in given])
    text = f"{EVENTS} takes 3 arguments and was given {len(given)}"
    with pytest.raises(InvalidArgumentsError, match=text):
        Host(Crier()).raw(asked)
