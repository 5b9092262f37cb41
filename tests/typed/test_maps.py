"""What a `Map` of a hosted service has, whatever happened to it before."""

from enum import IntEnum

import pytest

from pbft import Map, command, query
from tests.typed.host import Host, moved


class Colour(IntEnum):
    RED = 1


class Shelf:
    """At most three books."""

    def __init__(self) -> None:
        self.books = Map(int, str)

    @command
    def put(self, number: int, full: bool = False) -> int:
        self.books[number] = "x"
        self.books.pop(number - 10, None)
        if full or len(self.books) > 3:
            len(self.books)
            raise ValueError("full")
        return len(self.books)

    @command
    def paint(self) -> str:
        self.books[Colour.RED] = "red"
        return repr(list(self.books))

    @query
    def numbers(self) -> str:
        return repr(list(self.books))


def test_an_index_made_by_a_command_that_fails_has_nothing_of_it() -> None:
    host = Host(Shelf())
    with pytest.raises(ValueError, match="full"):
        host.call(Shelf.put, 1, True)
    assert host.ask(Shelf.numbers) == "[]"
    for number in (1, 2):
        host.call(Shelf.put, number)
    other = moved(host, Shelf())
    for each in (host, other):
        with pytest.raises(ValueError, match="full"):
            each.call(Shelf.put, 12, True)  # which removes 2
        assert each.ask(Shelf.numbers) == "[1, 2]"
        assert each.call(Shelf.put, 3) == 3
    assert host.digest == other.digest


def test_a_key_is_at_once_what_a_restart_reads() -> None:
    host = Host(Shelf())
    host.ask(Shelf.numbers)  # so that there is an index
    assert host.call(Shelf.paint) == "[1]"
    assert moved(host, Shelf()).ask(Shelf.numbers) == "[1]"


def test_keys_may_not_come_or_go_while_they_are_iterated() -> None:
    books = Map(int, str)
    books.update({1: "a", 2: "b", 3: "c"})
    for spanned in (False, True):
        keys = books.span(1, 4) if spanned else iter(books)
        assert next(keys) == 1
        books[2] = "changed"
        assert next(keys) == 2
        books[len(books) + 1] = "new"
        with pytest.raises(RuntimeError, match="while it was iterated"):
            next(keys)
    for key in list(books):
        del books[key]
    assert len(books) == 0


def test_an_index_is_of_the_state_that_is_open() -> None:
    """A state that was fetched from others takes the place of this one's."""
    other, host = Host(Shelf()), Host(Shelf())
    other.call(Shelf.put, 3)
    host.call(Shelf.put, 1)
    assert host.ask(Shelf.numbers) == "[1]"
    host.machine.install(other.machine.tree.freeze())
    assert host.ask(Shelf.numbers) == "[3]"
    assert host.call(Shelf.put, 2) == 2


def test_what_happened_before_it_was_hosted_is_not_undone() -> None:
    """As by who tried the service alone. The first command that fails takes back its own."""
    shelf = Shelf()
    shelf.put(1)
    shelf.put(11)  # which removes 1
    host = Host(shelf)
    assert host.ask(Shelf.numbers) == "[]"
    with pytest.raises(ValueError, match=r"^full$"):
        host.call(Shelf.put, 2, True)
    assert host.ask(Shelf.numbers) == "[]"


def test_what_goes_and_comes_back_in_a_command_that_fails_is_there_once() -> None:
    """And what comes and goes is not: the index is put back from the end."""

    class Twice:
        def __init__(self) -> None:
            self.books = Map(int, str)

        @command
        def put(self, number: int) -> None:
            self.books[number] = "x"

        @command
        def fail(self) -> None:
            list(self.books)
            for number in (1, 2):
                self.books.pop(number, None)
                self.books[number] = "y"
                self.books.pop(number)
            raise ValueError("no")

        @query
        def numbers(self) -> list[int]:
            return list(self.books)

    host = Host(Twice())
    host.call(Twice.put, 1)
    with pytest.raises(ValueError, match=r"^no$"):
        host.call(Twice.fail)
    assert host.ask(Twice.numbers) == [1]


def test_a_span_ends_before_its_stop() -> None:
    books = Map(int, str)
    books.update(dict.fromkeys(range(5), "x"))
    assert list(books.span(1, 3)) == [1, 2]
    assert [key for key, _ in books.range(1, 4, 2)] == [1, 2]
    assert list(books.span(None, 0)) == []
