"""A bad network in user space: every directed link between two names loses, delays, doubles,
reorders, corrupts or is cut, as a test says while it runs. No root needed.

For each pair of ends the proxy has two sockets. Each end knows the other by the proxy's socket that
faces it, and sees the other's datagrams come from there; so the pair's two directions are apart,
whoever opened the link, and links (which learn addresses from datagrams) notice nothing.
One thread forwards; `conditions` may be changed from any other.
"""

import contextlib
import heapq
import random
import selectors
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import TypeAlias

HOST = "127.0.0.1"
BURST_DATAGRAMS = 64
"""Read from one socket before the next has its turn."""
LOOK_SECONDS = 0.05
"""How long the thread sleeps at most: how soon it sees that it is to stop."""
REORDER_MS = 5.0
"""How long a datagram is held back that others shall overtake."""
KERNEL_BUFFER_BYTES = 4 * 1024 * 1024
MAX_DATAGRAM_BYTES = 65_536
MAX_HELD = 100_000
"""Delayed datagrams in all; what comes beyond is lost."""

Address: TypeAlias = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Conditions:
    """Of one directed link. Shares are of its datagrams, 0 to 1; `delay_ms` is the least and the
    most that each is delayed."""

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    delay_ms: tuple[float, float] = (0.0, 0.0)


PERFECT = Conditions()
CUT = Conditions(loss=1.0)


@dataclass(slots=True)
class Side:
    """The socket that faces `name`; `address` is where `name` is, `learns` from its datagrams."""

    name: str
    sock: socket.socket
    address: Address | None
    learns: bool


@dataclass(order=True, slots=True)
class Held:
    """A datagram that leaves later, through `out`."""

    at: float
    number: int
    data: bytes = field(compare=False)
    out: Side = field(compare=False)


class Proxy:
    """`join` all pairs, then `start`."""

    def __init__(self, seed: int = 0) -> None:
        self.conditions: dict[tuple[str, str], Conditions] = {}
        """By (source, target); `PERFECT` where there is none."""
        self.counts: Counter[tuple[str, str]] = Counter()
        """Datagrams that came in, by (source, target)."""
        self._dice = random.Random(seed)
        self._selector = selectors.DefaultSelector()
        self._held: list[Held] = []
        self._number = 0
        self._stopping = False
        self._thread: threading.Thread | None = None

    def join(
        self, one: tuple[str, Address | None], other: tuple[str, Address | None]
    ) -> tuple[Address, Address]:
        """Two names with their addresses; none for one that binds any port, and speaks first.

        Returns where `one` reaches the other, and where `other` reaches the one."""
        sides = [Side(name, _bound(), address, address is None) for name, address in (one, other)]
        for near, far in (sides, reversed(sides)):
            self._selector.register(near.sock, selectors.EVENT_READ, (near, far))
        return _address(sides[0].sock), _address(sides[1].sock)

    def start(self) -> None:
        """Forward from now on."""
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop and close the sockets. May be called again."""
        self._stopping = True
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        for key in list((self._selector.get_map() or {}).values()):
            key.data[0].sock.close()
        self._selector.close()

    def __enter__(self) -> "Proxy":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self) -> None:
        while not self._stopping:
            until = self._held[0].at - time.monotonic() if self._held else LOOK_SECONDS
            for key, _ in self._selector.select(min(max(until, 0.0), LOOK_SECONDS)):
                self._read(*key.data)
            now = time.monotonic()
            while self._held and self._held[0].at <= now:
                due = heapq.heappop(self._held)
                _send(due.out, due.data)

    def _read(self, near: Side, far: Side) -> None:
        for _ in range(BURST_DATAGRAMS):
            try:
                data, address = near.sock.recvfrom(MAX_DATAGRAM_BYTES)
            except BlockingIOError:
                return
            except OSError:  # of an earlier datagram, to a port that nobody had
                continue
            if near.learns:
                near.address = address
            link = (near.name, far.name)
            self.counts[link] += 1
            self._forward(data, far, self.conditions.get(link, PERFECT))

    def _forward(self, data: bytes, out: Side, conditions: Conditions) -> None:
        if conditions is PERFECT:
            return _send(out, data)
        dice = self._dice
        if dice.random() < conditions.loss:
            return
        if data and dice.random() < conditions.corrupt:
            at = dice.randrange(len(data))
            data = data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]
        for _ in range(2 if dice.random() < conditions.duplicate else 1):
            delay = dice.uniform(*conditions.delay_ms)
            if dice.random() < conditions.reorder:
                delay += REORDER_MS
            if delay == 0.0:
                _send(out, data)
            elif len(self._held) < MAX_HELD:
                self._number += 1
                held = Held(time.monotonic() + delay / 1000, self._number, data, out)
                heapq.heappush(self._held, held)


def _send(out: Side, data: bytes) -> None:
    if out.address is None:
        return
    with contextlib.suppress(OSError):  # a port that nobody has, or a full buffer: lost
        out.sock.sendto(data, out.address)


def _bound() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, KERNEL_BUFFER_BYTES)
    sock.bind((HOST, 0))
    return sock


def _address(sock: socket.socket) -> Address:
    host, port = sock.getsockname()
    return host, port
