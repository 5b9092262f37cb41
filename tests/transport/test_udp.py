"""The socket wrapper: bounded, deaf to other datagrams' errors, clear about a port in use (T40)."""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Coroutine

import pytest

from pbft.core.errors import ConfigurationError
from pbft.transport.loop import run
from pbft.transport.udp import IngressLimits, UdpSocket

HOST = "127.0.0.1"


async def opened(
    drops: Counter[str], wake: asyncio.Event, limits: IngressLimits | None = None, port: int = 0
) -> UdpSocket:
    return await UdpSocket.open(
        HOST, port, limits=limits or IngressLimits(), drops=drops, wake=wake.set
    )


async def settle(sock: UdpSocket, count: int) -> None:
    for _ in range(5000):
        if sock.received >= count:
            return
        await asyncio.sleep(0.001)
    raise TimeoutError(f"{sock.received} of {count} datagrams")


@pytest.mark.parametrize("start", [run, asyncio.run])
def test_datagrams_arrive_in_order_in_bursts(
    start: Callable[[Coroutine[None, None, None]], None],
) -> None:
    async def main() -> None:
        drops, wake = Counter[str](), asyncio.Event()
        one, other = await opened(drops, asyncio.Event()), await opened(drops, wake)
        for number in range(10):
            await one.send(b"%d" % number, other.address)
        await settle(other, 10)
        assert wake.is_set()
        first = other.take(4)
        assert [data for data, _ in first] == [b"0", b"1", b"2", b"3"]
        assert {address for _, address in first} == {one.address}
        assert [data for data, _ in other.take(100)] == [b"%d" % n for n in range(4, 10)]
        assert len(other) == 0
        await one.close()
        await other.close()
        await other.close()
        assert not drops

    start(main())


@pytest.mark.parametrize("start", [run, asyncio.run])
def test_a_burst_is_read_in_a_few_turns_of_either_loop(
    start: Callable[[Coroutine[None, None, None]], None],
) -> None:
    """Not one datagram per turn: a busy loop would fall ever further behind."""

    async def main() -> None:
        drops = Counter[str]()
        sock = await opened(drops, asyncio.Event())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            for _ in range(100):
                other.sendto(bytes(100), sock.address)
        for _ in range(6):
            await asyncio.sleep(0)
        assert sock.received == 100
        await sock.close()
        assert not drops

    start(main())


@pytest.mark.scenario("T40", "FL2", kills="T40 the ingress queue has no bound")
@pytest.mark.parametrize("limits", [IngressLimits(packets=5), IngressLimits(bytes=500)])
def test_the_queue_is_bounded_in_packets_and_in_bytes(limits: IngressLimits) -> None:
    async def main() -> None:
        drops = Counter[str]()
        sock = await opened(drops, asyncio.Event(), limits)
        for _ in range(20):
            await sock.send(bytes(100), sock.address)
        await settle(sock, 20)
        assert drops == {"ingress queue full": 15}
        assert len(sock.take(3)) == 3
        await sock.send(bytes(100), sock.address)  # room again
        await settle(sock, 21)
        assert len(sock.take(100)) == 3
        await sock.close()

    run(main())


@pytest.mark.scenario("T40", kills="T40 another datagram's error loses this one")
def test_errors_of_other_datagrams_are_counted_and_do_not_stop_this_one() -> None:
    async def main() -> None:
        drops = Counter[str]()
        sock = await opened(drops, asyncio.Event())
        await asyncio.sleep(0.01)  # the reader waits now: the next to meet the error is a sender
        await sock.send(bytes(70_000), sock.address)  # above what UDP carries: EMSGSIZE, later
        await asyncio.sleep(0.01)
        await sock.send(b"after", sock.address)
        await settle(sock, 1)
        assert [data for data, _ in sock.take(9)] == [b"after"]
        assert drops == {"socket error EMSGSIZE": 1}
        await sock.close()

    run(main())


def test_a_port_in_use_and_a_foreign_host_are_clear_errors() -> None:
    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind((HOST, 0))
            port = taken.getsockname()[1]
            with pytest.raises(ConfigurationError, match=f"port {port} of 127.0.0.1 is in use"):
                await opened(Counter(), asyncio.Event(), port=port)
        for host, why in (("192.0.2.1", "not an address of this machine"), ("a..b", "no address")):
            with pytest.raises(ConfigurationError, match=why):
                await UdpSocket.open(
                    host, 0, limits=IngressLimits(), drops=Counter(), wake=lambda: None
                )

    run(main())


def test_a_socket_that_nobody_closes_does_not_keep_the_loop_from_ending() -> None:
    async def main() -> None:
        sock = await opened(Counter(), asyncio.Event())
        kept.append(sock)
        raise KeyError

    kept: list[UdpSocket] = []
    with pytest.raises(KeyError):
        run(main())
