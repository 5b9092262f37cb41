"""An attribute is what a restart would read, at every replica and after every call."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import msgspec
import pytest

from pbft import Map, ServiceError, Since, command, query
from pbft.typed.hosting import Hosted
from tests.typed.host import Host, moved


class Odd:
    """Sets its attributes to what they are not read back as."""

    version = 2
    balance: float
    anything: Any
    one: list[list[int]]
    two: list[list[int]]
    later: Annotated[int, Since(2)]

    def __init__(self) -> None:
        self.balance = 0
        self.anything = None
        self.one = self.two = [[]]
        self.later = 0
        self.entries = Map(str, int)

    @command
    def set(self, amount: int) -> None:
        self.balance = amount
        self.anything = (amount,)

    @command
    def share(self) -> None:
        self.two[0] = self.one[0]

    @command
    def append(self, number: int) -> None:
        self.one[0].append(number)

    @command
    def too_early(self) -> None:
        self.later += 1

    @command
    def replace(self) -> None:
        self.entries = Map(str, int)
        self.entries["lost"] = 1

    @command
    def put(self) -> int:
        self.entries["kept"] = 1
        return len(self.entries)

    @query
    def show(self) -> str:
        return repr((self.balance, self.anything, self.one, self.two))

    @query
    def share_quietly(self) -> None:
        self.two[0] = self.one[0]

    @query
    def replace_quietly(self) -> None:
        self.entries = Map(str, int)


def test_what_is_set_becomes_what_a_restart_reads() -> None:
    host = Host(Odd())
    assert host.ask(Odd.show) == "(0.0, None, [[]], [[]])"
    host.call(Odd.set, 3)
    other = moved(host, Odd())
    assert host.ask(Odd.show) == other.ask(Odd.show) == "(3.0, [3], [[]], [[]])"
    for each in (host, other):
        each.call(Odd.append, 1)
    assert host.digest == other.digest


def test_attributes_share_nothing_even_where_their_bytes_stay_equal() -> None:
    host = Host(Odd())
    host.call(Odd.append, 1)
    assert host.ask(Odd.show) == "(0.0, None, [[1]], [[]])"
    host = Host(Odd())
    host.call(Odd.share)
    host.ask(Odd.share_quietly)  # at one replica alone
    other = moved(host, Odd())
    for each in (host, other):
        each.call(Odd.append, 1)
        assert each.ask(Odd.show) == "(0.0, None, [[1]], [[]])"
    assert host.digest == other.digest


def test_a_map_cannot_be_assigned_anew() -> None:
    host = Host(Odd())
    before = host.digest
    with pytest.raises(ServiceError, match="entries was assigned anew"):
        host.call(Odd.replace)
    for ask in (host.ask, host.call):
        with pytest.raises(ServiceError, match="is a query and changed the state"):
            ask(Odd.replace_quietly)
    assert host.digest == before
    assert host.call(Odd.put) == 1
    assert host.digest != before


def test_an_attribute_of_a_later_version_waits_for_it() -> None:
    host = Host(Odd())
    with pytest.raises(ServiceError, match="later is in the state from version 2 on"):
        host.call(Odd.too_early)
    assert host.target.later == 0  # type: ignore[attr-defined]
    host.upgrade(2)
    host.call(Odd.too_early)
    assert moved(host, Odd()).target.later == 1  # type: ignore[attr-defined]


class Slots:
    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    @command
    def add(self) -> None:
        self.value += 1


class Beside(Slots):
    """Has a `__dict__`, too."""


@dataclass(slots=True)
class Data:
    value: int = 0

    @command
    def add(self) -> None:
        self.value += 1


class Struct(msgspec.Struct):
    value: int = 0

    @command
    def add(self) -> None:
        self.value += 1


class OfTheClass:
    items: list[int] = []  # noqa: RUF012

    @command
    def add(self) -> None:
        self.items.append(1)


class MapOfTheClass:
    items = Map(str, int)

    @command
    def add(self) -> None:
        self.items["a"] = 1


class Constant:
    names: ClassVar[list[str]] = ["a", "b"]

    @query
    def first(self) -> str:
        return self.names[0]


@pytest.mark.parametrize("make", [Slots, Beside, Data, Struct])
def test_slots_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ServiceError, match="keeps attributes in slots"):
        Host(make())


def test_what_a_class_holds_is_refused_unless_it_is_said_to_be_constant() -> None:
    for make in (OfTheClass, MapOfTheClass):
        with pytest.raises(ServiceError, match="items is the class's and not in the state"):
            Host(make())
    assert Host(Constant()).ask(Constant.first) == "a"


class Later:
    """Brings a map and an attribute in version 2."""

    version = 2
    notes: Annotated[Map[str, int], Since(2)]
    extra: Annotated[bytes, Since(2)]

    def __init__(self) -> None:
        self.data = b""
        self.notes = Map(str, int)
        self.extra = b"x" * 1000

    @command
    def note(self, name: str) -> int:
        self.notes[name] = 1
        return len(self.notes)

    @command
    def fill(self, size: int) -> None:
        self.data = b"y" * size

    @command
    def hide(self) -> None:
        self.__dict__ = {**vars(self), "data": b"hidden"}

    @query
    def read(self) -> bytes:
        return self.data


def test_a_map_of_a_later_version_waits_for_it() -> None:
    later = Later()
    host = Host(later)
    before = host.digest
    with pytest.raises(ServiceError, match="notes is in the state from version 2 on, and version"):
        host.call(Later.note, "a")
    assert host.digest == before
    assert len(later.notes) == 0
    host.call(Later.fill, 1)
    host.upgrade(2)
    assert host.call(Later.note, "a") == 1


def test_what_a_later_version_brings_takes_no_room_before() -> None:
    host = Host(Later())
    host.call(Later.fill, 1024 * 1024 - 100)
    host.upgrade(2)
    with pytest.raises(ServiceError, match="hold more than"):
        host.call(Later.fill, 1024 * 1024 - 101)


def test_another_dict_of_attributes_is_looked_at_as_well() -> None:
    host = Host(Later())
    host.call(Later.hide)
    assert moved(host, Later()).ask(Later.read) == host.ask(Later.read) == b"hidden"


@pytest.mark.parametrize(
    ("value", "example"),
    [([], "list[str]"), ({}, "dict[str, int]"), ((), "tuple[str, ...]"), (set(), "set[str]")],
)
def test_what_must_be_annotated_is_told_with_a_type_like_it(value: object, example: str) -> None:
    class Log:
        def __init__(self) -> None:
            self.log = value

        @command
        def write(self, text: str) -> None: ...

    with pytest.raises(ServiceError, match=re.escape(f"such as `log: {example}`: it is a")):
        Hosted(Log())
