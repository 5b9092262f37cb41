"""The same service without replication: what the transport and Python cost by themselves.

One process serves the key-value service over the same sealed links, sockets and event loop; its
client packs waiting calls into requests under the same limits as the real one. There is no
protocol, no signature, and a request that is sent again may be executed again.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from pbft.client_session import OVERHEAD_BYTES, REQUESTS_IN_FLIGHT
from pbft.cluster import Cluster
from pbft.core.errors import PbftError, UnansweredError
from pbft.core.service import Context, Service
from pbft.core.state.machine import Machine
from pbft.core.wire import MAX_MESSAGE_BYTES
from pbft.crypto.errors import CryptoError
from pbft.crypto.keyfiles import Identity
from pbft.services.kv import KeyValueService
from pbft.serving import until_stopped
from pbft.transport.alarm import Alarm
from pbft.transport.endpoint import Endpoint, EndpointLimits, open_endpoint
from pbft.transport.frames import MESSAGE
from pbft.transport.loop import run

SERVER = 0
"""The replica of the cluster file whose keys and port for clients the server uses."""
BURST_DATAGRAMS = 512
RETRY_NS = 250_000_000
CONNECT_SECONDS = 20.0
"""As long as the replicas of a measurement may take: a processor or a disk that is busy with what
ran before is no reason to fail."""
PENDING_BYTES = 256 * 1024
MAX_OPERATIONS = 4096

Operations = Annotated[tuple[bytes, ...], Meta(max_length=MAX_OPERATIONS)]


class Exchange(Struct, frozen=True, array_like=True):
    """A request (operations) or its answer (results)."""

    number: int
    items: Operations


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Exchange)


def decode(data: bytes) -> Exchange | None:
    """None for whatever is not an exchange."""
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


class Server:
    """`await server.run()` serves until `stop` is called."""

    def __init__(self, cluster: Cluster, identity: Identity, service: Service) -> None:
        self._cluster = cluster
        self._identity = identity
        self._machine = Machine(service)
        self._executed = 0
        self._stopping = False
        self._alarm: Alarm | None = None

    def stop(self) -> None:
        """Let `run` return."""
        self._stopping = True
        if self._alarm is not None:
            self._alarm.ring()

    async def run(self) -> None:
        """Raises `ConfigurationError` where the port cannot be had."""
        member = self._cluster.member(SERVER)
        self._alarm = Alarm()
        end = await _endpoint(
            self._cluster,
            member.name,
            self._identity,
            {name: keys.link for name, keys in self._cluster.clients.items()},
            (member.host, member.client_port),
            self._alarm,
        )
        try:
            while not self._stopping:
                await self._alarm.wait(end.deadline)
                now = time.monotonic_ns()
                for arrival in end.take(BURST_DATAGRAMS, now):
                    self._answer(end, arrival.peer, arrival.data)
                end.expire(now)
                await end.flush(now)
                if end.waiting:
                    self._alarm.ring()
        finally:
            await end.close()

    def _answer(self, end: Endpoint, client: str, data: bytes) -> None:
        request = decode(data)
        if request is None:
            return
        results = tuple(self._execute(client, operation) for operation in request.items)
        end.post([client], MESSAGE, _encoder.encode(Exchange(request.number, results)))

    def _execute(self, client: str, operation: bytes) -> bytes:
        self._executed += 1
        try:
            return self._machine.execute(operation, Context(client, self._executed, time.time_ns()))
        except PbftError as error:
            return str(error).encode()


class UnreplicatedClient:
    """The counterpart of `pbft.Client`: `await client.call(operation)`."""

    def __init__(self, directory: Path, *, identity: str) -> None:
        self._name = identity
        self._cluster = Cluster.load(directory)
        self._identity = self._cluster.identity(directory, identity)
        self._server = self._cluster.member(SERVER)
        self._waiting: list[tuple[bytes, asyncio.Future[bytes]]] = []
        self._outstanding: dict[int, _Outstanding] = {}
        self._number = 0
        self._alarm: Alarm
        self._end: Endpoint
        self._driver: asyncio.Task[None]

    async def __aenter__(self) -> "UnreplicatedClient":
        """Bind a socket and shake hands. Raises `UnansweredError` without a server."""
        self._alarm = Alarm()
        self._end = await _endpoint(
            self._cluster,
            self._name,
            self._identity,
            {self._server.name: self._server.keys.link},
            ("127.0.0.1", 0),
            self._alarm,
        )
        await self._end.open(
            self._server.name, self._server.host, self._server.client_port, time.monotonic_ns()
        )
        self._driver = asyncio.create_task(self._drive())
        until = time.monotonic() + CONNECT_SECONDS
        while not self._end.established(self._server.name):
            self._alarm.ring()
            await asyncio.sleep(0.005)
            if time.monotonic() > until:
                await self.close()
                raise UnansweredError("the unreplicated server did not come up")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Free the socket."""
        self._driver.cancel()
        await asyncio.gather(self._driver, return_exceptions=True)
        await self._end.close()

    async def call(self, operation: bytes, *, timeout: float | None = None) -> bytes:
        """The answer. Raises `TimeoutError` after `timeout` seconds."""
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.append((operation, future))
        self._alarm.ring()
        async with asyncio.timeout(timeout):
            return await future

    async def _drive(self) -> None:
        while True:
            retries = (each.sent + RETRY_NS for each in self._outstanding.values())
            deadlines = [*retries, *([self._end.deadline] if self._end.deadline else [])]
            await self._alarm.wait(min(deadlines, default=None))
            now = time.monotonic_ns()
            for arrival in self._end.take(BURST_DATAGRAMS, now):
                self._complete(arrival.data)
            self._send(now)
            self._end.expire(now)
            await self._end.flush(now)
            if self._end.waiting:
                self._alarm.ring()

    def _complete(self, data: bytes) -> None:
        answer = decode(data)
        each = self._outstanding.pop(answer.number, None) if answer is not None else None
        if answer is None or each is None or len(answer.items) != len(each.futures):
            return
        for future, result in zip(each.futures, answer.items, strict=True):
            if not future.done():
                future.set_result(result)

    def _send(self, now: int) -> None:
        for each in self._outstanding.values():
            if each.sent + RETRY_NS <= now:
                each.sent = now
                self._end.post([self._server.name], MESSAGE, each.data)
        while self._waiting and len(self._outstanding) < REQUESTS_IN_FLIGHT:
            taken = self._take()
            self._number += 1
            data = _encoder.encode(Exchange(self._number, tuple(each for each, _ in taken)))
            futures = [future for _, future in taken]
            self._outstanding[self._number] = _Outstanding(data, futures, now)
            self._end.post([self._server.name], MESSAGE, data)

    def _take(self) -> "list[tuple[bytes, asyncio.Future[bytes]]]":
        """As many waiting calls as the real client packs into one request."""
        config = self._cluster.config
        size, count = OVERHEAD_BYTES, 0
        for operation, _ in self._waiting[: config.request_max_operations]:
            size += len(operation) + 5
            if count and size > config.request_max_bytes:
                break
            count += 1
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return taken


