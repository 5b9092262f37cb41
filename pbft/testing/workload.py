"""Clients of a simulation: correct ones with a random key-value workload, and faulty ones.

Correct clients are the library's own sessions. A faulty client signs two operations under one
timestamp for different replicas, repeats itself, skips about, and garbles.
"""

import random

from pbft.client_session import ClientSession
from pbft.core.authentication import Authentication
from pbft.core.config import Configuration
from pbft.core.effects import Send
from pbft.core.ids import MILLISECOND, ClientId
from pbft.core.messages import Request
from pbft.services.kv import CompareAndSwap, Delete, Get, Put, Scan, encode

READS = {encode(Get(b""))[1:2], encode(Scan(b"", b"", 1))[1:2]}
"""The tags of operations that change nothing."""


def random_operation(rng: random.Random) -> bytes:
    """Few keys, so that operations meet; now and then not an operation at all."""
    key = b"key%d" % rng.randrange(6)
    value = b"value%d" % rng.randrange(1000)
    kind = rng.randrange(12)
    if kind == 0:
        return rng.randbytes(rng.randrange(20))
    if kind < 6:
        return encode(Put(key, value * rng.choice((1, 1, 20))))
    if kind < 8:
        return encode(Get(key))
    if kind < 9:
        return encode(Delete(key))
    if kind < 11:
        return encode(CompareAndSwap(key, None, value))
    return encode(Scan(b"key", b"", 10))


class Workload:
    """One correct client: up to `at_once` calls outstanding until `operations` are done."""

    def __init__(self, session: ClientSession, rng: random.Random, operations: int) -> None:
        self.session = session
        self.asked: dict[int, int] = {}
        """When each call was made."""
        self.answers: dict[int, bytes] = {}
        self.answered_at: dict[int, int] = {}
        self.operations: dict[int, bytes] = {}
        self.read_at: dict[int, int] = {}
        """Of calls answered outside the order: the sequence number that they saw."""
        self._rng = rng
        self._left = operations
        self._at_once = rng.choice((1, 1, 4))
        self._think_ns = rng.choice((0, 100, 300)) * MILLISECOND
        self.next_at = 0
        """When it calls again: people think between calls, so faults find some under way."""

    @property
    def done(self) -> bool:
        """Whether every operation was asked and answered."""
        return not self._left and len(self.answers) == len(self.asked)

    def go_on(self, now: int) -> None:
        """Call as long as there is room, and it is time."""
        while self._left and now >= self.next_at and self._has_room():
            self._left -= 1
            operation = random_operation(self._rng)
            call = self.session.call(operation, read=operation[1:2] in READS)
            self.asked[call] = now
            self.operations[call] = operation
            self.next_at = now + self._rng.randrange(self._think_ns + 1)

    def _has_room(self) -> bool:
        return len(self.asked) - len(self.answers) < self._at_once


class FaultyClient:
    """Says whatever it likes in its own name."""

    def __init__(
        self,
        client: ClientId,
        config: Configuration,
        authentication: Authentication,
        rng: random.Random,
    ) -> None:
        self._client = client
        self._n = config.n
        self._authentication = authentication
        self._rng = rng
        self._timestamp = 1
        self.acted = 0

    def act(self) -> list[Send]:
        """One outburst."""
        rng = self._rng
        self.acted += 1
        self._timestamp += rng.choice((0, 1, 1, 2, 40))
        timestamp = rng.choice((self._timestamp, self._timestamp, 1, 2**62))
        sends = []
        for _ in range(rng.randrange(1, 4)):
            operations = tuple(random_operation(rng) for _ in range(rng.randrange(1, 3)))
            signed = self._authentication.sign(Request(self._client, timestamp, operations))
            raw = bytearray(signed.raw)
            if rng.random() < 0.2:
                raw[rng.randrange(len(raw))] ^= 1
            to = tuple(rng.sample(range(self._n), rng.randrange(1, self._n + 1)))
            sends.append(Send(to, bytes(raw), signed.message))
        return sends
