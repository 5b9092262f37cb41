"""Calls that outlive their caller: each is on the disk before it is sent, and takes effect once.

    with KeptCalls("calls.db", RemoteCounters(client)) as calls:
        await calls.recover()                   # what an earlier life left open
        await calls.call(Counters.add, "visits")

A call's key is kept in a file before it is sent, and dropped when its outcome is known. A program
that was killed in between finds the key again and asks for the outcome: the call takes effect then,
if it has not yet. The file belongs to one client, and to one process at a time.
"""

import asyncio
import os
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from pbft.client import MAX_RESOLVING
from pbft.core.errors import (
    ConfigurationError,
    ForgottenOutcomeError,
    RejectedError,
    ServiceError,
    StorageError,
)
from pbft.typed.methods import Method, methods_of
from pbft.typed.proxy import BlockingProxy, Proxy

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Recovered:
    """A call of an earlier life, by the name of its method: what it returned, or raised."""

    name: str
    result: Any = None
    error: Exception | None = None


class KeptCalls:
    """Through `proxy`, kept in the file `path`. Raises `ConfigurationError` where that cannot be
    used."""

    def __init__(self, path: str | os.PathLike[str], proxy: Proxy) -> None:
        self._proxy = proxy
        self._room = asyncio.Semaphore(MAX_RESOLVING)
        self._disk = asyncio.Lock()
        self._under_way: set[int] = set()
        self._ended: list[int] = []
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            try:
                self._open, self._made = _read(self._db)
            except BaseException:
                self._db.close()
                raise
        except sqlite3.Error as error:
            raise ConfigurationError(f"{path} does not keep calls: {error}") from None

    def __enter__(self) -> Self:
        """The file is open already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Calls that are open stay kept."""
        with suppress(sqlite3.Error):  # asked once more, then
            self._drop(self._ended)
        self._db.close()

    @property
    def made(self) -> int:
        """Calls kept so far, those of earlier lives among them; once none is open, each has taken
        effect once or was refused."""
        return self._made

    @property
    def open(self) -> int:
        """Calls whose outcome is not known."""
        return len(self._open)

    async def call(self, method: Method[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """As the proxy's own call of a command. One that raises `UnansweredError`, or is cancelled,
        stays kept: `recover` asks again, in this life or another. Raises `StorageError`, with
        nothing sent, where it cannot be kept."""
        async with self._room:  # few at once: replicas remember so many requests of a client
            key = self._proxy.prepare(method, *args, **kwargs)
            number = await asyncio.shield(asyncio.create_task(self._kept(method.name, key)))
            return await self._outcome(number, key, method)

    async def _kept(self, name: str, key: str) -> int:
        """Goes on where its caller is cancelled: what is on the disk is known here."""
        async with self._disk:
            number = await asyncio.to_thread(self._keep, name, key)
        self._made = max(self._made, number)
        self._open[number] = (name, key)
        return number

    async def recover(self) -> list[Recovered]:
        """The outcome of every call that is open and that nobody waits for, oldest first. Do so
        before other calls: replicas remember `client_window` requests of a client. Raises
        `UnansweredError`, and what is not known then stays kept."""
        found = []
        for number in list(self._open):
            if number not in self._open or number in self._under_way:
                continue
            name, key = self._open[number]
            methods = methods_of(self._proxy._service)
            if name not in methods:
                raise ConfigurationError(f"a call of {name!r} is kept, and the service has none")
            try:
                result = await self._outcome(number, key, methods[name][0])
            except Exception as error:
                if number in self._open:
                    raise
                found.append(Recovered(name, error=error))
            else:
                found.append(Recovered(name, result))
        return found

    async def _outcome(self, number: int, key: str, method: Method[P, R]) -> R:
        self._under_way.add(number)
        try:
            result = await self._proxy.resolve(method, key)
        except Exception as error:
            if _final(error):
                self._end(number)
            raise
        finally:
            self._under_way.discard(number)
        self._end(number)
        return result

    def _end(self, number: int) -> None:
        """Written with the next call: who loses this asks once more, and is told the same. Its
        caller and a recovery that began just when it was kept may both be told."""
        if self._open.pop(number, None) is not None:
            self._ended.append(number)

    # -- in a thread --------------------------------------------------------------------------

    def _keep(self, name: str, key: str) -> int:
        ended = list(self._ended)
        try:
            self._db.execute("BEGIN")
            self._drop(ended)
            kept = self._db.execute("INSERT INTO calls (name, key) VALUES (?, ?)", (name, key))
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):  # it is closed, or nothing has begun
                self._db.execute("ROLLBACK")
            raise StorageError(f"the call cannot be kept, and is not made: {error}") from None
        del self._ended[: len(ended)]  # now, and where this failed with the next call
        return kept.lastrowid or 0

    def _drop(self, ended: list[int]) -> None:
        self._db.executemany("DELETE FROM calls WHERE number = ?", [(each,) for each in ended])


class BlockingKeptCalls:
    """As `KeptCalls`, for programs without asyncio, through one of their proxies."""

    def __init__(self, path: str | os.PathLike[str], proxy: BlockingProxy) -> None:
        self._wait = proxy._blocking.wait
        self._calls = KeptCalls(path, proxy._twin())

    def __enter__(self) -> Self:
        """The file is open already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """As `KeptCalls.close`."""
        self._calls.close()

    @property
    def made(self) -> int:
        """As `KeptCalls.made`."""
        return self._calls.made

    @property
    def open(self) -> int:
        """As `KeptCalls.open`."""
        return self._calls.open

    def call(self, method: Method[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """As `KeptCalls.call`."""
        return self._wait(self._calls.call(method, *args, **kwargs))

    def recover(self) -> list[Recovered]:
        """As `KeptCalls.recover`."""
        return self._wait(self._calls.recover())


def _final(error: Exception) -> bool:
    """Whether nothing more can be learned: the service refused the call, or the replicas have
    forgotten it, or it took effect and its result is not what the method returns any more."""
    told = (RejectedError, ForgottenOutcomeError, ServiceError)
    return isinstance(error, told) or isinstance(error.__cause__, RejectedError)


def _read(db: sqlite3.Connection) -> tuple[dict[int, tuple[str, str]], int]:
    """The calls that are open, and how many were kept so far."""
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(
        "CREATE TABLE IF NOT EXISTS calls"
        " (number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, key TEXT)"
    )
    found = db.execute("SELECT number, name, key FROM calls ORDER BY number")
    kept = {number: (name, key) for number, name, key in found}
    newest = db.execute("SELECT seq FROM sqlite_sequence").fetchone()
    return kept, newest[0] if newest else 0
