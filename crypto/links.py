"""Sealed datagram links between principals that know each other's static keys. Sans-I/O.

    INITIATION  0x01 | sender's index (4) | cookie (16) | name length (1) | name | Noise KK, first
                or, of a guest: ... | cookie (16) | 0 | ticket length (2) | ticket | Noise KK, first
    RESPONSE    0x02 | sender's index (4) | receiver's index (4) | Noise KK, second
    COOKIE      0x03 | receiver's index (4) | cookie (16)
    TRANSPORT   0x04 | receiver's index (4) | counter (8) | sealed payload
    STRANGER    0x05 | the index that names no session (4) | counter of that datagram (8)

*No state for unknown addresses.* An initiation whose cookie does not prove that its sender receives
at its address is answered with a cookie, statelessly, and with fewer bytes than it had; always, not
only under load: the one extra round trip per boot buys that no spoofed address ever costs a key
exchange.

*Guests* are peers that were not known beforehand. What a guest shows, its *ticket*, means nothing
here: whoever made us says which name and static key it stands for, after the cookie and before any
key exchange, and there is state for that name once its handshake was authentic. So the one who
vouches for tickets bounds their names.

*Replay and restart.* Keys mix fresh ephemerals of both ends, so nothing of an earlier session opens
in a later one, whatever a disk has forgotten. A responder keeps using the session it has until the
new one is confirmed by its first authentic transport datagram, which a replayer cannot make.
Simultaneous opens leave both sessions live; either side sends on the one confirmed last.

*A peer that restarted* says of what it cannot open that it is a STRANGER to it: statelessly, with
fewer bytes than it got, and only so often. That is not authentic, so nothing is given up for it:
who opened the link shakes hands anew, at most once a second, and uses the session it has until that
succeeds. Only who sees our datagrams can say it at all: index and counter must be theirs.

*Addresses* are learned from authentic transport datagrams alone, and only from the newest one.
"""

from collections.abc import Callable, Collection, Mapping
from enum import Enum
from typing import NamedTuple

from pbft.crypto.cookies import COOKIE_BYTES, NO_COOKIE, Cookies
from pbft.crypto.errors import HandshakeError
from pbft.crypto.introductions import (
    MAX_TICKET_BYTES,
    TICKET_HEADER_BYTES,
    introduced,
    introduction,
)
from pbft.crypto.link_state import Address, Admit, Handshake, Link, LinkLimits
from pbft.crypto.noise import KEY_BYTES, KK, TAG_BYTES, LinkPrivateKey
from pbft.crypto.sessions import SEAL_OVERHEAD, TRANSPORT, Session

__all__ = ["SEAL_OVERHEAD", "Address", "Drop", "LinkLimits", "Links", "Outgoing", "Received"]

INITIATION, RESPONSE, COOKIE = 1, 2, 3
STRANGER = 5
STRANGER_BYTES = 13
VERSION = b"pbft link 1"


class Outgoing(NamedTuple):
    """A datagram to send."""

    address: Address
    data: bytes


class Drop(Enum):
    """Why a datagram came to nothing; for counting."""

    MALFORMED = "malformed datagram"
    UNKNOWN_SESSION = "datagram of no session"
    NOT_AUTHENTIC = "forged or replayed datagram"
    UNKNOWN_PEER = "handshake of an unknown peer"
    BAD_HANDSHAKE = "handshake that does not authenticate"
    MISMATCH = "peer with another configuration"
    UNEXPECTED = "handshake answer that was not asked for"


class Received(NamedTuple):
    """What one datagram gave: a payload of `peer`, datagrams to send, or the reason for nothing."""

    peer: str | None = None
    plaintext: bytes | None = None
    outgoing: tuple[Outgoing, ...] = ()
    drop: Drop | None = None
    established: bool = False


