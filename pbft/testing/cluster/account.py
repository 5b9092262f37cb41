"""What real clients were told, held against a single machine: no loss, nothing twice.

Each worker has keys of its own and waits for one answer before it asks again; so a key-value
service beside it, given the same operations, says what every answer must be. In the end all of the
worker's keys are read once more.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

import msgspec

from pbft.client import Client
from pbft.core.errors import PbftError, RejectedError, UnansweredError
from pbft.core.service import Context
from pbft.core.state.machine import Machine
from pbft.core.status import ReplicaStatus
from pbft.services.kv import CompareAndSwap, Delete, Get, KeyValueService, Put, Scan, encode

KEYS = 6
MAX_COMPLAINTS = 20
LOOK_SECONDS = 0.05
"""Between two questions about the status."""
STATUS_SECONDS = 1.0

Operation: TypeAlias = Put | Get | Delete | CompareAndSwap | Scan
_found: "msgspec.msgpack.Decoder[bytes | None]" = msgspec.msgpack.Decoder(bytes | None)


@dataclass(slots=True)
class Account:
    """Of all workers together; times are seconds on the monotonic clock."""

    complaints: list[str] = field(default_factory=list)
    answered_at: list[float] = field(default_factory=list)

    def complain(self, text: str) -> None:
        """Keep the first few."""
        if len(self.complaints) < MAX_COMPLAINTS:
            self.complaints.append(text)

    def longest_gap(self) -> float:
        """The longest time between two answers, in seconds."""
        return max((after - before for before, after in pairwise(self.answered_at)), default=0.0)


class Worker:
    """One caller. `run` until stopped, then `read_back`."""

    def __init__(self, client: Client, name: str, account: Account, seed: int = 0) -> None:
        self._client = client
        self._name = name.encode()
        self._account = account
        self._dice = random.Random(f"{name} {seed}")
        self._reference = Machine(KeyValueService())
        self._step = 0
        self.answered = 0
        self.stopping = False

    async def run(self, pause: float = 0.0) -> None:
        """One operation after another until `stopping`, `pause` seconds apart."""
        while not self.stopping:
            await self.step()
            await asyncio.sleep(pause)

    async def step(self) -> None:
        """One operation; an answer that is not the reference's is a complaint, and so is none."""
        self._step += 1
        operation = self._operation()
        context = Context("reference", self._step, 0)
        expected = self._reference.execute(encode(operation), context)
        await self._ask(operation, expected)

    async def read_back(self) -> None:
        """Everything that this worker has written."""
        prefix = self._name + b"/"
        scan = Scan(prefix, b"", 10 * KEYS)
        await self._ask(scan, self._reference.query(encode(scan)), ordered=True)

    async def _ask(self, operation: Operation, expected: bytes, *, ordered: bool = False) -> None:
        reading = isinstance(operation, Get | Scan) and not ordered
        try:
            ask = self._client.read if reading else self._client.call
            answer = await ask(encode(operation))
        except PbftError as error:
            self.stopping = True
            kind = "refused" if isinstance(error, RejectedError) else "no answer"
            self._account.complain(f"{kind}: {self._step} of {self._name!r}: {operation}: {error}")
            return
        self.answered += 1
        self._account.answered_at.append(time.monotonic())
        if answer != expected:
            text = f"{operation} gave {answer[:60]!r} and not {expected[:60]!r}"
            self._account.complain(f"results: {self._step} of {self._name!r}: {text}")

    def _operation(self) -> Operation:
        """Values are never used twice, so an operation that takes effect twice shows."""
        dice = self._dice
        key = self._name + b"/%d" % dice.randrange(KEYS)
        value = b"%d " % self._step + b"x" * dice.choice((0, 10, 200))
        kind = dice.randrange(10)
        if kind < 4:
            return Put(key, value)
        if kind < 5:
            return Delete(key)
        if kind < 8:
            return CompareAndSwap(key, self._held(key), value)
        return Get(key) if kind < 9 else Scan(self._name + b"/", b"", KEYS)

    def _held(self, key: bytes) -> bytes | None:
        """What the key must hold now."""
        return _found.decode(self._reference.query(encode(Get(key))))


async def until_level(
    asking: Client, replicas: Sequence[int], seconds: float
) -> list[ReplicaStatus]:
    """Until those named vote in one view and have executed equally far. Raises `PbftError` with
    what each says after `seconds`, and where two have different digests of one checkpoint."""
    until = time.monotonic() + seconds
    seen: list[ReplicaStatus] = []
    while time.monotonic() < until:
        try:
            reports = [asking.status(each, timeout=STATUS_SECONDS) for each in replicas]
            seen = [report.status for report in await asyncio.gather(*reports)]
        except UnansweredError:
            continue
        _compare(seen)
        if _level(seen):
            return seen
        await asyncio.sleep(LOOK_SECONDS)
    told = "\n".join(map(str, seen))
    raise PbftError(f"not level after {seconds:.1f} s:\n{told}")


def _level(seen: Sequence[ReplicaStatus]) -> bool:
    places = {(each.view, each.executed, each.active, each.voting) for each in seen}
    return len(places) == 1 and seen[0].active and seen[0].voting


def _compare(seen: Sequence[ReplicaStatus]) -> None:
    digests: dict[int, set[bytes]] = {}
    for each in seen:
        for sequence, digest in each.checkpoints.items():
            digests.setdefault(sequence, set()).add(digest)
    for sequence, found in digests.items():
        if len(found) > 1:
            raise PbftError(f"there are {len(found)} states at checkpoint {sequence}: {seen}")
