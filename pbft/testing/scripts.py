"""What the clients of a run do, as data: the calls of correct ones, the messages of faulty ones.

A script does not depend on what happens in the run, so that a call can be taken out of a plan with
everything else left as it was.
"""

import random
from dataclasses import dataclass

from pbft.core.ids import MILLISECOND, ClientId, ReplicaId
from pbft.core.messages import Request
from pbft.core.wire import encode_body, seal_signed
from pbft.crypto.signing import SIGNATURE_BYTES
from pbft.testing.subjects import Subject


@dataclass(frozen=True, slots=True)
class Call:
    """One operation, and how long its client then thinks before the next (ns)."""

    operation: bytes
    pause_ns: int


@dataclass(frozen=True, slots=True)
class Script:
    """A correct client: its calls in order, up to `at_once` of them outstanding, the first not
    before `begin_ns`."""

    at_once: int
    calls: tuple[Call, ...]
    begin_ns: int = 0


@dataclass(frozen=True, slots=True)
class Saying:
    """A request that a faulty client signs for some replicas; `flipped`: which byte is damaged
    afterwards, if one is. `times`: so often. `names`: another client, in whose name it signs.
    `repeats`: the last request of that client goes out in the place of an own one. `shows`: the
    ticket of that guest, or one that it makes out itself; in a request, or, where that names nobody
    else, in a read."""

    to: tuple[ReplicaId, ...]
    timestamp: int
    operations: tuple[bytes, ...]
    flipped: int | None = None
    times: int = 1
    names: ClientId | None = None
    repeats: ClientId | None = None
    shows: ClientId | None = None


@dataclass(frozen=True, slots=True)
class Outburst:
    """What a faulty client says at one time (ns); `through`: over the links of this traitor."""

    client: ClientId
    at: int
    says: tuple[Saying, ...]
    through: ReplicaId | None = None


def script(subject: Subject, rng: random.Random, count: int) -> Script:
    """`count` random calls. People think between calls, so that faults find some under way."""
    at_once = rng.choice((1, 1, 4))
    think_ns = rng.choice((0, 100, 300)) * MILLISECOND
    calls = []
    for _ in range(count):
        operation = subject.operation(rng)
        calls.append(Call(operation, rng.randrange(think_ns + 1)))
    return Script(at_once, tuple(calls))


def outbursts(
    subject: Subject, rng: random.Random, client: ClientId, n: int, times: list[int]
) -> list[Outburst]:
    """At each of `times`: two operations under one timestamp for different replicas, repetitions,
    timestamps that skip about, garbled bytes."""
    timestamp, found = 1, []
    for at in sorted(times):
        timestamp += rng.choice((0, 1, 1, 2, 40))
        stamp = rng.choice((timestamp, timestamp, 1, 2**62))
        says = tuple(_saying(subject, rng, client, n, stamp) for _ in range(rng.randrange(1, 4)))
        found.append(Outburst(client, at, says))
    return found


def _saying(
    subject: Subject, rng: random.Random, client: ClientId, n: int, timestamp: int
) -> Saying:
    operations = tuple(subject.operation(rng) for _ in range(rng.randrange(1, 3)))
    body = encode_body(Request(client, timestamp, operations))
    size = len(seal_signed(body, bytes(SIGNATURE_BYTES)))
    flipped = rng.randrange(size) if rng.random() < 0.2 else None
    to = tuple(rng.sample(range(n), rng.randrange(1, n + 1)))
    return Saying(to, timestamp, operations, flipped)
