"""The checker finds what no order explains, and nothing else."""

import random

import msgspec
import pytest

from pbft.services.kv import CompareAndSwap, Delete, Get, Operation, Put, Scan, encode
from pbft.testing.linearizability import NEVER, Call, unlinearizable


def call(began: float, ended: float, operation: Operation, answer: object = None) -> Call:
    return Call(began, ended, encode(operation), b"\0" + msgspec.msgpack.encode(answer))


X, Y = b"x", b"y"


def test_a_sequential_history_fits() -> None:
    history = [
        call(0, 1, Get(X), None),
        call(2, 3, Put(X, b"1")),
        call(4, 5, CompareAndSwap(X, b"1", b"2"), True),
        call(6, 7, CompareAndSwap(X, b"1", b"3"), False),
        call(8, 9, Scan(b"", b"", 10), [[X, b"2"]]),
        call(10, 11, Delete(X), True),
        call(12, 13, Delete(X), False),
    ]
    assert unlinearizable(history) == []


@pytest.mark.parametrize(
    "wrong",
    [
        call(2, 3, Get(X), None),
        call(2, 3, Get(X), b"never written"),
        call(2, 3, Delete(X), False),
        call(2, 3, CompareAndSwap(X, None, b"2"), True),
        call(2, 3, Scan(b"", b"", 10), []),
    ],
)
def test_an_answer_that_forgets_an_earlier_write_is_found(wrong: Call) -> None:
    assert unlinearizable([call(0, 1, Put(X, b"1")), wrong]) == [X]
    assert unlinearizable([call(0, 1, Put(Y, b"1")), wrong, call(0, 1, Put(X, b"1"))])[0] == X


def test_overlapping_operations_may_come_in_either_order() -> None:
    writes = [call(0, 10, Put(X, b"1")), call(0, 10, Put(X, b"2"))]
    for seen in (b"1", b"2"):
        assert unlinearizable([*writes, call(11, 12, Get(X), seen)]) == []
    both = [call(11, 12, Get(X), b"1"), call(13, 14, Get(X), b"2")]
    assert unlinearizable([*writes, *both]) == [X]


def test_a_read_that_goes_back_is_found() -> None:
    """The trace of T32: 1 written, then 2, and 1 read after 2 was read."""
    history = [
        call(0, 1, Put(X, b"1")),
        call(2, 20, Put(X, b"2")),
        call(3, 4, Get(X), b"2"),
        call(5, 6, Get(X), b"1"),
    ]
    assert unlinearizable(history) == [X]


def test_what_was_never_answered_may_have_happened_at_any_later_time_or_not() -> None:
    lost = Call(2, NEVER, encode(Put(X, b"2")), None)
    before = call(0, 1, Put(X, b"1"))
    for seen in (b"1", b"2"):
        assert unlinearizable([before, lost, call(50, 51, Get(X), seen)]) == []
    assert unlinearizable([lost, call(0, 1, Get(X), b"2")]) == [X]


def test_random_histories_of_one_register_with_real_overlaps_fit() -> None:
    for seed in range(20):
        rng = random.Random(seed)
        value: bytes | None = None
        history = []
        for step in range(200):
            point = 10 * step
            began, ended = point - rng.randrange(40), point + rng.randrange(1, 40)
            if rng.random() < 0.5:
                value = b"%d" % rng.randrange(3)
                history.append(call(began, ended, Put(X, value)))
            else:
                history.append(call(began, ended, Get(X), value))
        rng.shuffle(history)
        assert unlinearizable(history) == []
