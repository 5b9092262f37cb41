"""Ed25519 through PyNaCl alone (T42): one verifier, one mode, everywhere.

Libraries disagree about edge cases (small-order points, the cofactor, R = identity); replicas that
disagree about one signature split. libsodium's single, cofactorless check with its small-order
and canonicity rules is what "valid" means here. Signatures are deterministic (RFC 8032 §5.1.6).
"""

import nacl.bindings
import nacl.exceptions
import nacl.utils

SEED_BYTES = 32
PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64

_sign = nacl.bindings.crypto_sign
_open = nacl.bindings.crypto_sign_open


class SigningKey:
    """A private Ed25519 key, from its 32-byte seed (RFC 8032 §5.1.5)."""

    __slots__ = ("_secret", "public", "seed")

    def __init__(self, seed: bytes) -> None:
        """Raises `ValueError` unless `seed` is 32 bytes."""
        if len(seed) != SEED_BYTES:
            raise ValueError(f"an Ed25519 seed is {SEED_BYTES} bytes, not {len(seed)}")
        self.seed = seed
        self.public, self._secret = nacl.bindings.crypto_sign_seed_keypair(seed)

    @classmethod
    def generate(cls) -> "SigningKey":
        """A new key from the operating system's randomness."""
        return cls(nacl.utils.random(SEED_BYTES))

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature over `message`."""
        return _sign(message, self._secret)[:SIGNATURE_BYTES]


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` over `message` is by the owner of `public`; false on any malformed
    input, never an exception."""
    if len(signature) != SIGNATURE_BYTES or len(public) != PUBLIC_BYTES:
        return False
    try:
        _open(signature + message, public)
    except (nacl.exceptions.BadSignatureError, ValueError, TypeError):
        return False
    return True


def is_valid_public(public: bytes) -> bool:
    """Whether `public` is a canonical point of the prime-order group: refuse others when a
    configuration is read, long before anything is signed."""
    if len(public) != PUBLIC_BYTES:
        return False
    try:
        return bool(nacl.bindings.crypto_core_ed25519_is_valid_point(public))
    except (ValueError, TypeError):
        return False
