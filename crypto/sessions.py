"""An established session: a key per direction, an explicit counter, a replay window.

    datagram: 0x04 | receiver's index (4) | counter (8) | sealed payload, with its tag

The header is authenticated with the payload. Counters are never reused under a key: they start at
zero with fresh keys, since both ends mix new ephemerals into every handshake (T50).
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

WINDOW = 4096
"""How many counters below the highest may still arrive, once each."""
COUNTER_LIMIT = 2**48
HEADER_BYTES = 13
TRANSPORT = 4
SEAL_OVERHEAD = HEADER_BYTES + 16
_MASK = (1 << WINDOW) - 1


class Session:
    """`index` is ours: datagrams to us carry it."""

    __slots__ = (
        "_counter",
        "_header",
        "_highest",
        "_open",
        "_seal",
        "_seen",
        "confirmed",
        "index",
        "peer",
    )

    def __init__(
        self, peer: str, index: int, remote_index: int, keys: tuple[bytes, bytes], confirmed: bool
    ) -> None:
        self.peer = peer
        self.index = index
        self.confirmed = confirmed
        self._header = bytes([TRANSPORT]) + remote_index.to_bytes(4, "big")
        self._seal = AESGCM(keys[0]).encrypt
        self._open = AESGCM(keys[1]).decrypt
        self._counter = 0
        self._highest = -1
        self._seen = 0

    @property
    def remote_index(self) -> int:
        """What our datagrams carry."""
        return int.from_bytes(self._header[1:], "big")

    def sent_lately(self, remote_index: int, counter: int) -> bool:
        """Whether one of our latest datagrams had this index and this counter."""
        ours = self._header[1:] == remote_index.to_bytes(4, "big")
        return ours and self._counter - WINDOW <= counter < self._counter

    @property
    def exhausted(self) -> bool:
        """Whether the sending counter has reached its limit: time for a new handshake."""
        return self._counter >= COUNTER_LIMIT

    def seal(self, plaintext: bytes) -> bytes:
        """The whole datagram for `plaintext`."""
        counter = self._counter.to_bytes(8, "big")
        self._counter += 1
        header = self._header + counter
        return header + self._seal(b"\0\0\0\0" + counter, plaintext, header)

    def open(self, datagram: bytes) -> tuple[bytes, bool] | None:
        """(plaintext, newest so far), or none: forged, replayed, or too old."""
        counter_bytes = datagram[5:HEADER_BYTES]
        counter = int.from_bytes(counter_bytes, "big")
        behind = self._highest - counter
        if behind >= WINDOW or (behind >= 0 and self._seen >> behind & 1):
            return None
        try:
            plaintext = self._open(
                b"\0\0\0\0" + counter_bytes, datagram[HEADER_BYTES:], datagram[:HEADER_BYTES]
            )
        except (InvalidTag, ValueError):
            return None
        if behind < 0:
            self._seen = (self._seen << -behind | 1) & _MASK if -behind < WINDOW else 1
            self._highest = counter
            return plaintext, True
        self._seen |= 1 << behind
        return plaintext, False
