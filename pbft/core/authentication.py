"""Who may have signed what: the table of public keys, and the domain every signature is bound to.

A guest is not in the table: its ticket says under which key it signs, and is signed by a client
that the table lets admit. So who may have signed what depends on bytes and on the cluster file
alone: all replicas judge a request alike, at any time, and whoever verifies a receipt does (T48).

A signature covers (protocol and version, cluster id, body), and a body begins with its message
type: a PREPARE is never a COMMIT, and nothing signed in one cluster means anything in another
(T5). The same interface is served by Ed25519 in a cluster and by keyed tags in most simulations.
"""

from collections.abc import Mapping
from typing import Protocol, TypeVar

from pbft.core.errors import DecodeError
from pbft.core.ids import ClientId, Digest, Principal
from pbft.core.messages import Request, Signable, Signed, Ticket, sender
from pbft.core.wire import decode_ticket, encode_body, seal_signed, split_signed
from pbft.crypto.digests import digest
from pbft.crypto.signing import verify

DOMAIN = b"pbft/1 signed message"
MEMO_ENTRIES = 16_384

M = TypeVar("M", bound=Signable)


class Signer(Protocol):
    """The private half: `SigningKey` of `pbft.crypto.signing`, or a stand-in of the simulator."""

    def sign(self, message: bytes) -> bytes: ...


class Verifier(Protocol):
    """The public half: knows every principal's key; false for principals it does not know. `key`:
    of a principal that is not in the table, from its ticket."""

    def verify(
        self, principal: Principal, message: bytes, signature: bytes, key: bytes | None = None
    ) -> bool: ...

    def guests(self, client: ClientId) -> int:
        """How many others `client` may admit."""


class Ed25519Verifier:
    """The one verifier of real clusters, over the public keys of the cluster file (T42)."""

    def __init__(
        self, keys: Mapping[Principal, bytes], admits: Mapping[ClientId, int] | None = None
    ) -> None:
        self._keys = dict(keys)
        self._admits = dict(admits or {})

    def verify(
        self, principal: Principal, message: bytes, signature: bytes, key: bytes | None = None
    ) -> bool:
        key = key or self._keys.get(principal)
        return key is not None and verify(key, message, signature)

    def guests(self, client: ClientId) -> int:
        return self._admits.get(client, 0)


class Authentication:
    """Signs for one principal and checks everybody's signatures, each set of bytes once.

    The memo holds digests of raw messages that verified, so its size does not depend on theirs; it
    only saves time, never changes a verdict.
    """

    def __init__(self, cluster_id: bytes, signer: Signer, verifier: Verifier) -> None:
        self._context = DOMAIN + cluster_id
        self._signer = signer
        self._verifier = verifier
        self._recent: set[Digest] = set()
        self._older: set[Digest] = set()
        self.checks = 0
        """Signatures that were really looked at."""

    def sign(self, message: M) -> Signed[M]:
        """`message` with our signature over its canonical body."""
        body = encode_body(message)
        raw = seal_signed(body, self._signer.sign(self._context + body))
        self._remember(_name(raw))
        return Signed(message, raw)

    def authentic(self, message: Signable, raw: bytes) -> bool:
        """Whether `raw`, which decodes to `message`, was signed by the sender it names."""
        if self.knows(raw):
            return True
        key: bytes | None = None
        if isinstance(message, Request) and message.ticket:
            ticket = self.ticket(message.ticket)
            if ticket is None or ticket.client != message.client:
                return False
            key = ticket.signing
        signature, body = split_signed(raw)
        self.checks += 1
        if not self._verifier.verify(sender(message), self._context + body, signature, key):
            return False
        self._remember(_name(raw))
        return True

    def ticket(self, raw: bytes) -> Ticket | None:
        """The ticket in `raw`, where somebody who may admit has signed it; none otherwise. A guest
        admits nobody, since the cluster file has no guests."""
        try:
            ticket = decode_ticket(raw)
        except DecodeError:
            return None
        if ticket is None or ticket.slot >= self._verifier.guests(ticket.admitter):
            return None
        return ticket if self.authentic(ticket, raw) else None

    def knows(self, raw: bytes) -> bool:
        """Whether these bytes were found authentic lately."""
        name = _name(raw)
        return name in self._recent or name in self._older

    def _remember(self, name: Digest) -> None:
        """Two generations: what was not looked for in half a memo's time is forgotten."""
        if len(self._recent) >= MEMO_ENTRIES // 2:
            self._older, self._recent = self._recent, set()
        self._recent.add(name)


def _name(raw: bytes) -> Digest:
    return digest(b"pbft verified", raw)