class Links:
    """All links of one local principal."""

    def __init__(
        self,
        *,
        identity: str,
        private: LinkPrivateKey,
        peers: Mapping[str, bytes],
        cluster: bytes,
        payload: bytes,
        random_bytes: Callable[[int], bytes],
        limits: LinkLimits | None = None,
        ticket: bytes = b"",
        admit: Admit | None = None,
    ) -> None:
        """`peers` maps names to X25519 public keys; `cluster` is bound into every handshake;
        `payload` must be equal at both ends (a digest of the configuration). `ticket` is what we
        show where our name is not known; `admit` judges those of others."""
        self._identity = identity.encode()
        self._private = private
        self._links = {name: Link(public) for name, public in peers.items() if name != identity}
        self._cluster = cluster
        self._payload = payload
        self._ticket = ticket
        self._admit = admit
        self._random = random_bytes
        self._limits = limits or LinkLimits()
        self._sessions: dict[int, Session] = {}
        self._cookies = Cookies(random_bytes, self._limits.cookie_ns)
        self._answered_strangers = 0
        self._answer_until = 0

    def established(self, peer: str) -> bool:
        """Whether `seal` would work."""
        link = self._links.get(peer)
        return link is not None and link.current is not None

    def address(self, peer: str) -> Address | None:
        """Where datagrams for `peer` go."""
        link = self._links.get(peer)
        return link.address if link else None

    def open(self, peer: str, address: Address, now: int) -> list[Outgoing]:
        """Begin a handshake with a configured peer; `expire` repeats it until it succeeds."""
        link = self._links[peer]
        link.wanted = True
        if link.address is None:
            link.address = address
        return [] if link.handshake else [self._initiate(peer, link, now)]

    def seal(self, peer: str, plaintext: bytes, now: int) -> Outgoing | None:
        """A datagram that only `peer` can open; none while there is no session."""
        link = self._links.get(peer)
        if link is None or link.current is None or link.address is None or link.current.exhausted:
            return None
        if link.unheard_since is None:
            link.unheard_since = now
        return Outgoing(link.address, link.current.seal(plaintext))

    def indexes(self, without: Collection[str] = ()) -> frozenset[int]:
        """What datagrams to us may name: sessions, at either end, and our handshakes; but none of
        the sessions of the peers `without`."""
        sessions = [each for each in self._sessions.values() if each.peer not in without]
        found = {each.index for each in sessions} | {each.remote_index for each in sessions}
        shakes = (link.handshake for link in self._links.values())
        return frozenset(found | {each.index for each in shakes if each is not None})

    def initiation_bytes(self) -> list[range]:
        """How long the initiations of our peers are."""
        fixed = 22 + KEY_BYTES + TAG_BYTES + len(self._payload)
        lengths = sorted({fixed + len(name.encode()) for name in self._links})
        low = fixed + TICKET_HEADER_BYTES
        guests = [range(low, low + MAX_TICKET_BYTES)] if self._admit else []
        return [range(length, length + 1) for length in lengths] + guests

    def claimed(self, datagram: bytes) -> str | None:
        """Whose session a datagram names; nothing has been checked."""
        session = self._sessions.get(int.from_bytes(datagram[1:5], "big"))
        return session.peer if session is not None and datagram[0] == TRANSPORT else None

    def receive(self, datagram: bytes, address: Address, now: int) -> Received:
        """Never raises, whatever the bytes."""
        if len(datagram) > SEAL_OVERHEAD - 1 and datagram[0] == TRANSPORT:
            return self._transport(datagram, address, now)
        if len(datagram) < 5:
            return Received(drop=Drop.MALFORMED)
        try:
            if datagram[0] == INITIATION:
                return self._initiation(datagram, address, now)
            if datagram[0] == RESPONSE:
                return self._response(datagram, now)
            if datagram[0] == COOKIE:
                return self._cookie(datagram)
            if datagram[0] == STRANGER:
                return self._stranger(datagram, address, now)
        except HandshakeError:
            return Received(drop=Drop.BAD_HANDSHAKE)
        return Received(drop=Drop.MALFORMED)

    def expire(self, now: int) -> list[Outgoing]:
        """Repeat handshakes that got no answer; begin new ones where a peer fell silent."""
        outgoing = []
        for peer, link in self._links.items():
            shake = link.handshake
            if shake is not None and shake.deadline <= now:
                outgoing.append(self._initiate(peer, link, now, self._longer(shake.delay)))
            elif shake is None and link.wanted and self._silent(link, now):
                outgoing.append(self._initiate(peer, link, now))
        return outgoing

    def deadline(self) -> int | None:
        """When `expire` wants to be called (monotonic ns)."""
        deadlines = [link.handshake.deadline for link in self._links.values() if link.handshake]
        deadlines += [
            link.unheard_since + self._limits.silence_ns
            for link in self._links.values()
            if link.handshake is None and link.wanted and link.unheard_since is not None
        ]
        return min(deadlines, default=None)

    # -- our handshakes -----------------------------------------------------------------------

    def _longer(self, delay: int) -> int:
        return min(2 * delay, self._limits.retry_max_ns)

    def _silent(self, link: Link, now: int) -> bool:
        since = link.unheard_since
        deaf = since is not None and now >= since + self._limits.silence_ns
        return link.current is None or link.current.exhausted or deaf

    def _initiate(self, peer: str, link: Link, now: int, delay: int = 0) -> Outgoing:
        """A fresh ephemeral for every attempt; a cookie stays good across them."""
        cookie = link.handshake.cookie if link.handshake else NO_COOKIE
        ends = (self._identity, peer.encode())
        noise = self._noise(ends, link.public, self._ticket, initiator=True)
        wait = delay or self._limits.retry_ns
        index = self._new_index()
        first = noise.write_first(self._payload)
        link.handshake = Handshake(index, noise, first, cookie, now + wait, wait)
        return self._initiation_datagram(link, link.handshake)

    def _initiation_datagram(self, link: Link, shake: Handshake) -> Outgoing:
        if link.address is None:
            raise HandshakeError("a link is opened with an address")
        index = shake.index.to_bytes(4, "big")
        who = introduction(self._identity, self._ticket)
        data = bytes([INITIATION]) + index + shake.cookie + who + shake.first
        return Outgoing(link.address, data)

    def _cookie(self, datagram: bytes) -> Received:
        """Send the same initiation again, with the cookie."""
        link = self._handshaking(int.from_bytes(datagram[1:5], "big"))
        cookie = datagram[5:]
        if link is None or link.handshake is None or len(cookie) != COOKIE_BYTES:
            return Received(drop=Drop.UNEXPECTED)
        if link.handshake.cookie == cookie:
            return Received()
        link.handshake.cookie = cookie
        return Received(outgoing=(self._initiation_datagram(link, link.handshake),))

    def _stranger(self, datagram: bytes, address: Address, now: int) -> Received:
        """Our peer may have restarted: a handshake tells."""
        index, counter = int.from_bytes(datagram[1:5], "big"), int.from_bytes(datagram[5:], "big")
        for peer, link in self._links.items():
            if link.wanted and link.address == address and link.current is not None:
                if len(datagram) != STRANGER_BYTES or not link.current.sent_lately(index, counter):
                    continue
                if link.handshake is not None or now < link.believe_at:
                    return Received()
                link.believe_at = now + self._limits.stranger_ns
                return Received(outgoing=(self._initiate(peer, link, now),))
        return Received(drop=Drop.UNEXPECTED)

    def _response(self, datagram: bytes, now: int) -> Received:
        """Our handshake is complete; an empty datagram confirms it to the peer."""
        link = self._handshaking(int.from_bytes(datagram[5:9], "big"))
        if link is None or link.handshake is None or len(datagram) < 9:
            return Received(drop=Drop.UNEXPECTED)
        shake, peer = link.handshake, self._name(link)
        payload = shake.noise.read_second(datagram[9:])
        if payload != self._payload:
            return Received(peer, drop=Drop.MISMATCH)
        remote = int.from_bytes(datagram[1:5], "big")
        session = Session(peer, shake.index, remote, shake.noise.split(), confirmed=True)
        link.handshake = None
        link.unheard_since = None
        self._promote(link, session)
        confirmation = self.seal(peer, b"", now)
        return Received(peer, outgoing=(confirmation,) if confirmation else (), established=True)

    # -- the peers' handshakes ------------------------------------------------------------------

    def _initiation(self, datagram: bytes, address: Address, now: int) -> Received:
        claim = introduced(datagram[21:])
        if claim is None:
            return Received(drop=Drop.MALFORMED)
        name, ticket, first = claim
        peer = name.decode("utf-8", "replace")
        if self._admit is None if ticket else peer not in self._links:
            return Received(drop=Drop.UNKNOWN_PEER)
        if not self._cookies.prove(datagram[5:21], address, now):
            answer = bytes([COOKIE]) + datagram[1:5] + self._cookies.make(address)
            return Received(outgoing=(Outgoing(address, answer),))
        known = self._known(peer, ticket, address, now)
        if known is None:
            return Received(drop=Drop.UNKNOWN_PEER)
        peer, public = known
        noise = self._noise((peer.encode(), self._identity), public, ticket, initiator=False)
        if noise.read_first(first) != self._payload:
            second = noise.write_second(self._payload)
            answer = self._response_datagram(0, datagram[1:5], second)
            return Received(peer, outgoing=(Outgoing(address, answer),), drop=Drop.MISMATCH)
        index = self._new_index()
        second = noise.write_second(self._payload)
        remote = int.from_bytes(datagram[1:5], "big")
        session = Session(peer, index, remote, noise.split(), confirmed=False)
        link = self._links.setdefault(peer, Link(public))
        self._keep_pending(link, session)
        answer = self._response_datagram(index, datagram[1:5], second)
        return Received(outgoing=(Outgoing(address, answer),))

    def _known(
        self, peer: str, ticket: bytes, address: Address, now: int
    ) -> tuple[str, bytes] | None:
        """The name and static key of whoever has introduced itself."""
        if ticket and self._admit is not None:
            return self._admit(ticket, address, now)
        return peer, self._links[peer].public

    def _response_datagram(self, index: int, remote: bytes, second: bytes) -> bytes:
        return bytes([RESPONSE]) + index.to_bytes(4, "big") + remote + second

    def _keep_pending(self, link: Link, session: Session) -> None:
        link.pending[session.index] = session
        self._sessions[session.index] = session
        if len(link.pending) > self._limits.pending_sessions:
            oldest, _ = link.pending.popitem(last=False)
            self._forget(oldest)

    # -- transport ------------------------------------------------------------------------------

    def _transport(self, datagram: bytes, address: Address, now: int) -> Received:
        session = self._sessions.get(int.from_bytes(datagram[1:5], "big"))
        if session is None:
            return Received(
                drop=Drop.UNKNOWN_SESSION, outgoing=self._unknown(datagram, address, now)
            )
        opened = session.open(datagram)
        if opened is None:
            return Received(drop=Drop.NOT_AUTHENTIC)
        plaintext, newest = opened
        link = self._links[session.peer]
        link.unheard_since = None
        established = False
        if not session.confirmed:
            session.confirmed = established = True
            del link.pending[session.index]
            self._promote(link, session)
        if newest and session is link.current:
            link.address = address
        return Received(session.peer, plaintext or None, established=established)

    def _unknown(self, datagram: bytes, address: Address, now: int) -> tuple[Outgoing, ...]:
        if now >= self._answer_until:
            self._answer_until = now + self._limits.retry_ns
            self._answered_strangers = 0
        if self._answered_strangers >= self._limits.strangers:
            return ()
        self._answered_strangers += 1
        return (Outgoing(address, bytes([STRANGER]) + datagram[1:STRANGER_BYTES]),)

    def _promote(self, link: Link, session: Session) -> None:
        """Send on `session` from now on; what the peer still sends on the last one is read."""
        if link.previous is not None:
            self._forget(link.previous.index)
        link.previous, link.current = link.current, session
        self._sessions[session.index] = session

    # -- small things ---------------------------------------------------------------------------

    def _noise(
        self, ends: tuple[bytes, bytes], public: bytes, ticket: bytes, *, initiator: bool
    ) -> KK:
        """Between the initiator and the responder that `ends` names."""
        parts = (VERSION, self._cluster, *ends, ticket)
        framed = b"".join(len(part).to_bytes(2, "big") + part for part in parts)
        return KK(
            initiator=initiator,
            static=self._private,
            remote=public,
            prologue=framed,
            ephemeral=LinkPrivateKey.generate(self._random),
        )

    def _handshaking(self, index: int) -> Link | None:
        for link in self._links.values():
            if link.handshake is not None and link.handshake.index == index:
                return link
        return None

    def _name(self, link: Link) -> str:
        return next(name for name, each in self._links.items() if each is link)

    def _new_index(self) -> int:
        while True:
            index = int.from_bytes(self._random(4), "big")
            if index and index not in self._sessions and self._handshaking(index) is None:
                return index

    def _forget(self, index: int) -> None:
        self._sessions.pop(index, None)
