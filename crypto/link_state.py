"""What an end of links knows of each peer, and how long it waits for what."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from pbft.crypto.noise import KK
from pbft.crypto.sessions import Session

Address: TypeAlias = tuple[str, int]
Admit: TypeAlias = Callable[[bytes, Address, int], tuple[str, bytes] | None]
"""Judges a ticket that came from an address, at a time (monotonic ns): the name and the X25519 key
of its guest, or none."""


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """Times in nanoseconds."""

    retry_ns: int = 200_000_000
    retry_max_ns: int = 2_000_000_000
    silence_ns: int = 3_000_000_000
    """An opened link that hears nothing for so long while it sends shakes hands anew."""
    cookie_ns: int = 60_000_000_000
    """How long a cookie secret is used; the one before stays valid as long again."""
    stranger_ns: int = 1_000_000_000
    """A link shakes hands at most so often because its peer says it does not know the session."""
    strangers: int = 64
    """So many datagrams of no session are answered in each `retry_ns`, whoever sent them."""
    pending_sessions: int = 4
    """Unconfirmed sessions kept per peer."""


@dataclass(slots=True)
class Handshake:
    """Our initiation under way."""

    index: int
    noise: KK
    first: bytes
    cookie: bytes
    deadline: int
    delay: int


@dataclass(slots=True)
class Link:
    """All state about one peer: bounded, and made only for configured peers and for guests whose
    handshake was authentic."""

    public: bytes
    address: Address | None = None
    current: Session | None = None
    previous: Session | None = None
    pending: "OrderedDict[int, Session]" = field(default_factory=OrderedDict)
    handshake: Handshake | None = None
    wanted: bool = False
    """We opened this link: keep it up."""
    unheard_since: int | None = None
    """When we first sent without hearing anything since."""
    believe_at: int = 0
    """From when on the peer is believed again that it does not know our session."""
