"""Cookies: proof, without any state for it, that whoever returns one receives at its address."""

import hmac
from collections.abc import Callable

from pbft.crypto.link_state import Address

COOKIE_BYTES = 16
NO_COOKIE = bytes(COOKIE_BYTES)


class Cookies:
    """Of one end: made under the newest secret, good under the one before, too."""

    def __init__(self, random_bytes: Callable[[int], bytes], lifetime_ns: int) -> None:
        self._random = random_bytes
        self._lifetime_ns = lifetime_ns
        self._secrets = (random_bytes(32), random_bytes(32))
        self._until = 0

    def make(self, address: Address) -> bytes:
        """For whoever receives at `address`."""
        return _cookie(self._secrets[0], address)

    def prove(self, cookie: bytes, address: Address, now: int) -> bool:
        """Whether we made `cookie` for this address, lately."""
        if now >= self._until:
            self._secrets = (self._random(32), self._secrets[0])
            self._until = now + self._lifetime_ns
        return any(
            hmac.compare_digest(cookie, _cookie(secret, address)) for secret in self._secrets
        )


def _cookie(secret: bytes, address: Address) -> bytes:
    where = f"{address[0]}|{address[1]}".encode()
    return hmac.digest(secret, where, "sha256")[:COOKIE_BYTES]
