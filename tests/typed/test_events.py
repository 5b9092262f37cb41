"""What commands tell is always readable, and a query tells nothing."""

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from pbft import Client, Context, InvalidArgumentsError, ServiceError, command, query
from pbft.typed.events import (
    EVENTS,
    MAX_BYTES,
    MAX_EVENT_BYTES,
    MAX_EVENTS,
    PAGE_BYTES,
    Log,
    Page,
    emit,
)
from pbft.typed.listening import _lost, events
from pbft.typed.maps import _Memory
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


def at(sequence: int) -> Context:
    return Context("alice", sequence, 1000 * sequence)


def test_so_many_events_are_kept_and_the_oldest_go() -> None:
    log = Log(_Memory())
    for number in range(1, MAX_EVENTS + 1):
        log.add(at(number), "t", number)
    assert log.page(0, 1).first == 1
    log.add(at(MAX_EVENTS + 1), "t", 0)
    assert log.page(0, 1).first == 2
    assert [each.number for each in log.page(0, 2).events] == [2, 3]


def test_events_are_kept_up_to_so_many_bytes_and_one_is_bounded() -> None:
    state = _Memory()
    log = Log(state)
    for number in range(2 * MAX_BYTES // MAX_EVENT_BYTES):
        log.add(at(number), "t", bytes(MAX_EVENT_BYTES - 40))
    assert MAX_BYTES - 2 * MAX_EVENT_BYTES < state.size_bytes < MAX_BYTES + 8192
    with pytest.raises(ServiceError, match="more than"):
        log.add(at(9), "t", bytes(MAX_EVENT_BYTES))
    page = log.page(0, 10**6)
    assert 2 <= len(page.events) <= PAGE_BYTES // (MAX_EVENT_BYTES - 100)


def test_events_are_taken_up_at_a_sequence_number() -> None:
    """Several of one number belong together: none of them is passed over."""
    log = Log(_Memory())
    for sequence in (3, 5, 5, 8):
        log.add(at(sequence), "t", None)
    assert [log.before(sequence) for sequence in (1, 3, 4, 5, 6, 8, 9)] == [0, 0, 1, 1, 3, 3, 4]


def test_the_next_event_is_not_lost_where_it_is_the_first_that_is_kept() -> None:
    assert not _lost(Page(5, []), 4, 0)
    assert _lost(Page(5, []), 3, 0)


@pytest.mark.parametrize("number", [-1, 1 << 63, "3", None, 1.0])
@pytest.mark.parametrize("name", ["after", "sequence"])
def test_what_is_no_number_of_an_event_is_said_at_once(name: str, number: Any) -> None:
    asked: Any = {name: number}
    with pytest.raises(InvalidArgumentsError, match=f"{name} is a number of an event"):
        events(Client.__new__(Client), **asked)
