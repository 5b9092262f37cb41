"""An asyncio client: bytes in, bytes out, answered by f+1 replicas that agree.

    async with Client("DIR", identity="client-0") as client:
        result = await client.call(operation)

Any number of calls may be under way at once; those made while others wait for an answer travel
together, under one signature. One task drives the session, the links and the socket.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType

from pbft import control
from pbft.acquired import Acquired, acquire
from pbft.client_calls import Alone, Calls, due, opened, why_unanswered
from pbft.client_room import Room
from pbft.client_session import REQUESTS_IN_FLIGHT, ClientEffects, ClientSession
from pbft.client_stats import ClientStats
from pbft.cluster import REPLICA_PREFIX, Cluster, replica_name
from pbft.control import StatusQuery, StatusReport
from pbft.core.errors import (
    PbftError,
    UnansweredError,
)
from pbft.core.ids import Instant, Packet, ReplicaId
from pbft.core.service import OK
from pbft.core.state.requests import REQUESTS_PER_CLIENT
from pbft.core.wire import MAX_MESSAGE_BYTES, SIGNED
from pbft.outcome_keys import parse_key, render_key
from pbft.receipts import Receipt, Statements
from pbft.timestamps import TimestampMark
from pbft.transport.alarm import Alarm, instant
from pbft.transport.endpoint import Endpoint, EndpointLimits, open_endpoint
from pbft.transport.frames import CONTROL, MESSAGE

DEFAULT_TIMEOUT_SECONDS = 30.0
CONNECT_SECONDS = 1.0
"""How long opening waits for a quorum of links; beyond it, calls find out."""
GRACE_SECONDS = 0.05
"""How long it then waits for the others."""
LOOK_SECONDS = 0.001
STATUS_RETRY_SECONDS = 0.2
BURST_DATAGRAMS = 1024
PENDING_BYTES = 256 * 1024
MAX_RESOLVING = REQUESTS_PER_CLIENT - REQUESTS_IN_FLIGHT
"""Keys resolved at once, each with a request of its own: with more, replicas find us greedy."""


class Client:
    """A client of the cluster in `directory`. Nobody else on this machine can be `identity`
    meanwhile: a client of the cluster file; or the file of a guest, which `pbft admit` writes, by
    its path or by its name in keys/; by default, the first client whose key is here and that is
    not in use.

    `timeout` is how long a call waits by default, in seconds. Opening raises `ConfigurationError`.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        identity: str | os.PathLike[str] | None = None,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
        passphrase: bytes | None = None,
    ) -> None:
        self._directory = directory
        self._wanted = identity
        self._passphrase = passphrase
        self._timeout = timeout
        self._calls: Calls[bytes] = Calls()
        self._room = Room()
        self._resolving, self._alone = Room(MAX_RESOLVING), Alone()
        self._reports: Calls[StatusReport] = Calls()
        self._nonce = 0
        self._drops: Counter[str] = Counter()
        self._driver: asyncio.Task[None] | None = None
        self._who: Acquired
        self._cluster: Cluster
        self._session: ClientSession
        self._statements: Statements
        self._mark: TimestampMark
        self._alarm: Alarm
        self._end: Endpoint

    async def __aenter__(self) -> "Client":
        """Load the keys, bind a socket, shake hands with the replicas. Once, else `PbftError`."""
        if self._driver is not None:
            raise PbftError("this client is open already: make another one")
        self._cluster = Cluster.load(self._directory)
        self._who = acquire(self._cluster, self._directory, self._wanted, self._passphrase)
        try:
            self._load()
            self._alarm = Alarm()
            self._end = await self._open_endpoint()
        except BaseException:
            self._who.lock.close()
            raise
        self._driver = asyncio.create_task(self._drive())
        try:
            now = time.monotonic_ns()
            for each in self._cluster.replicas:
                await self._end.open(each.name, each.host, each.client_port, now)
            self._alarm.ring()
            await self._connect()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give up all calls and free the socket. May be called again."""
        driver = self._driver
        if driver is None:
            return
        driver.cancel()
        await asyncio.gather(driver, return_exceptions=True)
        await self._end.close()
        self._alarm.close()
        self._who.lock.close()
        self._fail(UnansweredError("the client was closed: the outcome is not known"))

    async def call(self, operation: bytes, *, timeout: float | None = None) -> bytes:
        """The service's answer to one operation, in the total order of all operations.

        Raises `RejectedError` where the service refused it, `RequestTooLargeError` before sending,
        `UnansweredError` after `timeout` seconds: the operation may or may not take effect, and
        its `key` asks again. A cancelled call may take effect, too. Beyond `MAX_CALLS` or
        `MAX_CALL_BYTES` under way, calls wait for room.
        """
        size = len(operation)
        return await self._outcome(lambda: self._session.call(operation), size, timeout, self._room)

    async def read(
        self, operation: bytes, *, timeout: float | None = None, stale: bool = False
    ) -> bytes:
        """As `call`, for an operation that changes nothing: where the cluster has `fast_reads`, q
        replicas that agree answer it outside the order, and it is as linearizable. With `stale`,
        f+1 do anywhere: no traitor invented the answer, but others may know newer. Where they do
        not agree, or there are no fast reads, it is ordered. Raises what `call` raises."""
        return await self._outcome(
            lambda: self._session.call(operation, read=True, stale=stale),
            len(operation),
            timeout,
            self._room,
        )

    def prepare(self, operation: bytes) -> str:
        """A key for one operation, to be kept and then given to `resolve`. Whatever happens to
        this process in between, the operation takes effect at most once. Raises
        `RequestTooLargeError`."""
        self._check_open()
        return render_key(self._session.prepare(operation), 0)

    async def resolve(self, key: str, *, timeout: float | None = None) -> bytes:
        """The outcome of a call that was prepared or was not answered; it takes effect now if it
        has not yet. Raises what `call` raises, and `ForgottenOutcomeError` once this client has
        made `client_window` later requests; `ConfigurationError` for another's key. One key is
        resolved by one call at a time; a second waits for the first."""
        raw, place = parse_key(key)
        try:
            async with self._alone.at(key):
                return await self._outcome(
                    lambda: self._session.resume(raw, place), len(raw), timeout, self._resolving
                )
        except UnansweredError as error:
            raise UnansweredError(str(error), key) from None

    async def certified(
        self, operation: bytes, *, timeout: float | None = None
    ) -> tuple[bytes, Receipt]:
        """As `call`, and a receipt that f+1 replicas or more have signed, for third parties. It
        costs each replica a signature. Raises what `call` raises."""
        key, until = self.prepare(operation), due(self._timeout if timeout is None else timeout)
        result = await self.resolve(key, timeout=timeout)
        raw, _ = parse_key(key)
        try:
            async with asyncio.timeout_at(until):
                return result, await self._statements.collect(raw, OK + result, self._ask_all)
        except TimeoutError:
            text = "it took effect, and too few replicas have signed for it in time"
            raise UnansweredError(text, key) from None

    def _ask_all(self, data: bytes) -> None:
        self._check_open()
        self._end.post([each.name for each in self._cluster.replicas], MESSAGE, data)
        self._alarm.ring()

    async def _outcome(
        self, begin: Callable[[], int], size: int, timeout: float | None, room: Room
    ) -> bytes:
        self._check_here()
        until = due(self._timeout if timeout is None else timeout)
        async with AsyncExitStack() as inside:
            try:
                async with asyncio.timeout_at(until):
                    await inside.enter_async_context(room.taken(size))
            except TimeoutError:
                raise UnansweredError(self._why_unanswered()) from None
            return opened(await self._answer(begin, until))

    async def _answer(self, begin: Callable[[], int], until: float) -> bytes:
        """Raises `UnansweredError`, with the key of what was sent."""
        call = 0
        try:
            self._check_open()
            call = begin()
            self._alarm.ring()
            result = await self._calls.answer(call, until)
            if result is None:
                raise UnansweredError(self._why_unanswered())
            return result
        except BaseException as error:
            sent = self._session.sent(call)
            self._session.abandon(call)
            if isinstance(error, UnansweredError):
                key = None if sent is None else render_key(*sent)
                raise UnansweredError(str(error), key) from None
            raise

    async def status(self, replica: ReplicaId, *, timeout: float = 1.0) -> StatusReport:
        """What `replica` says about itself; nobody vouches for it but that replica.

        Raises `UnansweredError` after `timeout` seconds."""
        self._check_here()
        self._nonce += 1
        query = StatusQuery(self._nonce)
        name = self._cluster.member(replica).name
        until = due(timeout)
        while (now := due(0.0)) < until:
            self._end.post([name], CONTROL, control.encode(query))
            self._alarm.ring()
            again = min(now + STATUS_RETRY_SECONDS, until)
            report = await self._reports.answer(query.nonce, again)
            if report is not None:
                return report
        raise UnansweredError(f"{name} does not answer: is it running?")

    def stats(self) -> ClientStats:
        """A frozen look at this client. Raises `PbftError` before it was opened, as the two
        properties do."""
        self._check_opened()
        return ClientStats.of(self._session, self._drops, self._connected())

    @property
    def cluster(self) -> Cluster:
        """What was loaded."""
        self._check_opened()
        return self._cluster

    @property
    def name(self) -> str:
        """Who asks, as the service sees it; of a guest, its admitter and its slot."""
        self._check_opened()
        return self._who.name

    # -- driving ------------------------------------------------------------------------------

    async def _drive(self) -> None:
        try:
            while True:
                await self._alarm.wait(self._deadline())
                await self._turn(instant())
        except Exception as error:
            self._fail(error)
            raise

    async def _turn(self, now: Instant) -> None:
        """Absorb a burst, and only then look at the time (T56)."""
        self._apply(self._session.receive(self._absorb(now.monotonic), now))
        deadline = self._session.deadline
        if deadline is not None and deadline <= now.monotonic:
            self._apply(self._session.expire(now))
        self._mark.keep_ahead(self._session.next_timestamp)
        self._end.expire(now.monotonic)
        await self._end.flush(now.monotonic)
        if self._end.waiting:
            self._alarm.ring()

    def _absorb(self, now: int) -> list[Packet]:
        packets = []
        for arrival in self._end.take(BURST_DATAGRAMS, now):
            if arrival.kind == MESSAGE and arrival.data[:1] == SIGNED:
                if not self._statements.absorb(arrival.data):
                    self._drops["statement that was not asked for"] += 1
            elif arrival.kind == MESSAGE:
                replica = int(arrival.peer.removeprefix(REPLICA_PREFIX))
                packets.append(Packet(replica, arrival.data))
            else:
                self._on_control(arrival.data)
        return packets

    def _on_control(self, data: bytes) -> None:
        report = control.decode_report(data)
        if report is None or not self._reports.complete(report.nonce, report):
            self._drops["control message that was not asked for"] += 1

    def _apply(self, effects: ClientEffects) -> None:
        for send in effects.messages:
            self._end.post([replica_name(int(to)) for to in send.to], MESSAGE, send.data)
        for completed in effects.completed:
            self._calls.complete(completed.call, completed.result)

    def _deadline(self) -> int | None:
        deadlines = (self._session.deadline, self._end.deadline)
        return min((each for each in deadlines if each is not None), default=None)

    # -- opening and failing ------------------------------------------------------------------

    def _load(self) -> None:
        self._statements = Statements(self._cluster)
        path = self._who.key.with_suffix(".timestamp")
        self._mark = TimestampMark(path, time.time_ns() // 1000)
        self._session = ClientSession(
            self._cluster.config,
            self._who.name,
            signer=self._who.identity.signing,
            first_timestamp=self._mark.first,
            ticket=self._who.identity.ticket,
        )

    async def _open_endpoint(self) -> Endpoint:
        cluster = self._cluster
        host = "::" if all(":" in each.host for each in cluster.replicas) else "0.0.0.0"
        limits = EndpointLimits(
            cluster.file.transport.datagram_bytes,
            message_bytes=MAX_MESSAGE_BYTES,
            reassembly_bytes=2 * MAX_MESSAGE_BYTES,
            pending_bytes=PENDING_BYTES + cluster.config.request_max_bytes,
            bulk_bytes=8 * cluster.config.request_max_bytes,
        )
        return await open_endpoint(
            self._who.name,
            self._who.identity.link,
            {each.name: each.keys.link for each in cluster.replicas},
            cluster_id=cluster.config.cluster_id,
            agreed=cluster.digest,
            bind=(host, 0),
            limits=limits,
            drops=self._drops,
            wake=self._alarm.ring,
            ticket=self._who.identity.ticket,
        )

    async def _connect(self) -> None:
        """Wait for links to all replicas, but not for those that do not answer."""
        began = time.monotonic()
        quorum_at: float | None = None
        while (connected := self._connected()) < len(self._cluster.replicas):
            now = time.monotonic()
            if connected >= self._cluster.config.quorum:
                quorum_at = quorum_at or now
                if now - quorum_at >= GRACE_SECONDS:
                    return
            if now - began >= CONNECT_SECONDS:
                return
            await asyncio.sleep(LOOK_SECONDS)

    def _connected(self) -> int:
        return sum(self._end.established(each.name) for each in self._cluster.replicas)

    def _check_opened(self) -> "asyncio.Task[None]":
        if self._driver is None:
            raise PbftError("this client is not open: use `async with Client(...) as client`")
        return self._driver

    def _check_open(self) -> None:
        if self._check_opened().done():
            raise PbftError("this client is closed: open a new one")

    def _check_here(self) -> None:
        """Open, and in the loop that it was opened in: what waits in another is never woken."""
        self._check_open()
        if self._check_opened().get_loop() is not asyncio.get_running_loop():
            raise PbftError("this client was opened in another event loop: open one in each")

    def _why_unanswered(self) -> str:
        n, quorum = len(self._cluster.replicas), self._cluster.config.quorum
        return why_unanswered(self._end.mismatched, self._connected(), n, quorum)

    def _fail(self, error: Exception) -> None:
        self._calls.fail(error)
        self._reports.fail(error)
