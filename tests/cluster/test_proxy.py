"""The proxy itself: each direction of each link does what its conditions say."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from pbft.testing.cluster.proxy import CUT, PERFECT, Address, Conditions, Proxy

HOST = "127.0.0.1"
COUNT = 400


class Pair:
    """Two sockets, `a` that any address may have and `b` at a known one, and a proxy between."""

    def __init__(self, stack: ExitStack) -> None:
        self.a, self.b = (
            stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)
        )
        for each in (self.a, self.b):
            each.bind((HOST, 0))
            each.settimeout(0.2)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
        self.proxy = Proxy(seed=1)
        self.to_b, self.to_a = self.proxy.join(("a", None), ("b", self.b.getsockname()))
        stack.enter_context(self.proxy)

    def send(self, source: socket.socket, to: Address, count: int = COUNT) -> list[bytes]:
        """Numbered datagrams; what arrives at the other end, in order."""
        target = self.b if source is self.a else self.a
        arrived = []
        for number in range(count):
            source.sendto(b"%06d" % number, to)
        try:
            while True:
                arrived.append(target.recv(100))
        except TimeoutError:
            return arrived


@pytest.fixture
def pair() -> Iterator[Pair]:
    with ExitStack() as stack:
        yield Pair(stack)


NUMBERED = [b"%06d" % number for number in range(COUNT)]


def test_both_directions_are_carried_and_each_end_sees_the_other_where_it_reaches_it(
    pair: Pair,
) -> None:
    pair.a.sendto(b"hello", pair.to_b)
    assert pair.b.recvfrom(100) == (b"hello", pair.to_a)
    pair.b.sendto(b"welcome", pair.to_a)
    assert pair.a.recvfrom(100) == (b"welcome", pair.to_b)
    assert pair.send(pair.a, pair.to_b) == NUMBERED
    assert pair.proxy.counts["a", "b"] == COUNT + 1


def test_a_cut_is_of_one_direction_and_ends_when_it_is_healed(pair: Pair) -> None:
    assert pair.send(pair.a, pair.to_b, 1)
    pair.proxy.conditions["a", "b"] = CUT
    assert pair.send(pair.a, pair.to_b) == []
    assert pair.send(pair.b, pair.to_a) == NUMBERED
    pair.proxy.conditions["a", "b"] = PERFECT
    assert pair.send(pair.a, pair.to_b) == NUMBERED


def test_loss_duplication_and_corruption_hit_their_share(pair: Pair) -> None:
    pair.proxy.conditions["a", "b"] = Conditions(loss=0.25)
    assert 0.65 * COUNT < len(pair.send(pair.a, pair.to_b)) < 0.85 * COUNT
    pair.proxy.conditions["a", "b"] = Conditions(duplicate=0.25)
    assert 1.15 * COUNT < len(pair.send(pair.a, pair.to_b)) < 1.35 * COUNT
    pair.proxy.conditions["a", "b"] = Conditions(corrupt=0.25)
    arrived = pair.send(pair.a, pair.to_b)
    changed = [got for got, sent in zip(arrived, NUMBERED, strict=True) if got != sent]
    assert 0.15 * COUNT < len(changed) < 0.35 * COUNT


def test_reordered_datagrams_all_arrive_some_of_them_late(pair: Pair) -> None:
    pair.proxy.conditions["a", "b"] = Conditions(reorder=0.2)
    arrived = pair.send(pair.a, pair.to_b)
    assert arrived != NUMBERED
    assert sorted(arrived) == NUMBERED


def test_delay_is_kept_within_its_bounds(pair: Pair) -> None:
    pair.proxy.conditions["a", "b"] = Conditions(delay_ms=(30.0, 40.0))
    began = time.monotonic()
    pair.a.sendto(b"late", pair.to_b)
    assert pair.b.recv(100) == b"late"
    assert 0.03 <= time.monotonic() - began < 0.15


def test_a_target_that_is_gone_does_not_stop_the_proxy(pair: Pair) -> None:
    pair.b.close()
    for number in range(20):
        pair.a.sendto(b"%d" % number, pair.to_b)
    time.sleep(0.05)
    assert pair.proxy.counts["a", "b"] == 20
