"""What a class must not have to be hosted, each with the sentence that tells what to do."""

import collections
import itertools
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import pytest

from pbft import Context, Map, Proxy, ServiceError, Since, command, query
from pbft.typed.hosting import Hosted, hosted
from tests.typed.host import Host

if TYPE_CHECKING:
    from decimal import Decimal


def made(**members: Any) -> type:
    """A class of these members, and a command."""

    def __init__(self: Any) -> None:
        self.value = 0

    @command
    def add(self: Any) -> None:
        self.value += 1

    return type("Made", (), {"__init__": __init__, "add": add} | members)


def named(name: str) -> type:
    """A class with a command of that name."""

    def function(self: Any) -> None: ...

    function.__name__ = name
    return made(**{name: command(function)})


@pytest.mark.parametrize("name", ["prepare", "resolve", "options", "certified", "upgrade", "_ask"])
def test_a_command_that_a_proxy_would_hide_is_refused(name: str) -> None:
    with pytest.raises(ServiceError, match=f"Made.{name} cannot be called through a proxy, which"):
        Hosted(named(name)())


def test_its_name_on_the_wire_may_be_like_that() -> None:
    def function(self: Any) -> int:
        return 3

    kind = made(prepare_order=command(name="prepare")(function))
    assert Host(kind()).call(kind.prepare_order) == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["version", "migrate", "invariant", "workload"])
def test_a_command_cannot_be_what_pbft_itself_looks_for(name: str) -> None:
    with pytest.raises(ServiceError, match=f"Made.{name} means something to pbft itself"):
        Hosted(named(name)())


def test_a_helper_that_has_the_name_of_how_a_proxy_asks_is_refused() -> None:
    with pytest.raises(ServiceError, match=r"Made._ask is how a proxy asks: rename it"):
        Hosted(made(_ask=lambda self: None)())


class Remote(Proxy, made()):  # type: ignore[misc]
    def __init__(self) -> None:
        pass


def test_a_proxy_is_no_service() -> None:
    with pytest.raises(ServiceError, match="Remote is a proxy: name the service itself"):
        hosted(Remote())


class Door:
    """Not one that speaks bytes, though it has both names."""

    def __init__(self) -> None:
        self.opened = 0

    @command
    def open(self) -> int:
        self.opened += 1
        return self.opened

    @command
    def execute(self) -> None: ...


def test_commands_called_open_and_execute_are_commands() -> None:
    assert isinstance(hosted(Door()), Hosted)
    assert Host(Door()).call(Door.open) == 1


@pytest.mark.parametrize("version", [0, "2", 1.5, None])
def test_a_version_is_a_number(version: Any) -> None:
    with pytest.raises(ServiceError, match=r"Made.version is .*: it is a whole number from 1 on"):
        Hosted(made(version=version)())


class Early:
    """Forgets `version = 2`: a switch would stop every replica."""

    def __init__(self) -> None:
        self.value = 0

    @command(since=2)
    def add(self) -> None: ...


class EarlyAttribute:
    version = 2
    value: Annotated[int, Since(3)]

    def __init__(self) -> None:
        self.value = 0

    @command
    def add(self) -> None: ...


class EarlyMap(EarlyAttribute):
    value: Annotated[Map[str, int], Since(3)]  # type: ignore[assignment]

    def __init__(self) -> None:
        self.value = Map(str, int)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Early, "Early.add is there from version 2 on, and Early.version is 1: set `version = 2`"),
        (EarlyAttribute, "EarlyAttribute.value is there from version 3 on"),
        (EarlyMap, "EarlyMap.value is there from version 3 on"),
    ],
)
def test_what_no_version_of_the_class_brings_is_refused(kind: type, said: str) -> None:
    with pytest.raises(ServiceError, match=said):
        Hosted(kind())


def late(self: Any, amount: int, context: Context) -> None: ...
def optional(self: Any, context: Context | None = None) -> None: ...
def listed(self: Any, all: list[Context]) -> None: ...
def asking(self: Any, context: Context) -> None: ...
def keyword(self: Any, *, amount: int) -> None: ...
def many(self: Any, *amounts: int) -> None: ...
def filled(self: Any, names: list[str] = []) -> None: ...  # noqa: B006
def wrong(self: Any, amount: int = "one") -> None: ...  # type: ignore[assignment]
def ahead(self: Any, amount: "Decimal") -> None: ...
def back(self: Any) -> "Decimal": ...  # type: ignore[empty-body]


