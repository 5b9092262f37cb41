"""How deep a value may be does not depend on how deep the calls of this replica are."""

import random
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from pbft import ApplicationError, ServiceError, command, query
from pbft.core.errors import PbftError
from pbft.core.service import Context
from pbft.core.state.machine import Machine
from pbft.services.kv import Get, KeyValueService, encode
from pbft.testing.surroundings import deeper
from pbft.typed.events import emit
from pbft.typed.nesting import MAX_DEPTH, MAX_LISTS, too_deep
from tests.typed.host import Host

DEPTHS = (1, MAX_DEPTH - 3, MAX_DEPTH, 300, *range(880, 1000, 3))


class Keeper:
    kept: Any

    def __init__(self) -> None:
        self.kept = None
        self.count = 0

    @command
    def add(self, amount: int) -> int:
        self.count += amount
        return self.count

    @command
    def keep(self, value: Any) -> int:
        self.kept = value
        return 1

    @command
    def wrap(self, times: int) -> int:
        self.kept = nested(times)
        return 1

    @command
    def tell(self, times: int) -> None:
        emit("told", nested(times))

    @command
    def fail(self, times: int) -> None:
        raise ApplicationError("x" * 200, nested(times))

    @query
    def give(self, times: int) -> Any:
        return nested(times)


def nested(times: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(times):
        value = [value]
    return value


def call(name: str, depth: int) -> bytes:
    return b"\x92" + msgspec.msgpack.encode(name) + b"\x91" + b"\x91" * depth + b"\x00"


def said(machine: Machine, operation: bytes) -> set[str]:
    """What the same call gives at several depths of the stack."""
    found = set()
    for number in range(4):
        try:
            result = deeper(number, lambda: machine.execute(operation, Context("a", 1, 1)))
            found.add(repr(result))
        except PbftError as error:
            found.add(str(error))
    return found


@pytest.mark.scenario("T43", kills="T43 what is too deep depends on the stack")
@pytest.mark.parametrize("name", ["add", "keep", "nothing"])
def test_what_a_client_nests_is_judged_alike(name: str) -> None:
    for depth in DEPTHS:
        assert len(said(Host(Keeper()).machine, call(name, depth))) == 1, depth


@pytest.mark.parametrize("name", ["wrap", "tell", "fail", "give"])
def test_what_a_service_nests_is_judged_alike(name: str) -> None:
    for depth in DEPTHS:
        packed = msgspec.msgpack.encode((name, [depth]))
        assert len(said(Host(Keeper()).machine, packed)) == 1, depth


def test_so_is_what_the_key_value_service_is_asked() -> None:
    base = encode(Get(b"k"))
    for depth in DEPTHS:
        operation = bytes([base[0] + 1]) + base[1:] + b"\x91" * depth + b"\x00"
        assert len(said(Machine(KeyValueService()), operation)) == 1, depth


def test_the_bound_is_told() -> None:
    host = Host(Keeper())
    assert host.call(Keeper.wrap, MAX_DEPTH - 1) == 1
    with pytest.raises(ServiceError, match=rf"kept cannot be written: .* than {MAX_DEPTH} lists"):
        host.call(Keeper.wrap, MAX_DEPTH)


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max((depth_of(each) for pair in value.items() for each in pair), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


def drawn(rng: random.Random, depth: int) -> Any:
    """A value with all heads that msgpack has."""
    plain = (
        *(0, 200, 70_000, 2**40, -1, -200, -70_000, -(2**40), 1.5, None, True, ""),
        *("x" * 20, "y" * 300, "z" * 70_000, b"", b"\x91" * 300, b"\x91" * 70_000),
        *(msgspec.msgpack.Ext(1, b"\x91" * size) for size in (1, 2, 4, 8, 16, 3, 300, 70_000)),
    )
    if depth == 0 or rng.random() < 0.3:
        return rng.choice(plain)
    many = rng.choice((0, 1, 2, 17))
    below = [drawn(rng, depth - 1) for _ in range(many)]
    if rng.random() < 0.5:
        return below
    return {f"{number}": each for number, each in enumerate(below)}


def test_the_depth_is_that_of_the_value() -> None:
    rng = random.Random(1)
    for deep in (*range(MAX_DEPTH - 3, MAX_DEPTH + 4), 3):
        for _ in range(10):
            value = drawn(rng, 3)
            for _ in range(max(0, deep - depth_of(value))):
                more = [drawn(rng, 0), value, drawn(rng, 0)]
                value = more if rng.random() < 0.5 else {"a": more[0], "b": value}
            data = msgspec.msgpack.encode(value)
            assert too_deep(data) == (depth_of(value) > MAX_DEPTH)
    wide = msgspec.msgpack.encode([[[1], {"a": 2.5}]] * 20_000 + [1] * 100_000)
    assert not too_deep(wide)
    assert too_deep(msgspec.msgpack.encode([[]] * MAX_LISTS))
    assert not too_deep(msgspec.msgpack.encode([[]] * (MAX_LISTS - 1)))


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x91", b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff"])
def test_what_is_no_value_is_left_to_who_decodes_it(data: bytes) -> None:
    assert not too_deep(data)
    assert too_deep(b"\x91" * (MAX_DEPTH + 1) + data)


def seconds(data: bytes, look: Callable[[bytes], object]) -> float:
    """Of the processor, undisturbed."""
    found = []
    for _ in range(3):
        began = time.process_time()
        look(data)
        found.append(time.process_time() - began)
    return min(found)


@pytest.mark.parametrize(
    "text", [b"\xa1x", b"\x00\xa1x", b"\xd9\x00", b"\xda\x00\x00", b"\xc7\x00x"]
)
def test_no_short_values_take_long_to_look_at(text: bytes) -> None:
    """A client may send a million of them, and every replica stands still meanwhile."""
    heads, count = b"\xc5\x04\x00" + b"\x80" * 1024, 2**18
    many = b"\xdd" + count.to_bytes(4, "big") + heads + text * count
    assert not too_deep(many)
    each = seconds(bytes(count), lambda data: sum(1 for _ in data))  # a step of Python for each
    assert seconds(many, too_deep) < 15 * each
