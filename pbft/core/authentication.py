"""Who may have signed what: the table of public keys, and the domain every signature is bound to.

A signature covers (protocol and version, cluster id, body), and a body begins with its message
type: a PREPARE is never a COMMIT, and nothing signed in one cluster means anything in another
(T5). The same interface is served by Ed25519 in a cluster and by keyed tags in most simulations.
"""

from collections.abc import Mapping
from typing import Protocol, TypeVar

from pbft.core.ids import Digest, Principal
from pbft.core.messages import Signable, Signed, sender
from pbft.core.wire import encode_body, seal_signed, split_signed
from pbft.crypto.digests import digest
from pbft.crypto.signing import verify

DOMAIN = b"pbft/1 signed message"
MEMO_ENTRIES = 16_384

M = TypeVar("M", bound=Signable)


class Signer(Protocol):
    """The private half: `SigningKey` of `pbft.crypto.signing`, or a stand-in of the simulator."""

    def sign(self, message: bytes) -> bytes: ...


class Verifier(Protocol):
    """The public half: knows every principal's key; false for principals it does not know."""

    def verify(self, principal: Principal, message: bytes, signature: bytes) -> bool: ...


class Ed25519Verifier:
    """The one verifier of real clusters, over the public keys of the cluster file (T42)."""

    def __init__(self, keys: Mapping[Principal, bytes]) -> None:
        self._keys = dict(keys)

    def verify(self, principal: Principal, message: bytes, signature: bytes) -> bool:
        key = self._keys.get(principal)
        return key is not None and verify(key, message, signature)


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
        name = _name(raw)
        if name in self._recent or name in self._older:
            return True
        signature, body = split_signed(raw)
        self.checks += 1
        if not self._verifier.verify(sender(message), self._context + body, signature):
            return False
        self._remember(name)
        return True

    def _remember(self, name: Digest) -> None:
        """Two generations: what was not looked for in half a memo's time is forgotten."""
        if len(self._recent) >= MEMO_ENTRIES // 2:
            self._older, self._recent = self._recent, set()
        self._recent.add(name)


def _name(raw: bytes) -> Digest:
    return digest(b"pbft verified", raw)
