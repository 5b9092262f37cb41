"""The same value gives the same bytes, whatever the order in which a set was filled."""

import collections
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec
import pytest

from pbft import InvalidArgumentsError, ServiceError
from pbft.typed.values import Codec


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Place:
    name: str
    near: frozenset[int] = frozenset()


class Group(msgspec.Struct, frozen=True, array_like=True):
    label: str
    members: frozenset[int]


class Plain: ...


class Tally(dict[str, int]): ...


def zeros(*numbers: int) -> set[int]:
    """Numbers that meet in a set's table, so that its order is that of adding them."""
    return set(numbers)


SAME: dict[str, tuple[Any, Callable[[bool], Any]]] = {
    "numbers": (set[int], lambda turned: zeros(8, 0) if turned else zeros(0, 8)),
    "under Any": (Any, lambda turned: [zeros(8, 0) if turned else zeros(0, 8)]),
    "of a dict under Any": (dict[str, Any], lambda turned: {"a": frozenset(members(turned))}),
    "frozensets": (set[frozenset[int]], lambda turned: {frozenset(members(turned))}),
    "by a key that is no str": (dict[int, set[int]], lambda turned: {1: members(turned)}),
    "by a member": (dict[Colour, set[int]], lambda turned: {Colour.RED: members(turned)}),
    "as a key": (dict[frozenset[int], int], lambda turned: {frozenset(members(turned)): 1}),
    "in a dataclass": (list[Place], lambda turned: [Place("a", frozenset(members(turned)))]),
    "in a struct": (Group, lambda turned: Group("a", frozenset(members(turned)))),
    "dataclasses": (set[Place], lambda turned: {Place("a"), Place("b", frozenset((0, 8)))}),
    "members": (set[Colour], lambda turned: {Colour.RED, Colour.BLUE}),
    "kinds": (set[int | str], lambda turned: {1, "a"}),
}


def members(turned: bool) -> set[int]:
    return zeros(8, 0) if turned else zeros(0, 8)


@pytest.mark.parametrize("name", SAME)
def test_a_set_is_the_same_bytes_however_it_was_filled(name: str) -> None:
    kind, make = SAME[name]
    codec = Codec(kind)
    assert codec.encode(make(False), name) == codec.encode(make(True), name)
    if kind is not Any and kind != dict[str, Any]:
        assert codec.round_trip(make(True), name)[1] == make(False)


def test_sets_of_sets_have_one_order() -> None:
    codec = Codec(set[frozenset[int]])
    many = [frozenset((number,)) for number in range(40)]
    turned = many[::-1]
    assert codec.encode(set(many), "x") == codec.encode(set(turned), "x")


def test_dicts_beside_sets_keep_their_order() -> None:
    codec = Codec(dict[str, set[int]])
    assert list(codec.round_trip({"b": {1}, "a": {2}}, "x")[1]) == ["b", "a"]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Plain, "Plain cannot be sent or kept: make it a dataclass or a msgspec.Struct"),
        (list[Plain | None], "Plain cannot be sent"),
        (collections.Counter[str], "Counter cannot be sent or kept: annotate dict"),
        (dict[str, Tally], "Tally cannot be sent or kept: annotate dict"),
        (collections.deque[int], "deque cannot be sent or kept: annotate list"),
    ],
)
def test_a_type_that_nobody_can_read_is_refused_at_once(kind: Any, said: str) -> None:
    with pytest.raises(ServiceError, match=said):
        Codec(kind)


def test_what_is_too_deep_is_said_without_how_deep_this_replica_is() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(
        InvalidArgumentsError,
        match=r"x cannot be written: .* in each other",
    ):
        Codec(Any).encode(deep, "x")
    with pytest.raises(InvalidArgumentsError, match="x: it has more than"):
        Codec(Any).decode(b"\x91" * 100_000 + b"\x00", "x")
