"""The client table is a function of what executed, and its image is canonical."""

import pytest

from pbft.core.errors import ServiceError
from pbft.core.state.sessions import Answer, Sessions, decode_image, encode_image


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
    again, _ = decode_image(encode_image(sessions, b""))
    assert again.table["a"].weight == 999


def test_the_image_does_not_depend_on_the_order_of_insertion() -> None:
    one, two = Sessions(time=7), Sessions(time=7)
    for client, timestamp in (("a", 1), ("b", 2), ("a", 3)):
        one.close(client, answer(timestamp), 9, 10**6)
    for client, timestamp in (("a", 3), ("a", 1), ("b", 2)):
        two.close(client, answer(timestamp), 9, 10**6)
    assert encode_image(one, b"s") == encode_image(two, b"s")
    sessions, service = decode_image(encode_image(one, b"s"))
    assert (sessions.image(), sessions.time, service) == (one.image(), 7, b"s")


def test_bytes_that_are_no_image_are_refused() -> None:
    for bad in (b"", b"\x93\x00\x90", b"\x91" * 3000):
        with pytest.raises(ServiceError):
            decode_image(bad)
