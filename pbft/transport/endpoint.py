"""One end of many sealed links: messages in and out by the peer's name, over one socket.

`post` cuts a message into frames once, whoever gets it; `flush`, once per turn, joins what waits
for each peer into as few datagrams as possible and seals them. While a peer's handshake runs a
bounded amount waits for it, newest last; the protocol repeats whatever is lost.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pbft.core.errors import ConfigurationError
from pbft.core.ids import MILLISECOND, SECOND
from pbft.crypto.links import SEAL_OVERHEAD, Drop, Links, Outgoing
from pbft.crypto.noise import LinkPrivateKey
from pbft.transport.frames import MIN_ROOM, Fragment, FrameError, frames, pack, unpack
from pbft.transport.reassembly import Reassembly, ReassemblyLimits
from pbft.transport.udp import Address, IngressLimits, UdpSocket, resolve

REASSEMBLY_AGE_NS = 10 * SECOND
UNFINISHED_MESSAGES = 256
LOOK_NS = 100 * MILLISECOND
"""How often the links are asked whether a handshake is due: not with every turn."""


@dataclass(frozen=True, slots=True)
class EndpointLimits:
    """Sizes in bytes. Of one peer: `message_bytes` is the largest message taken, and
    `reassembly_bytes` what its unfinished messages may occupy. `pending_bytes` is what waits for
    a peer that has no session yet."""

    datagram_bytes: int
    message_bytes: int
    reassembly_bytes: int
    pending_bytes: int
    ingress: IngressLimits = field(default_factory=IngressLimits)

    @property
    def reassembly(self) -> ReassemblyLimits:
        """The bounds for the fragments of one peer."""
        return ReassemblyLimits(
            held_bytes=self.reassembly_bytes,
            messages=UNFINISHED_MESSAGES,
            age_ns=REASSEMBLY_AGE_NS,
            message_bytes=self.message_bytes,
        )


class Arrival(NamedTuple):
    """One whole message, from the peer that the link vouches for."""

    peer: str
    kind: int
    data: bytes


class Endpoint:
    """Made by `open_endpoint`. `drops` is shared with whoever reports it."""

    def __init__(
        self, links: Links, sock: UdpSocket, limits: EndpointLimits, drops: Counter[str]
    ) -> None:
        self._links = links
        self._socket = sock
        self._limits = limits
        self._drops = drops
        self._room = limits.datagram_bytes - SEAL_OVERHEAD
        self._reassembly: dict[str, Reassembly] = {}
        self._outbox: dict[str, list[bytes]] = {}
        self._handshakes: list[Outgoing] = []
        self._look_at: int | None = None
        self.mismatched: set[str] = set()
        """Peers that run with another cluster file."""

    @property
    def address(self) -> Address:
        """Where the socket is bound."""
        return self._socket.address

    @property
    def waiting(self) -> int:
        """Datagrams that have been read and not taken."""
        return len(self._socket)

    @property
    def counts(self) -> tuple[int, int]:
        """Datagrams received and sent."""
        return self._socket.received, self._socket.sent

    async def open(self, peer: str, host: str, port: int, now: int) -> None:
        """Keep up a link to `peer`. Raises `ConfigurationError` where `host` has no address."""
        address = await resolve(host, port)
        self._look_at = now
        self._handshakes += self._links.open(peer, address, now)

    def established(self, peer: str) -> bool:
        """Whether what is posted to `peer` leaves with the next flush."""
        return self._links.established(peer)

    def post(self, peers: Iterable[str], kind: int, data: bytes) -> None:
        """A message for each of `peers`, to leave with the next flush."""
        cut = frames(kind, data, self._room)
        outbox = self._outbox
        for peer in peers:
            if peer in outbox:
                outbox[peer] += cut
            else:
                outbox[peer] = cut.copy()

    async def flush(self, now: int) -> None:
        """Send what was posted, and what handshakes need."""
        handshakes, self._handshakes = self._handshakes, []
        for datagram in handshakes:
            await self._socket.send(datagram.data, datagram.address)
        if not self._outbox:
            return
        outbox, self._outbox = self._outbox, {}
        for peer, waiting in outbox.items():
            if not self._links.established(peer):
                self._hold(peer, waiting)
                continue
            for payload in pack(waiting, self._room):
                sealed = self._links.seal(peer, payload, now)
                if sealed is not None:
                    await self._socket.send(sealed.data, sealed.address)

    def _hold(self, peer: str, waiting: list[bytes]) -> None:
        """Keep the newest of what waits for a session."""
        size = sum(map(len, waiting))
        drop = 0
        while size > self._limits.pending_bytes and drop < len(waiting):
            size -= len(waiting[drop])
            drop += 1
        if drop:
            self._drops["sent to a peer without a session"] += 1
        if drop < len(waiting):
            self._outbox[peer] = waiting[drop:]

    def take(self, most: int, now: int) -> list[Arrival]:
        """The messages in up to `most` datagrams. Never raises, whatever they hold."""
        arrivals: list[Arrival] = []
        receive = self._links.receive
        for data, address in self._socket.take(most):
            received = receive(data, address, now)
            if received.outgoing:
                self._handshakes += received.outgoing
            if received.drop is not None:
                self._count(received.drop, received.peer)
            elif received.plaintext is not None and received.peer is not None:
                self._unpack(arrivals, received.peer, received.plaintext, now)
        return arrivals

    def _count(self, drop: Drop, peer: str | None) -> None:
        self._drops[drop.value] += 1
        if drop is Drop.MISMATCH and peer is not None:
            self.mismatched.add(peer)

    def _unpack(self, arrivals: list[Arrival], peer: str, payload: bytes, now: int) -> None:
        try:
            found = unpack(payload)
        except FrameError:
            self._drops["malformed frames"] += 1
            return
        for frame in found:
            if type(frame) is not Fragment:
                arrivals.append(Arrival(peer, frame.kind, frame.data))
                continue
            whole = self._reassembly_of(peer).add(frame, now)
            if whole is not None:
                arrivals.append(Arrival(peer, frame.kind, whole))

    def _reassembly_of(self, peer: str) -> Reassembly:
        found = self._reassembly.get(peer)
        if found is None:
            found = self._reassembly[peer] = Reassembly(self._limits.reassembly, self._drops)
        return found

    @property
    def deadline(self) -> int | None:
        """When `expire` wants to be called (monotonic ns); none for ends that open no links."""
        return self._look_at

    def expire(self, now: int) -> None:
        """Repeat handshakes that are due; they leave with the next flush."""
        if self._look_at is not None and self._look_at <= now:
            self._handshakes += self._links.expire(now)
            due = self._links.deadline()
            self._look_at = now + LOOK_NS if due is None else min(due, now + LOOK_NS)

    async def close(self) -> None:
        """May be called again."""
        await self._socket.close()


async def open_endpoint(
    name: str,
    private: LinkPrivateKey,
    peers: Mapping[str, bytes],
    *,
    cluster_id: bytes,
    agreed: bytes,
    bind: tuple[str, int],
    limits: EndpointLimits,
    drops: Counter[str],
    wake: Callable[[], None],
) -> Endpoint:
    """Bind a socket for the links between `name` and `peers` (X25519 keys by name). `agreed` is
    a digest that must be equal at both ends. Raises `ConfigurationError`."""
    if limits.datagram_bytes - SEAL_OVERHEAD < MIN_ROOM:
        raise ConfigurationError(f"datagram_bytes must be at least {MIN_ROOM + SEAL_OVERHEAD}")
    links = Links(
        identity=name,
        private=private,
        peers=peers,
        cluster=cluster_id,
        payload=agreed,
        random_bytes=os.urandom,
    )
    sock = await UdpSocket.open(*bind, limits=limits.ingress, drops=drops, wake=wake)
    return Endpoint(links, sock, limits, drops)
