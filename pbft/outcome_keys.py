"""Keys of calls as text that a program can keep: the signed request, and the call's place in it.

Whoever has a key can send its client's request once more, and replicas execute it once: that is all
that a key is good for.
"""

import base64
import binascii

from pbft.core.errors import ConfigurationError

PLACE_BYTES = 2


def render_key(raw: bytes, place: int) -> str:
    """Of the call at `place` in the request with these bytes."""
    return base64.urlsafe_b64encode(place.to_bytes(PLACE_BYTES, "big") + raw).decode()


def parse_key(key: str) -> tuple[bytes, int]:
    """Raises `ConfigurationError`."""
    try:
        data = base64.b64decode(str(key).encode(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ConfigurationError("this is not the key of a call") from None
    return data[PLACE_BYTES:], int.from_bytes(data[:PLACE_BYTES], "big")
