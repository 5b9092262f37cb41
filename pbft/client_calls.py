"""Who waits for what: calls under way, each until it has an answer or its time is up."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

from pbft.core.errors import ForgottenOutcomeError, InvalidArgumentsError, RejectedError
from pbft.core.service import FORGOTTEN, OK

T = TypeVar("T")


class Calls(Generic[T]):
    """By number."""

    def __init__(self) -> None:
        self._under_way: dict[int, asyncio.Future[T]] = {}

    async def answer(self, number: int, until: float) -> T | None:
        """What `complete` gives, or none where it has not by `until` (in the loop's time). Raises
        what `fail` gives.

        What comes in the very turn in which time is up counts: were the future cancelled then, the
        answer would be lost, and its key with it, since for the session the call is over."""
        loop = asyncio.get_running_loop()
        self._under_way[number] = future = loop.create_future()
        try:
            await asyncio.wait((future,), timeout=max(until - loop.time(), 0.0))
            return future.result() if future.done() else None
        finally:
            self._under_way.pop(number, None)
            if future.done():
                future.exception()  # seen, also by who was cancelled in this turn

    def complete(self, number: int, result: T) -> bool:
        """Whether somebody waited."""
        future = self._under_way.pop(number, None)
        if future is not None:
            future.set_result(result)
        return future is not None

    def fail(self, error: Exception) -> None:
        """All of them."""
        for future in self._under_way.values():
            future.set_exception(error)
        self._under_way.clear()


class Alone:
    """Lets one at a time at each key."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def at(self, key: str) -> AsyncIterator[None]:
        """Once everybody before is done."""
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        async with lock:
            yield


def why_unanswered(mismatched: Iterable[str], connected: int, n: int, quorum: int) -> str:
    """In words, with what to do about it: replicas that run with another cluster file, or how many
    could be reached."""
    if names := ", ".join(sorted(mismatched)):
        return f"{names} run with another cluster.toml than this client: use the same file"
    if connected < quorum:
        return (
            f"no quorum answered in time: {connected} of {n} replicas could be reached;"
            " start the others with `pbft up` or `pbft replica`"
        )
    return "no quorum answered in time: the outcome of the operation is not known"


def running_loop() -> asyncio.AbstractEventLoop | None:
    """That of this thread, if it has one."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def judged(seconds: float) -> float:
    """A timeout as it was given. Raises `InvalidArgumentsError`."""
    if not isinstance(seconds, int | float) or not seconds > 0:  # and NaN is not
        raise InvalidArgumentsError(
            f"a timeout is a number of seconds above zero, and {seconds!r} is none"
        )
    return seconds


def due(seconds: float) -> float:
    """In the loop's time. Raises `InvalidArgumentsError`."""
    return asyncio.get_running_loop().time() + judged(seconds)


def opened(result: bytes) -> bytes:
    """What the service returned. Raises `RejectedError` and `ForgottenOutcomeError`."""
    if result[:1] == OK:
        return result[1:]
    text = result[1:].decode("utf-8", "replace")
    raise ForgottenOutcomeError(text) if result == FORGOTTEN else RejectedError(text)
