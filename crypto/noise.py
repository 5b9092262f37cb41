"""The Noise handshake KK (Noise specification rev. 34, §7.5): both static keys known beforehand.

    Noise_KK_25519_AESGCM_SHA256
      -> s            (known)
      <- s            (known)
      -> e, es, ss
      <- e, ee, se

Primitives come from `cryptography`; only the state machine of the specification is here.
"""

import hashlib
import hmac
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pbft.crypto.errors import HandshakeError

PROTOCOL = b"Noise_KK_25519_AESGCM_SHA256"
KEY_BYTES = 32
TAG_BYTES = 16
EMPTY_KEY = b""


class LinkPrivateKey:
    """A static or ephemeral X25519 key (RFC 7748)."""

    __slots__ = ("_key", "private", "public")

    def __init__(self, private: bytes) -> None:
        """Raises `ValueError` unless `private` is 32 bytes."""
        self._key = X25519PrivateKey.from_private_bytes(private)
        self.private = private
        self.public = self._key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls, random_bytes: Callable[[int], bytes]) -> "LinkPrivateKey":
        """A new key from the randomness handed in."""
        return cls(random_bytes(KEY_BYTES))

    def agree(self, public: bytes) -> bytes:
        """The shared secret with `public`. Raises `HandshakeError` on a small-order point."""
        try:
            return self._key.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError:
            raise HandshakeError("a key exchange with an invalid public key was refused") from None


def hkdf(chaining_key: bytes, material: bytes) -> tuple[bytes, bytes]:
    """HKDF with two outputs (§4.3): RFC 5869 with the chaining key as salt and no info."""
    secret = hmac.digest(chaining_key, material, "sha256")
    first = hmac.digest(secret, b"\x01", "sha256")
    return first, hmac.digest(secret, first + b"\x02", "sha256")


def nonce(counter: int) -> bytes:
    """AESGCM nonces are 32 zero bits and a big-endian counter (§12.4)."""
    return counter.to_bytes(12, "big")


class KK:
    """One handshake, on either side. Write or read two messages, then `split`."""

    def __init__(
        self,
        *,
        initiator: bool,
        static: LinkPrivateKey,
        remote: bytes,
        prologue: bytes,
        ephemeral: LinkPrivateKey,
    ) -> None:
        self._initiator = initiator
        self._static = static
        self._remote = remote
        self._ephemeral = ephemeral
        self._hash = PROTOCOL.ljust(32, b"\0")
        self._chaining = self._hash
        self._key = EMPTY_KEY
        self._counter = 0
        self._mix_hash(prologue)
        first, second = (static.public, remote) if initiator else (remote, static.public)
        self._mix_hash(first)
        self._mix_hash(second)

    def write_first(self, payload: bytes) -> bytes:
        """-> e, es, ss"""
        self._mix_hash(self._ephemeral.public)
        self._mix_key(self._ephemeral.agree(self._remote))
        self._mix_key(self._static.agree(self._remote))
        return self._ephemeral.public + self._encrypt(payload)

    def read_first(self, message: bytes) -> bytes:
        """The payload of the first message. Raises `HandshakeError`."""
        self._remote_ephemeral = self._read_key(message)
        self._mix_key(self._static.agree(self._remote_ephemeral))
        self._mix_key(self._static.agree(self._remote))
        return self._decrypt(message[KEY_BYTES:])

    def write_second(self, payload: bytes) -> bytes:
        """<- e, ee, se"""
        self._mix_hash(self._ephemeral.public)
        self._mix_key(self._ephemeral.agree(self._remote_ephemeral))
        self._mix_key(self._ephemeral.agree(self._remote))
        return self._ephemeral.public + self._encrypt(payload)

    def read_second(self, message: bytes) -> bytes:
        """The payload of the second message. Raises `HandshakeError`."""
        remote_ephemeral = self._read_key(message)
        self._mix_key(self._ephemeral.agree(remote_ephemeral))
        self._mix_key(self._static.agree(remote_ephemeral))
        return self._decrypt(message[KEY_BYTES:])

    def split(self) -> tuple[bytes, bytes]:
        """(sending key, receiving key) of this side."""
        first, second = hkdf(self._chaining, b"")
        return (first, second) if self._initiator else (second, first)

    def _read_key(self, message: bytes) -> bytes:
        if len(message) < KEY_BYTES + TAG_BYTES:
            raise HandshakeError("a handshake message is too short")
        self._mix_hash(message[:KEY_BYTES])
        return message[:KEY_BYTES]

    def _mix_hash(self, data: bytes) -> None:
        self._hash = hashlib.sha256(self._hash + data).digest()

    def _mix_key(self, material: bytes) -> None:
        self._chaining, self._key = hkdf(self._chaining, material)
        self._counter = 0

    def _encrypt(self, plaintext: bytes) -> bytes:
        sealed = AESGCM(self._key).encrypt(nonce(self._counter), plaintext, self._hash)
        self._counter += 1
        self._mix_hash(sealed)
        return sealed

    def _decrypt(self, sealed: bytes) -> bytes:
        try:
            plaintext = AESGCM(self._key).decrypt(nonce(self._counter), sealed, self._hash)
        except InvalidTag:
            raise HandshakeError("a handshake message did not authenticate") from None
        self._counter += 1
        self._mix_hash(sealed)
        return plaintext
