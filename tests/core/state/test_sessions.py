"""The client table is a function of what executed, and so is the tree that holds it."""

import pytest

from pbft.core.errors import ServiceError
from pbft.core.state.sessions import FLOOR, PREFIX, Answer, Sessions, load
from pbft.crypto.trie import Trie


def answer(timestamp: int) -> Answer:
    return Answer(timestamp, bytes(32), timestamp, (b"\x00r",))


def test_executed_and_closed_timestamps_are_not_eligible() -> None:
    sessions = Sessions()
    assert sessions.eligible(("a", 1))
    for timestamp in (5, 1, 3, 9):
        sessions.close("a", answer(timestamp), 3, 10**6)
    assert sessions.floor("a") == 1
    assert [t for t in range(1, 12) if sessions.eligible(("a", t))] == [2, 4, 6, 7, 8, 10, 11]
    assert sessions.answer(("a", 9)) == answer(9)
    assert sessions.answer(("a", 1)) is None
    assert sessions.eligible(("b", 1))


def test_out_of_order_execution_keeps_what_is_between() -> None:
    """Fabric #1943: ordering the newest first must not lose the older ones."""
    sessions = Sessions()
    sessions.close("a", answer(5), 8, 10**6)
    assert all(sessions.eligible(("a", t)) for t in (1, 2, 3, 4))


def test_remembered_results_are_bounded_in_bytes_too() -> None:
    sessions = Sessions()
    big = [Answer(t, bytes(32), t, (bytes(100),)) for t in (1, 2, 3)]
    assert [sessions.close("a", each, 9, 250) for each in big] == [False, False, True]
    assert (sessions.floor("a"), sessions.table["a"].weight) == (1, 200)
    assert sessions.close("a", Answer(4, bytes(32), 4, (bytes(999),)), 9, 250)
    assert list(sessions.table["a"].answers) == [4]
    assert load(flushed(sessions)).table["a"].weight == 999


def flushed(sessions: Sessions, tree: Trie | None = None) -> Trie:
    tree = tree if tree is not None else Trie()
    sessions.flush(tree)
    return tree


def test_the_tree_depends_on_the_table_alone() -> None:
    """Neither the order of execution nor when it was written matters, nor what came and went."""
    one, two = Sessions(time=7), Sessions(time=7)
    tree = Trie()
    for client, timestamp in (("a", 1), ("b", 2), ("a", 3), ("a", 4)):
        one.close(client, answer(timestamp), 2, 10**6)
        flushed(one, tree)
    for client, timestamp in (("a", 3), ("a", 1), ("b", 2), ("a", 4)):
        two.close(client, answer(timestamp), 2, 10**6)
    assert flushed(two).digest == tree.digest
    assert load(tree) == one
    one.close("a", answer(5), 2, 10**6)
    assert flushed(one, tree).digest != flushed(two).digest


def test_what_comes_and_goes_between_two_writes_never_reaches_the_tree() -> None:
    sessions = Sessions()
    for timestamp in range(1, 1000):
        sessions.close("a", answer(timestamp), 4, 10**6)
    assert len(sessions.changed) == 4
    assert len(flushed(sessions)) == 4 + 2
    assert not sessions.changed
    assert not sessions.raised


def test_a_table_that_is_none_is_refused() -> None:
    for key, value in ((PREFIX + b"a" + bytes(8) + b"a", b"\x91" * 3000), (FLOOR + b"\xff", b"")):
        tree = Trie()
        tree.put(key, value)
        with pytest.raises(ServiceError):
            load(tree)
