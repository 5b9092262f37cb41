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
from concurrent.futures import CancelledError
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
CLOSE_SECONDS = 5.0
"""How long closing waits for calls in other threads to end."""


class BlockingClient:
    """As `Client`, with its arguments and errors; what is not open raises `PbftError`."""

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        identity: str | os.PathLike[str] | None = None,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
        passphrase: bytes | None = None,
    ) -> None:
        self.client = Client(directory, identity=identity, timeout=timeout, passphrase=passphrase)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._process = os.getpid()
        self._gate = threading.Lock()
        """Held to hand something to the loop, and to say that nothing is any more."""
        self._closing = False

    def __enter__(self) -> "BlockingClient":
        """As `Client.__aenter__`."""
        with self._gate:
            if self._loop is not None or self._closing:
                state = "closed" if self._closing else "open"
                raise PbftError(f"this client is {state} already: make another one")
            self._loop = new_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="pbft", daemon=True)
            self._thread.start()
            self._process = os.getpid()
        try:
            self.wait(self.client.__aenter__())
        except BaseException:
            self.close()
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
        """As `Client.close`, from any thread: calls under way in others end. The thread ends.
        Raises `PbftError` in a coroutine of its loop."""
        with self._gate:
            self._check_thread()
            loop, thread = self._loop, self._thread
            first, self._closing = not self._closing, True
        if loop is None or thread is None or self._process != os.getpid():
            return
        if first:
            closed = asyncio.run_coroutine_threadsafe(self._close(), loop)
            # Also where Ctrl-C ends the wait: whoever closes it again would wait for ever.
            closed.add_done_callback(lambda _: loop.call_soon_threadsafe(loop.stop))
            closed.result()
            thread.join()
            loop.close()
        else:
            thread.join()

    async def _close(self) -> None:
        """All that was handed to the loop before ends by itself then."""
        await self.client.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            _, late = await asyncio.wait(others, timeout=CLOSE_SECONDS)
            for each in late:
                each.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_asyncgens()

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
    def name(self) -> str:
        """As `Client.name`."""
        return self.client.name

    @property
    def cluster(self) -> Cluster:
        """What was loaded."""
        return self.client.cluster

    def wait(self, what: Coroutine[Any, Any, R]) -> R:
        """The result of a coroutine that runs on this client's loop. Raises `PbftError` where that
        was closed, and in a coroutine of that loop: it would wait for itself."""
        try:
            with self._gate:
                future = asyncio.run_coroutine_threadsafe(what, self._running())
        except PbftError:
            what.close()
            raise
        try:
            return future.result()
        except CancelledError:
            raise PbftError("this client was closed: the outcome is not known") from None
        except BaseException:
            future.cancel()
            raise

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None or self._closing:
            raise PbftError("this client is not open: use `with BlockingClient(...) as client`")
        if self._process != os.getpid():
            raise PbftError("this client was opened in another process: open one in this")
        self._check_thread()
        return self._loop

    def _check_thread(self) -> None:
        if self._thread is threading.current_thread():
            raise PbftError("this is the client's own thread: `await` its `client` here")

    async def _prepare(self, operation: bytes) -> str:
        return self.client.prepare(operation)