class Order(msgspec.Struct):
    """A client that leaves `key` out would have each replica make its own."""

    item: str
    key: str = msgspec.field(default_factory=lambda: uuid.uuid4().hex)


@dataclass
class Basket:
    orders: list[Order]
    notes: list[str] = field(default_factory=list)


class Harmless(msgspec.Struct):
    notes: list[str] = []
    names: dict[str, int] = msgspec.field(default_factory=dict)


def placed(self: Any, basket: Basket | None) -> None: ...
def noted(self: Any, what: Harmless) -> int:
    return len(what.notes)


def steps(self: Any) -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (late, "late: context is a Context, which clients must not say: make it the first"),
        (optional, "optional: context is a Context"),
        (listed, "listed: all is a Context"),
        (keyword, r"keyword: amount is keyword-only: remove the \* before it, callers may go on"),
        (many, r"many: \*amounts cannot be sent: take a list"),
        (filled, "filled: names is .* until the replica stops: make its default None or a tuple"),
        (wrong, "wrong: the default of amount does not fit its type: .*Expected `int`, got `str`"),
        (ahead, "ahead: name 'Decimal' is not defined: import it where Python"),
        (back, "back: name 'Decimal' is not defined: import it where Python"),
        (
            placed,
            "placed: who leaves out key of Order has each replica make its own: give it a plain",
        ),
        (steps, "steps is a generator: return a list"),
    ],
)
def test_what_a_command_cannot_take_is_refused(function: Callable[..., Any], said: str) -> None:
    with pytest.raises(ServiceError, match=said):
        Hosted(made(go=command(function))())


def test_a_query_takes_no_context() -> None:
    with pytest.raises(ServiceError, match="asking is a query, which may be answered outside"):
        Hosted(made(go=query(asking))())


def test_a_command_has_a_self() -> None:
    kinds: list[Any] = [staticmethod, classmethod]
    functions: list[Any] = [*(kind(returned) for kind in kinds), lambda: None]
    for function in functions:
        with pytest.raises(ServiceError, match="is no method of an object: give it self, and no"):
            command(function)
    for kind in kinds:
        with pytest.raises(ServiceError, match=r"Made.go is no method of an object"):
            Hosted(made(go=kind(command(returned)))())


def test_an_attribute_of_an_unknown_type_is_refused() -> None:
    kind = made()
    kind.__annotations__ = {"value": "Decimal"}
    with pytest.raises(ServiceError, match="Made: name 'Decimal' is not defined"):
        Hosted(kind())


@pytest.mark.parametrize("value", [itertools.count(), collections.deque()])
def test_what_a_class_counts_with_is_not_in_the_state(value: Any) -> None:
    with pytest.raises(ServiceError, match=r"Made.ids is the class's and not in the state"):
        Hosted(made(ids=value)())


def test_two_attributes_are_not_one_map() -> None:
    def __init__(self: Any) -> None:
        self.one = self.two = Map(str, int)

    with pytest.raises(ServiceError, match=r"Made.one and Made.two are the same Map: make two"):
        Hosted(made(__init__=__init__)())


def test_a_list_that_is_made_anew_may_be_left_out() -> None:
    kind = made(noted=command(noted), give=command(returned))
    assert Host(kind()).call(kind.noted, Harmless()) == 0  # type: ignore[attr-defined]
    assert Host(kind()).call(kind.give).item == "tea"  # type: ignore[attr-defined]


def returned(self: Any) -> Order:
    return Order("tea", "1")


def put(self: Any, name: str, sizes: tuple[int, ...] = (1, 2)) -> int:
    return len(sizes)


def test_a_default_that_stays_as_it_is_is_taken() -> None:
    kind = made(put=command(put))
    assert Host(kind()).call(kind.put, "a") == 2  # type: ignore[attr-defined]
