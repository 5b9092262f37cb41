"""The client for programs without asyncio: the same names, and each call waits.

    with BlockingClient("DIR", identity="client-0") as client:
        counter = BlockingCounter(client)
        counter.add(3)

An event loop in a thread of its own drives an ordinary client. Any number of threads may call.
"""

import asyncio
import os
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, TypeVar

from pbft.client import DEFAULT_TIMEOUT_SECONDS, Client
from pbft.client_stats import ClientStats
from pbft.cluster import Cluster
from pbft.control import StatusReport
from pbft.core.errors import PbftError
from pbft.core.ids import ReplicaId
from pbft.receipts import Receipt
from pbft.transport.loop import new_loop

R = TypeVar("R")


class BlockingClient:
    """As `Client`, with its arguments and errors; what is not open raises `PbftError`."""

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        identity: str | os.PathLike[str] = "client-0",
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
        passphrase: bytes | None = None,
    ) -> None:
        self.client = Client(directory, identity=identity, timeout=timeout, passphrase=passphrase)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "BlockingClient":
        """As `Client.__aenter__`."""
        if self._loop is not None:
            raise PbftError("this client is open already: make another one")
        self._loop = new_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="pbft", daemon=True)
        self._thread.start()
        try:
            self.wait(self.client.__aenter__())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """As `Client.close`; the thread ends."""
        if self._loop is not None and not self._loop.is_closed():
            self.wait(self.client.close())
            self._end()

    def call(self, operation: bytes, *, timeout: float | None = None) -> bytes:
        """As `Client.call`."""
        return self.wait(self.client.call(operation, timeout=timeout))

    def read(self, operation: bytes, *, timeout: float | None = None, stale: bool = False) -> bytes:
        """As `Client.read`."""
        return self.wait(self.client.read(operation, timeout=timeout, stale=stale))

    def prepare(self, operation: bytes) -> str:
        """As `Client.prepare`."""
        return self.wait(self._prepare(operation))

    def resolve(self, key: str, *, timeout: float | None = None) -> bytes:
        """As `Client.resolve`."""
        return self.wait(self.client.resolve(key, timeout=timeout))

    def certified(self, operation: bytes, *, timeout: float | None = None) -> tuple[bytes, Receipt]:
        """As `Client.certified`."""
        return self.wait(self.client.certified(operation, timeout=timeout))

    def status(self, replica: ReplicaId, *, timeout: float = 1.0) -> StatusReport:
        """As `Client.status`."""
        return self.wait(self.client.status(replica, timeout=timeout))

    def stats(self) -> ClientStats:
        """As `Client.stats`."""
        return self.client.stats()

    @property
    def cluster(self) -> Cluster:
        """What was loaded."""
        return self.client.cluster

    def wait(self, what: Coroutine[Any, Any, R]) -> R:
        """The result of a coroutine that runs on this client's loop."""
        if self._loop is None or self._loop.is_closed():
            what.close()
            raise PbftError("this client is not open: use `with BlockingClient(...) as client`")
        future = asyncio.run_coroutine_threadsafe(what, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def _prepare(self, operation: bytes) -> str:
        return self.client.prepare(operation)

    def _end(self) -> None:
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
