"""A closed loop: every client keeps a number of calls outstanding; latency is counted per call."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pbft.core.errors import PbftError
from pbft.services.kv import Put, encode

KEYS = 1000
CALL_SECONDS = 10.0
MIN_PAYLOAD, MAX_PAYLOAD = 24, 16 * 1024


class Caller(Protocol):
    """A client of either kind."""

    async def call(self, operation: bytes, *, timeout: float | None = None) -> bytes: ...


@dataclass(slots=True)
class Measurement:
    """`latencies` in seconds, of the calls answered within the measured `seconds`."""

    seconds: float
    latencies: list[float] = field(default_factory=list)
    failed: int = 0

    @property
    def ops_per_second(self) -> float:
        return len(self.latencies) / self.seconds

    def joined(self, other: "Measurement") -> "Measurement":
        """Both, as one."""
        return Measurement(
            self.seconds + other.seconds,
            self.latencies + other.latencies,
            self.failed + other.failed,
        )


@dataclass(frozen=True, slots=True)
class _Window:
    begin: float
    end: float


def operations(payload: int) -> list[bytes]:
    """Puts of exactly `payload` bytes each, one per key."""
    made = []
    for number in range(KEYS):
        key = b"k%07d" % number
        size = payload - len(encode(Put(key, b"")))
        excess = len(encode(Put(key, bytes(size)))) - payload
        made.append(encode(Put(key, random.randbytes(size - excess))))
    return made


async def measure(
    callers: Sequence[Caller], outstanding: int, payload: int, *, warm_up: float, seconds: float
) -> Measurement:
    """Load the callers for `warm_up` + `seconds`, and count what the latter answered."""
    puts = operations(payload)
    begin = time.perf_counter() + warm_up
    window, result = _Window(begin, begin + seconds), Measurement(seconds)
    workers = [
        _work(caller, puts, at * outstanding + number, window, result)
        for at, caller in enumerate(callers)
        for number in range(outstanding)
    ]
    await asyncio.gather(*workers)
    return result


async def _work(
    caller: Caller, puts: list[bytes], at: int, window: _Window, result: Measurement
) -> None:
    clock, keep = time.perf_counter, result.latencies.append
    before = clock()
    while before < window.end:
        at = (at + 1) % KEYS
        try:
            await caller.call(puts[at], timeout=CALL_SECONDS)
        except (PbftError, TimeoutError):
            result.failed += 1
        now = clock()
        if window.begin <= now < window.end:
            keep(now - before)
        before = now
