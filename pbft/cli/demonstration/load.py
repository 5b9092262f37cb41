"""Requests whose right answers are known beforehand, and when each was answered.

Each worker keeps to keys of its own and waits for one answer before it asks again, so a plain
dictionary beside it says what every answer must be.
"""

import asyncio
import time
from dataclasses import dataclass, field
from itertools import count, pairwise

from pbft.core.errors import RejectedError, UnansweredError
from pbft.services.kv import KeyValueClient

WORKERS = 4
"""Requests under way at once; so N requests take at least N / 4 sequence numbers."""
KEYS = 5


@dataclass(slots=True)
class Load:
    """The account of one run. Times are seconds on the monotonic clock."""

    wanted: int
    """How many requests to make; 0 for as many as there is time for."""
    until: float = 0.0
    """No new request after this."""
    asked: int = 0
    answered: int = 0
    wrong: int = 0
    """Answers that the client accepted and that are not what a single honest server gives."""
    began: float = 0.0
    answered_at: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)

    @property
    def duration(self) -> float:
        """From the first request to the last answer."""
        return self.answered_at[-1] - self.began if self.answered_at else 0.0

    def longest_gap(self) -> float:
        """The longest time without any answer while there were requests."""
        times = [self.began, *self.answered_at]
        return max((b - a for a, b in pairwise(times)), default=0.0)

    def take(self) -> bool:
        """Count one more request, unless there shall be no more."""
        if (self.wanted and self.asked >= self.wanted) or time.monotonic() >= self.until:
            return False
        self.asked += 1
        return True


async def drive(load: Load, kv: KeyValueClient) -> None:
    """Make the requests of `load`; returns when the last is answered or given up."""
    load.began = time.monotonic()
    await asyncio.gather(*(_work(load, kv, worker) for worker in range(WORKERS)))


async def _work(load: Load, kv: KeyValueClient, worker: int) -> None:
    model: dict[bytes, bytes] = {}
    for step in count():
        if not load.take():
            return
        before = time.monotonic()
        try:
            right = await _one(kv, model, worker, step)
        except (UnansweredError, RejectedError):
            continue
        now = time.monotonic()
        load.answered += 1
        load.wrong += not right
        load.answered_at.append(now)
        load.latencies.append(now - before)


async def _one(kv: KeyValueClient, model: dict[bytes, bytes], worker: int, step: int) -> bool:
    """One request; whether its answer is the right one."""
    key = b"worker-%d/key-%d" % (worker, step % KEYS)
    value = b"value-%d" % step
    old = model.get(key)
    match step % 4:
        case 0:
            return await kv.get(key) == old
        case 1 if old is not None:
            model[key] = value
            return await kv.cas(key, old, value)
        case 2 if old is not None:
            del model[key]
            return await kv.delete(key)
        case _:
            model[key] = value
            await kv.put(key, value)
            return True
