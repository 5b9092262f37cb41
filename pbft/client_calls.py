"""Who waits for what: calls under way, each until it has an answer or its time is up."""

import asyncio
from typing import Generic, TypeVar

from pbft.core.errors import ForgottenOutcomeError, RejectedError
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


def due(seconds: float) -> float:
    """In the loop's time."""
    return asyncio.get_running_loop().time() + seconds


def opened(result: bytes) -> bytes:
    """What the service returned. Raises `RejectedError` and `ForgottenOutcomeError`."""
    if result[:1] == OK:
        return result[1:]
    text = result[1:].decode("utf-8", "replace")
    raise ForgottenOutcomeError(text) if result == FORGOTTEN else RejectedError(text)
