"""One UDP socket over asyncio-dgram, with the edges taken off (T40).

asyncio-dgram queues without bound, and raises on `recv` and `send` the errors of other datagrams.
Here one task reads for as long as the socket lives, so that library's queue never holds more than
one turn of the event loop brings; what it reads waits in a queue bounded in packets and bytes.
Plain asyncio brings one datagram per turn and socket, and uvloop all that there are: on the former
the task reads on by itself, or a busy loop would fall ever further behind what is sent to it.
Errors are counted and swallowed: UDP promises nothing, and one dead peer must not stop the others.
"""

import asyncio
import errno
import socket
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import asyncio_dgram

from pbft.core.errors import ConfigurationError

Address: TypeAlias = tuple[Any, ...]
"""As the socket gives it: (host, port) for IPv4, with two more fields for IPv6."""

KERNEL_BUFFER_BYTES = 4 * 1024 * 1024
"""Asked for; the kernel gives at most its own limit (`net.core.rmem_max`)."""
SEND_ATTEMPTS = 4
BURST = 256
"""Datagrams read on after one that plain asyncio has brought."""
MAX_DATAGRAM_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class IngressLimits:
    """What may wait between the socket and its reader."""

    packets: int = 8192
    bytes: int = 8 * 1024 * 1024


class UdpSocket:
    """Made by `UdpSocket.open`. `wake` is called when the queue stops being empty."""

    def __init__(
        self,
        stream: Any,
        sock: socket.socket,
        limits: IngressLimits,
        drops: Counter[str],
        wake: Callable[[], None],
    ) -> None:
        self._stream = stream
        plain = isinstance(asyncio.get_running_loop(), asyncio.SelectorEventLoop)
        self._reads_on = sock if plain else None
        self._limits = limits
        self._drops = drops
        self._wake = wake
        self._queue: deque[tuple[bytes, Address]] = deque()
        self._bytes = 0
        self.received = 0
        self.sent = 0
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def open(
        cls,
        host: str,
        port: int,
        *,
        limits: IngressLimits,
        drops: Counter[str],
        wake: Callable[[], None],
    ) -> "UdpSocket":
        """Bind; port 0 takes any free one. Raises `ConfigurationError` where that cannot be."""
        sock = _bound(await resolve(host, port), host, port)
        return cls(await _stream(sock), sock, limits, drops, wake)

    @property
    def address(self) -> Address:
        """Where this socket is bound."""
        return tuple(self._stream.sockname)

    @property
    def raw(self) -> Any:
        """The socket itself, to set options of."""
        return self._stream.socket

    def __len__(self) -> int:
        return len(self._queue)

    def take(self, most: int) -> list[tuple[bytes, Address]]:
        """Up to `most` datagrams, oldest first."""
        queue = self._queue
        if len(queue) <= most:
            taken = list(queue)
            queue.clear()
            self._bytes = 0
            return taken
        taken = [queue.popleft() for _ in range(most)]
        self._bytes -= sum(len(data) for data, _ in taken)
        return taken

    async def send(self, data: bytes, address: Address) -> None:
        """Give a datagram to the kernel. An error that surfaces here belongs to an earlier one,
        and this one has not been sent yet: hence the attempts."""
        for _ in range(SEND_ATTEMPTS):
            try:
                await self._stream.send(data, address)
            except asyncio_dgram.TransportClosed:
                return
            except OSError as error:
                self._count(error)
            else:
                self.sent += 1
                return
        self._drops["datagram not sent"] += 1

    async def close(self) -> None:
        """Close the socket and wait for its reader. May be called again."""
        self._stream.close()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self) -> None:
        """Everything the library has, as soon as it has it. The socket ends with this task, so a
        loop that cancels its tasks at the end leaves none open: uvloop would wait for it."""
        recv = self._stream.recv
        try:
            while True:
                try:
                    data, address = await recv()
                except OSError as error:
                    self._count(error)
                else:
                    self._enqueue(data, address)
                    if self._reads_on is not None:
                        self._read_on(self._reads_on)
        except asyncio_dgram.TransportClosed:
            pass
        finally:
            self._stream.close()

    def _read_on(self, sock: socket.socket) -> None:
        for _ in range(BURST):
            try:
                self._enqueue(*sock.recvfrom(MAX_DATAGRAM_BYTES))
            except BlockingIOError:
                return
            except OSError as error:
                self._count(error)

    def _enqueue(self, data: bytes, address: Address) -> None:
        queue = self._queue
        self.received += 1
        size = self._bytes + len(data)
        if len(queue) >= self._limits.packets or size > self._limits.bytes:
            self._drops["ingress queue full"] += 1
            return
        self._bytes = size
        queue.append((data, address))
        if len(queue) == 1:
            self._wake()

    def _count(self, error: OSError) -> None:
        self._drops[f"socket error {errno.errorcode.get(error.errno or 0, 'unknown')}"] += 1


async def resolve(host: str, port: int) -> Address:
    """The first address of `host` for datagrams. Raises `ConfigurationError`."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(
            f"the host {host!r} has no address ({error}): correct it in cluster.toml"
        ) from None
    return found[0][4]


async def _stream(sock: socket.socket) -> Any:
    """Of asyncio-dgram, over `sock`; closed where nobody waits for it any more: uvloop would leave
    it open, and wait for it at the end."""
    making = asyncio.ensure_future(asyncio_dgram.from_socket(sock))
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        making.add_done_callback(_close)
        await asyncio.wait([making])
        raise


def _close(made: "asyncio.Future[Any]") -> None:
    if not made.cancelled() and made.exception() is None:
        made.result().close()


def _bound(address: Address, host: str, port: int) -> socket.socket:
    """A non-blocking socket with large kernel buffers, bound to `address`."""
    family = socket.AF_INET6 if len(address) > 2 else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, KERNEL_BUFFER_BYTES)
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise ConfigurationError(_why_not(error, host, port)) from None
    return sock


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is in use: stop who uses it, or change it in cluster.toml"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine: correct it in cluster.toml"
    return f"cannot listen on {host} port {port}: {error.strerror}; correct it in cluster.toml"