class _Outstanding:
    __slots__ = ("data", "futures", "sent")

    def __init__(self, data: bytes, futures: "list[asyncio.Future[bytes]]", sent: int) -> None:
        self.data = data
        self.futures = futures
        self.sent = sent


async def _endpoint(
    cluster: Cluster,
    name: str,
    identity: Identity,
    peers: dict[str, bytes],
    bind: tuple[str, int],
    alarm: Alarm,
) -> Endpoint:
    return await open_endpoint(
        name,
        identity.link,
        peers,
        cluster_id=cluster.config.cluster_id,
        agreed=cluster.digest,
        bind=bind,
        limits=EndpointLimits(
            cluster.file.transport.datagram_bytes,
            MAX_MESSAGE_BYTES,
            2 * MAX_MESSAGE_BYTES,
            PENDING_BYTES,
            2 * MAX_MESSAGE_BYTES,
        ),
        drops=Counter(),
        wake=alarm.ring,
    )


def main(arguments: Sequence[str]) -> int:
    """Serve until told to stop; the exit status."""
    if len(arguments) != 1:
        print("usage: python -m pbft.testing.cluster.unreplicated DIR", file=sys.stderr)
        return 2
    directory = Path(arguments[0])
    try:
        cluster = Cluster.load(directory)
        identity = cluster.identity(directory, cluster.member(SERVER).name)
        server = Server(cluster, identity, KeyValueService())
        run(until_stopped(server, with_parent=True))
    except (PbftError, CryptoError) as error:
        print(f"unreplicated: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
