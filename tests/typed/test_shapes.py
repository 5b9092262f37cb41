"""Code of other types than the active version has does not start beside the old."""

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any

import msgspec
import pytest

from pbft import HaltError, Map, Since, command, query
from pbft.services.sql_tables import SqlTables
from pbft.typed.shapes import shape
from tests.typed.host import Host, moved


class Account(msgspec.Struct):
    owner: str
    balance: int = 0


class WithLimit(msgspec.Struct):
    owner: str
    balance: int = 0
    limit: int = 100


class Bank:
    opened: int
    last: Account | None

    def __init__(self) -> None:
        self.accounts = Map(int, Account)
        self.tables = SqlTables()
        self.opened = 0
        self.last = None

    @command
    def open_account(self, owner: str) -> int:
        self.opened += 1
        self.accounts[self.opened] = Account(owner)
        return self.opened

    @query
    def first(self) -> Account | None:
        return self.accounts.get(1)


class Comments(Bank):
    """The same, said otherwise."""

    @command
    def open_account(self, name: str) -> int:
        """Parameters have no names on the wire."""
        return super().open_account(name)


class MoreInTheMap(Bank):
    def __init__(self) -> None:
        super().__init__()
        self.accounts = Map(int, WithLimit)  # type: ignore[arg-type]


class MoreInAnAttribute(Bank):
    last: WithLimit | None  # type: ignore[assignment]


class MoreInAResult(Bank):
    @query
    def first(self) -> WithLimit | None:  # type: ignore[override]
        return None


class MoreArguments(Bank):
    @command
    def open_account(self, owner: str, limit: int = 0) -> int:
        return 0


class OtherDefault(Bank):
    @command
    def open_account(self, owner: str = "nobody") -> int:
        return 0


class Kind(Bank):
    @command
    def first(self) -> Account | None:
        return None


class NewCommand(Bank):
    @command
    def close_account(self, number: int) -> None: ...


class NewAttribute(Bank):
    def __init__(self) -> None:
        super().__init__()
        self.closed = 0


class Waiting(Bank):
    """What is new waits for its version."""

    version = 2
    closed: Annotated[int, Since(2)]
    limits: Annotated[Map[int, WithLimit], Since(2)]

    def __init__(self) -> None:
        super().__init__()
        self.closed = 0
        self.limits = Map(int, WithLimit)

    @command(since=2)
    def close_account(self, number: int) -> int:
        self.closed += 1
        return self.closed

    @query(name="first", since=2)
    def first_limit(self) -> WithLimit | None:
        return self.limits.get(1)


class Fewer:
    """A command that nobody calls, and an attribute that nobody reads, may go."""

    opened: int

    def __init__(self) -> None:
        self.accounts = Map(int, Account)
        self.opened = 0

    @query
    def first(self) -> Account | None:
        return self.accounts.get(1)


def used() -> Host:
    host = Host(Bank())
    host.call(Bank.open_account, "ann")
    return host


RUNS = "in version 1 of the service that this cluster runs"
CHANGED = f"has other types, or records with other fields, than {RUNS}"
NEW = f"is not {RUNS}"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (MoreInTheMap, f"self.accounts {CHANGED}"),
        (MoreInAnAttribute, f"self.last {CHANGED}"),
        (MoreInAResult, f"first {CHANGED}"),
        (MoreArguments, f"open_account {CHANGED}"),
        (OtherDefault, f"open_account {CHANGED}"),
        (Kind, f"first {CHANGED}"),
        (NewCommand, f"close_account {NEW}, .* since=2"),
        (NewAttribute, rf"self.closed {NEW}, .* Since\(2\)"),
    ],
)
def test_other_types_wait_for_their_version(kind: type, said: str) -> None:
    with pytest.raises(HaltError, match=said):
        moved(used(), kind())
    Host(kind())  # where there is no cluster yet


def test_all_that_differs_is_named_at_once() -> None:
    """Who gave a record a field looks for it, and not for the one method that comes first."""

    class Both(MoreInTheMap):
        @query
        def first(self) -> WithLimit | None:  # type: ignore[override]
            return None

    said = (
        "first and self.accounts have other types, or records with other fields, than in version 1"
    )
    with pytest.raises(HaltError, match=f"^{said} of .*leave them as they are"):
        moved(used(), Both())

    class Two(NewCommand):
        @command
        def freeze(self, number: int) -> None: ...

    with pytest.raises(HaltError, match=rf"^close_account and freeze are not {RUNS}, .*since=2"):
        moved(used(), Two())


def test_what_is_new_is_bound_at_the_switch() -> None:
    new = moved(used(), Waiting())
    assert new.digest == used().digest
    new.upgrade(2)
    assert new.call(Waiting.close_account, 1) == 1
    moved(new, Waiting())

    class Changed(Waiting):
        @command(since=2)
        def close_account(self, number: int, why: str = "") -> int:
            return 0

    with pytest.raises(HaltError, match=r"close_account has other types, .* than in version 2"):
        moved(new, Changed())


@pytest.mark.parametrize("kind", [Comments, Fewer])
def test_what_makes_no_difference_may_change(kind: type) -> None:
    assert moved(used(), kind()).ask(Bank.first) == Account("ann")


def test_a_command_that_fails_binds_nothing() -> None:
    class Fails(Bank):
        @command
        def fail(self) -> None:
            raise ValueError("as told")

    host = Host(Fails())
    with pytest.raises(ValueError, match="as told"):
        host.call(Fails.fail)
    moved(host, Bank())
    host.call(Fails.open_account, "ann")
    with pytest.raises(HaltError):
        moved(host, NewCommand())


@dataclass
class Tree:
    name: str
    below: "list[Tree]"


@dataclass
class Wood:
    name: str
    below: "list[Wood]"


@dataclass
class Bush:
    name: str
    below: "list[Tree]"
    age: int = 0


class Colour(Enum):
    RED = "red"


class Shade(Enum):
    RED = "red"
    BLUE = "blue"


def test_a_shape_is_of_the_bytes_and_not_of_the_names() -> None:
    same: list[tuple[Any, Any]] = [(Tree, Wood), (list[int], list[int]), (Colour, Colour)]
    for one, other in same:
        assert shape(one) == shape(other)
    assert shape(list[int | Tree | str]) == shape(list[str | int | Wood])
    kinds: list[Any] = [int, float, str, list[int], set[int], dict[str, int], dict[int, int]]
    kinds += [Tree, Bush, Colour, Shade, int | None, tuple[int, str], Account, WithLimit, Any]
    kinds += [Annotated[int, msgspec.Meta(ge=0)], tuple[int, ...]]
    shapes = [msgspec.msgpack.encode(shape(each)) for each in kinds]
    assert len(set(shapes)) == len(shapes)
