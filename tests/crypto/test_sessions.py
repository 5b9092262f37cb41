"""A session opens each datagram once, in any order within the window, and no other."""

import pytest

from pbft.crypto.sessions import COUNTER_LIMIT, HEADER_BYTES, SEAL_OVERHEAD, WINDOW, Session

ONE, TWO = b"1" * 32, b"2" * 32


@pytest.fixture
def ends() -> tuple[Session, Session]:
    return (
        Session("b", 7, 9, (ONE, TWO), confirmed=True),
        Session("a", 9, 7, (TWO, ONE), confirmed=True),
    )


@pytest.mark.scenario("AU10", kills="AU10 both directions have one key")
def test_each_direction_has_its_key(ends: tuple[Session, Session]) -> None:
    a, b = ends
    assert b.open(a.seal(b"hello")) == (b"hello", True)
    assert a.open(b.seal(b"back")) == (b"back", True)
    assert a.open(a.seal(b"reflected")) is None


def test_the_overhead_is_what_it_says(ends: tuple[Session, Session]) -> None:
    assert len(ends[0].seal(b"x" * 100)) == 100 + SEAL_OVERHEAD


def test_a_datagram_opens_once(ends: tuple[Session, Session]) -> None:
    a, b = ends
    datagram = a.seal(b"once")
    assert b.open(datagram) is not None
    assert b.open(datagram) is None


def test_reordered_datagrams_open_and_only_the_newest_is_called_so(
    ends: tuple[Session, Session],
) -> None:
    a, b = ends
    first, second, third = (a.seal(each) for each in (b"1", b"2", b"3"))
    assert b.open(third) == (b"3", True)
    assert b.open(first) == (b"1", False)
    assert b.open(second) == (b"2", False)
    assert [b.open(each) for each in (first, second, third)] == [None] * 3


def test_what_is_older_than_the_window_is_refused(ends: tuple[Session, Session]) -> None:
    a, b = ends
    sealed = [a.seal(b"") for _ in range(WINDOW + 1)]
    assert b.open(sealed[WINDOW]) == (b"", True)
    assert b.open(sealed[0]) is None
    assert b.open(sealed[1]) == (b"", False)


def test_a_leap_beyond_the_window_forgets_what_lies_below(ends: tuple[Session, Session]) -> None:
    a, b = ends
    sealed = [a.seal(b"") for _ in range(2 * WINDOW + 2)]
    assert b.open(sealed[0]) is not None
    assert b.open(sealed[-1]) == (b"", True)
    assert b.open(sealed[0]) is None
    assert b.open(sealed[-2]) == (b"", False)


@pytest.mark.scenario("NW10", kills="NW10 a datagram that was damaged is an error of ours")
def test_every_byte_is_authenticated(ends: tuple[Session, Session]) -> None:
    a, b = ends
    datagram = a.seal(b"payload")
    for index in range(len(datagram)):
        damaged = bytearray(datagram)
        damaged[index] ^= 1
        assert b.open(bytes(damaged)) is None
    assert b.open(datagram) == (b"payload", True)


@pytest.mark.parametrize("length", [0, 1, 5, HEADER_BYTES, HEADER_BYTES + 15])
def test_a_stump_is_refused(ends: tuple[Session, Session], length: int) -> None:
    assert ends[1].open(ends[0].seal(b"payload")[:length]) is None


def test_a_forged_counter_does_not_move_the_window(ends: tuple[Session, Session]) -> None:
    a, b = ends
    datagram = a.seal(b"true")
    forged = datagram[:5] + (2**40).to_bytes(8, "big") + datagram[HEADER_BYTES:]
    assert b.open(forged) is None
    assert b.open(datagram) == (b"true", True)


def test_a_counter_near_its_end_asks_for_a_handshake(ends: tuple[Session, Session]) -> None:
    a, _ = ends
    assert not a.exhausted
    a._counter = COUNTER_LIMIT
    assert a.exhausted


def test_a_peer_that_leaps_ahead_in_its_counter_costs_nothing() -> None:
    """Its own counter is the peer's to choose, up to 64 bits."""
    a = Session("b", 7, 9, (ONE, TWO), confirmed=True)
    b = Session("a", 9, 7, (TWO, ONE), confirmed=True)
    assert b.open(a.seal(b"first")) == (b"first", True)
    a._counter = 2**63
    leapt = a.seal(b"leapt")
    assert b.open(leapt) == (b"leapt", True)
    assert b.open(leapt) is None
    assert b._seen == 1
