"""Keyed tags in the place of signatures: the same interface, the same failures, far cheaper.

A tag is 64 bytes under a secret per principal. Inside one process nobody can forge what it has no
secret for, which is all that a simulation needs of a signature; a share of seeds runs on Ed25519.
"""

import hashlib
from collections.abc import Iterable, Mapping

from pbft.core.ids import ClientId, Principal


class TagSigner:
    """Signs with a secret that only the verifier shares."""

    __slots__ = ("secret",)

    def __init__(self, secret: bytes) -> None:
        self.secret = secret

    @property
    def public(self) -> bytes:
        """What names the secret and does not tell it."""
        return hashlib.sha256(self.secret).digest()

    def sign(self, message: bytes) -> bytes:
        """64 bytes that depend on every bit of the secret and the message."""
        return hashlib.blake2b(message, key=self.secret, digest_size=64).digest()


class TagVerifier:
    """Knows every principal's secret, as a verifier of signatures knows every public key, and those
    of `guests`, who are found by their keys alone; each client may admit so many."""

    def __init__(
        self,
        secrets: Mapping[Principal, bytes],
        guests: Iterable[bytes] = (),
        admits: Mapping[ClientId, int] | None = None,
    ) -> None:
        self._signers = {principal: TagSigner(secret) for principal, secret in secrets.items()}
        everybody = [*self._signers.values(), *map(TagSigner, guests)]
        self._by_key = {each.public: each for each in everybody}
        self._admits = dict(admits or {})

    def verify(
        self, principal: Principal, message: bytes, signature: bytes, key: bytes | None = None
    ) -> bool:
        """Whether `principal`'s secret made `signature` over `message`; that of `key`, where a
        ticket gives one."""
        signer = self._by_key.get(key) if key else self._signers.get(principal)
        return signer is not None and signer.sign(message) == signature

    def guests(self, client: ClientId) -> int:
        """How many others `client` may admit."""
        return self._admits.get(client, 0)
