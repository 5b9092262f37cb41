"""Timers are keys: keeping a key keeps its deadline, changing it starts anew."""

from pbft.core.state.timers import Timers


def test_the_same_key_keeps_its_deadline_and_a_vanished_one_ends() -> None:
    timers = Timers()
    timers.settle({("a", 1): 10, ("b",): 5}, now=100)
    timers.settle({("a", 1): 10}, now=107)
    assert timers.armed == {("a", 1): 110}
    assert timers.next() == 110
    timers.settle({("a", 2): 10}, now=109)
    assert timers.next() == 119


def test_due_timers_fire_once_and_are_counted() -> None:
    timers = Timers()
    timers.settle({("a",): 1, ("b",): 9}, now=0)
    assert timers.due(1) == [("a",)]
    assert timers.due(1) == []
    assert timers.fired == {"a": 1}
    assert Timers().next() is None
