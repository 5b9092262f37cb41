"""The socket filter, which only Linux has: what passes and what the kernel drops."""

import socket

import pytest

from pbft.transport.kernel_filter import SAMPLE, Gate, attach, detach, program

OURS, THEIRS = 0x01020304, 0x0A0B0C0D


def transport(index: int) -> bytes:
    """As a sealed datagram begins."""
    return b"\x04" + index.to_bytes(4, "big") + bytes(60)


def response(index: int) -> bytes:
    return b"\x02" + bytes(4) + index.to_bytes(4, "big") + bytes(60)


def pair() -> tuple[socket.socket, socket.socket]:
    """A bound socket, and one that sends to it."""
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
    receiver.bind(("127.0.0.1", 0))
    receiver.setblocking(False)
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect(receiver.getsockname())
    return receiver, sender


def received(sock: socket.socket) -> list[bytes]:
    found = []
    while True:
        try:
            found.append(sock.recv(2048))
        except BlockingIOError:
            return found


def passed(data: bytes, count: int = 640) -> int:
    """How many of so many get through a filter for `OURS` and initiations of 100 to 103 bytes."""
    receiver, sender = pair()
    with receiver, sender:
        assert attach(receiver, [7, OURS], [range(90, 91), range(100, 104)])
        for _ in range(count):
            sender.send(data)
        return len(received(receiver))


def test_what_names_a_session_passes() -> None:
    assert passed(transport(OURS)) == 640
    assert passed(response(OURS)) == 640
    assert passed(b"\x03" + OURS.to_bytes(4, "big") + bytes(16)) == 640


def test_an_initiation_passes_by_its_length() -> None:
    for length in (90, 100, 103):
        assert passed(b"\x01" + bytes(length - 1)) == 640
    for length in (89, 91, 99, 104):
        assert passed(b"\x01" + bytes(length - 1)) < 64


@pytest.mark.parametrize(
    "data", [transport(THEIRS), response(THEIRS), b"\x01" + bytes(50), b"\x09" + bytes(70)]
)
def test_of_the_rest_one_in_many_passes(data: bytes) -> None:
    assert 0 < passed(data, 40 * SAMPLE) < 120


@pytest.mark.parametrize("data", [b"", b"\x04", b"\x02\x00\x00\x00\x00", b"\x04\x01\x02\x03"])
def test_what_is_cut_does_not_pass(data: bytes) -> None:
    assert passed(data) == 0


def test_without_it_everything_passes_again() -> None:
    receiver, sender = pair()
    with receiver, sender:
        attach(receiver, [OURS], [])
        detach(receiver)
        for _ in range(100):
            sender.send(transport(THEIRS))
        assert len(received(receiver)) == 100


def test_a_filter_that_the_kernel_would_not_take_is_none() -> None:
    receiver, sender = pair()
    with receiver, sender:
        assert not attach(receiver, range(5000), [])


def test_no_jump_is_longer_than_a_byte_can_say() -> None:
    for code in program(range(1000), [range(n, n + 1) for n in range(0, 40, 2)]):
        assert all(0 <= jump < 256 for jump in code[1:3])


def test_the_gate_closes_in_a_flood_and_opens_after_it() -> None:
    receiver, sender = pair()
    with receiver, sender:
        gate = Gate(receiver, [])
        now = Gate.LOOK_NS
        assert not gate.look(now)
        for _ in range(Gate.FLOOD + 1):
            gate.useless()
        assert not gate.look(now + 1)
        now += Gate.LOOK_NS
        assert gate.look(now)
        gate.close(frozenset({OURS}))
        assert gate.closed
        for _ in range(Gate.FLOOD // SAMPLE + 1):
            gate.useless()
        assert gate.look(now + Gate.LOOK_NS)
        assert gate.closed
        assert not gate.look(now + 2 * Gate.LOOK_NS)
        assert not gate.closed
