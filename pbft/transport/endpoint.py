"""One end of many sealed links: messages in and out by the peer's name, over one socket.

`post` cuts a message into frames once, whoever gets it; `flush`, once per turn, joins what waits
for each peer into as few datagrams as possible and seals them. While a peer's handshake runs a
bounded amount waits for it, newest last; the protocol repeats whatever is lost.

A message of several datagrams goes through the peer's `Bulk`: it leaves at a gentle pace, and the
peer asks for the fragments that it misses.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pbft.core.errors import ConfigurationError
from pbft.core.ids import MILLISECOND, SECOND
from pbft.crypto.link_state import Admit
from pbft.crypto.links import SEAL_OVERHEAD, Drop, Links, Outgoing
from pbft.crypto.noise import LinkPrivateKey
from pbft.transport.bulk import PACE_NS, Bulk
from pbft.transport.frames import MIN_ROOM, Fragment, FrameError, Missing, frames, pack, unpack
from pbft.transport.kernel_filter import Gate
from pbft.transport.reassembly import ASK_NS, Reassembly, ReassemblyLimits
from pbft.transport.udp import Address, IngressLimits, UdpSocket, resolve

REASSEMBLY_AGE_NS = 10 * SECOND
UNFINISHED_MESSAGES = 256
FRAME_US = 3
"""What a fragment costs, about: its sender is charged for it until its message is whole."""
LOOK_NS = 100 * MILLISECOND
"""How often the links are asked whether a handshake is due: not with every turn."""


@dataclass(frozen=True, slots=True)
class EndpointLimits:
    """Sizes in bytes. Of one peer: `message_bytes` is the largest message taken, and
    `reassembly_bytes` what its unfinished messages may occupy. `pending_bytes` is what waits for
    a peer that has no session yet, and `bulk_bytes` what is kept of the large messages sent to it,
    for the fragments that it may ask for again; the newest of them may exceed it."""

    datagram_bytes: int
    message_bytes: int
    reassembly_bytes: int
    pending_bytes: int
    bulk_bytes: int
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
        self._gate = Gate(sock.raw, links.initiation_bytes())
        self._room = limits.datagram_bytes - SEAL_OVERHEAD
        self._reassembly: dict[str, Reassembly] = {}
        self._outbox: dict[str, list[bytes]] = {}
        self._large: list[tuple[str, list[bytes]]] = []
        self._bulk: dict[str, Bulk] = {}
        self._sending: dict[str, Bulk] = {}
        """Those that have something waiting."""
        self._handshakes: list[Outgoing] = []
        self._look_at: int | None = None
        self._tend_at: int | None = None
        """When gaps are to be asked about, or what was sent grows old."""
        self._send_at: int | None = None
        """When the pace lets more of a large message go."""
        self.shunned: frozenset[str] = frozenset()
        """Peers whose datagrams are dropped unopened, for now."""
        self.nuisance: Counter[str] = Counter()
        """What their frames have cost for nothing, by peer (us): whoever shuns empties it."""
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
        if len(cut) > 1:
            self._large += ((peer, cut) for peer in peers)
            return
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
        if self._outbox:
            await self._flush_small(now)
        if self._large:
            self._keep_large(now)
        if self._sending:
            await self._flush_bulk(now)

    async def _flush_small(self, now: int) -> None:
        outbox, self._outbox = self._outbox, {}
        for peer, waiting in outbox.items():
            if not self._links.established(peer):
                self._hold(peer, waiting)
                continue
            await self._send(peer, waiting, now)

    async def _flush_bulk(self, now: int) -> None:
        """What the pace lets go of large messages."""
        self._send_at = None
        for peer, bulk in tuple(self._sending.items()):
            if self._links.established(peer):
                await self._send(peer, bulk.take(now), now)
                self._send_at = now + PACE_NS
            if not bulk.waiting:
                del self._sending[peer]
        if not self._sending:
            self._send_at = None

    async def _send(self, peer: str, waiting: list[bytes], now: int) -> None:
        for payload in pack(waiting, self._room):
            sealed = self._links.seal(peer, payload, now)
            if sealed is not None:
                await self._socket.send(sealed.data, sealed.address)

    def _keep_large(self, now: int) -> None:
        large, self._large = self._large, []
        for peer, cut in large:
            bulk = self._bulk.get(peer)
            if bulk is None:
                bulk = self._bulk[peer] = Bulk(self._limits.bulk_bytes, self._drops)
            size = bulk.held_bytes + sum(map(len, cut))
            if size > self._limits.pending_bytes and not self._links.established(peer):
                self._drops["sent to a peer without a session"] += 1
            else:
                bulk.post(cut, now)
                self._sending[peer] = bulk
                self._tend_before(bulk.deadline)

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
            if self.shunned and self._links.claimed(data) in self.shunned:
                self._drops["datagram of a peer that is a nuisance"] += 1
                self._gate.useless()
                continue
            received = receive(data, address, now)
            if received.outgoing:
                self._handshakes += received.outgoing
            if received.drop is not None:
                self._count(received.drop, received.peer)
            elif received.plaintext is not None and received.peer is not None:
                self._unpack(arrivals, received.peer, received.plaintext, now)
        if self._gate.look(now):
            self._gate.close(self._links.indexes(without=self.shunned))
        return arrivals

    def _count(self, drop: Drop, peer: str | None) -> None:
        self._drops[drop.value] += 1
        self._gate.useless()
        if drop is Drop.MISMATCH and peer is not None:
            self.mismatched.add(peer)

    def _unpack(self, arrivals: list[Arrival], peer: str, payload: bytes, now: int) -> None:
        try:
            found = unpack(payload)
        except FrameError:
            self._drops["malformed frames"] += 1
            self.nuisance[peer] += FRAME_US
            return
        for frame in found:
            if isinstance(frame, Fragment):
                whole = self._reassembly_of(peer).add(frame, now)
                self.nuisance[peer] += FRAME_US
                if whole is not None:
                    self.nuisance[peer] -= FRAME_US * frame.parts
                    arrivals.append(Arrival(peer, frame.kind, whole))
                else:
                    self._tend_before(now + ASK_NS)
            elif isinstance(frame, Missing):
                self._repeat(peer, frame, now)
            else:
                arrivals.append(Arrival(peer, frame.kind, frame.data))

    def _repeat(self, peer: str, missing: Missing, now: int) -> None:
        bulk = self._bulk.get(peer)
        if bulk is not None:
            bulk.repeat(missing, now)
            self._sending[peer] = bulk

    def _reassembly_of(self, peer: str) -> Reassembly:
        found = self._reassembly.get(peer)
        if found is None:
            found = self._reassembly[peer] = Reassembly(self._limits.reassembly, self._drops)
        return found

    @property
    def deadline(self) -> int | None:
        """When `expire` and `flush` want to be called (monotonic ns); none while nothing is due."""
        due = (self._look_at, self._tend_at, self._send_at)
        return min((at for at in due if at is not None), default=None)

    def expire(self, now: int) -> None:
        """Repeat handshakes and ask for fragments that are due; they leave with the next flush."""
        if self._look_at is not None and self._look_at <= now:
            self._handshakes += self._links.expire(now)
            due = self._links.deadline()
            self._look_at = now + LOOK_NS if due is None else min(due, now + LOOK_NS)
        if self._tend_at is not None and self._tend_at <= now:
            self._tend(now)

    def _tend(self, now: int) -> None:
        """Ask each peer for what is missing; forget what was sent long ago."""
        self._tend_at = None
        for peer in self.shunned & self._reassembly.keys():
            del self._reassembly[peer]  # what it began, it does not finish
        for peer, reassembly in self._reassembly.items():
            questions = reassembly.ask(now)
            if questions:
                self._outbox.setdefault(peer, []).extend(questions)
            self._tend_before(reassembly.deadline)
        for bulk in self._bulk.values():
            bulk.expire(now)
            self._tend_before(bulk.deadline)

    def _tend_before(self, at: int | None) -> None:
        if at is not None and (self._tend_at is None or at < self._tend_at):
            self._tend_at = at

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
    ticket: bytes = b"",
    admit: Admit | None = None,
) -> Endpoint:
    """Bind a socket for the links between `name` and `peers` (X25519 keys by name). `agreed` is
    a digest that must be equal at both ends. `ticket`: a guest's; `admit` judges those of others.
    Raises `ConfigurationError`."""
    if limits.datagram_bytes - SEAL_OVERHEAD < MIN_ROOM:
        raise ConfigurationError(f"datagram_bytes must be at least {MIN_ROOM + SEAL_OVERHEAD}")
    links = Links(
        identity=name,
        private=private,
        peers=peers,
        cluster=cluster_id,
        payload=agreed,
        random_bytes=os.urandom,
        ticket=ticket,
        admit=admit,
    )
    sock = await UdpSocket.open(*bind, limits=limits.ingress, drops=drops, wake=wake)
    return Endpoint(links, sock, limits, drops)
