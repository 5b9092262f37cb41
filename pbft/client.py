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
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType

from pbft import control
from pbft.acquired import Acquired, acquire
from pbft.client_calls import Alone, Calls, due, judged, opened, running_loop, why_unanswered
from pbft.client_links import connect, links_up, open_links
from pbft.client_lock import release
from pbft.client_room import Room
from pbft.client_session import REQUESTS_IN_FLIGHT, ClientEffects, ClientSession
from pbft.client_stats import ClientStats
from pbft.cluster import REPLICA_PREFIX, Cluster, replica_name
from pbft.control import StatusQuery, StatusReport
from pbft.core.errors import PbftError, UnansweredError
from pbft.core.ids import Instant, Packet, ReplicaId
from pbft.core.service import OK
from pbft.core.state.requests import REQUESTS_PER_CLIENT
from pbft.core.wire import SIGNED
from pbft.outcome_keys import parse_key, render_key
from pbft.receipts import Receipt, Statements
from pbft.timestamps import TimestampMark
from pbft.transport.alarm import Alarm, instant
from pbft.transport.endpoint import Endpoint
from pbft.transport.frames import CONTROL, MESSAGE

DEFAULT_TIMEOUT_SECONDS = 30.0
STATUS_RETRY_SECONDS = 0.2
BURST_DATAGRAMS = 1024
MAX_RESOLVING = REQUESTS_PER_CLIENT - REQUESTS_IN_FLIGHT
"""Keys resolved at once, each with a request of its own: with more, replicas find us greedy."""


class Client:
    """A client of the cluster in `directory`. Nobody else on this machine can be `identity`
    meanwhile: a client of the cluster file; or the file of a guest, which `pbft admit` writes, by
    its path or by its name in keys/; by default, the first client whose key is here and that is
    not in use.

    `timeout` is how long a call waits by default, in seconds; one that is not above zero raises
    `InvalidArgumentsError`, here as at each call. Opening raises `ConfigurationError`.
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
        self._timeout = judged(timeout)
        self._calls: Calls[bytes] = Calls()
        self._room = Room()
        self._resolving, self._alone = Room(MAX_RESOLVING), Alone()
        self._reports: Calls[StatusReport] = Calls()
        self._nonce = 0
        self._drops: Counter[str] = Counter()
        self._driver: asyncio.Task[None] | None = None
        self._entering = asyncio.Lock()
        self._who: Acquired
        self._process: int
        self._cluster: Cluster
        self._session: ClientSession
        self._statements: Statements
        self._mark: TimestampMark
        self._alarm: Alarm
        self._end: Endpoint

    async def __aenter__(self) -> "Client":
        """Load the keys, bind a socket, shake hands with the replicas. Once, else `PbftError`."""
        async with self._entering:
            if self._driver is not None:
                raise PbftError("this client is open already: make another one")
            await self._open()
        return self

    async def _open(self) -> None:
        self._cluster = Cluster.load(self._directory)
        self._process = os.getpid()
        self._who = acquire(self._cluster, self._directory, self._wanted, self._passphrase)
        try:
            self._load()
            self._alarm = Alarm()
            self._end = await open_links(self._cluster, self._who, self._drops, self._alarm.ring)
        except BaseException:
            release(self._who.lock)
            raise
        self._driver = asyncio.create_task(self._drive())
        try:
            await connect(self._end, self._cluster, self._drops, self._alarm.ring)
        except BaseException:
            await self.close()
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give up all calls and free the socket. May be called again. In a process that was forked
        meanwhile it does nothing: name, socket and loop are the other's."""
        driver = self._driver
        if driver is None or self._process != os.getpid():
            return
        driver.cancel()
        try:
            await asyncio.gather(driver, return_exceptions=True)
        finally:  # also where closing is cancelled
            self._alarm.close()
            release(self._who.lock)
            self._fail(UnansweredError("the client was closed: the outcome is not known"))
            await self._end.close()

    async def call(self, operation: bytes, *, timeout: float | None = None) -> bytes:
        """The service's answer to one operation, in the total order of all operations.

        Raises `RejectedError` where the service refused it, `RequestTooLargeError` before sending,
        `UnansweredError` after `timeout` seconds: the operation may or may not take effect, and
        its `key` asks again. A cancelled call may take effect, too. Beyond `MAX_CALLS` or
        `MAX_CALL_BYTES` under way, calls wait for room.
        """
        room = self._room.taken(len(operation))
        return await self._outcome(lambda: self._session.call(operation), timeout, room)

    async def read(
        self, operation: bytes, *, timeout: float | None = None, stale: bool = False
    ) -> bytes:
        """As `call`, for an operation that changes nothing: where the cluster has `fast_reads`, q
        replicas that agree answer it outside the order, and it is as linearizable. With `stale`,
        f+1 do anywhere: no traitor invented the answer, but others may know newer. Where they do
        not agree, or there are no fast reads, it is ordered. Raises what `call` raises."""
        return await self._outcome(
            lambda: self._session.call(operation, read=True, stale=stale),
            timeout,
            self._room.taken(len(operation)),
        )

    def prepare(self, operation: bytes) -> str:
        """A key for one operation, to be kept and then given to `resolve`. Whatever happens to
        this process in between, the operation takes effect at most once. Raises
        `RequestTooLargeError`, and `ConfigurationError` where the timestamp cannot be noted."""
        self._check_here()
        raw = self._session.prepare(operation)
        self._mark.keep_ahead(self._session.next_timestamp)
        return render_key(raw, 0)

    async def resolve(self, key: str, *, timeout: float | None = None) -> bytes:
        """The outcome of a call that was prepared or was not answered; it takes effect now if it
        has not yet. Raises what `call` raises, and `ForgottenOutcomeError` once this client has
        made `client_window` later requests; `ConfigurationError` for another's key. One key is
        resolved by one call at a time; a second waits for the first."""
        raw, place = parse_key(key)
        try:
            return await self._outcome(
                lambda: self._session.resume(raw, place),
                timeout,
                self._alone.at(render_key(raw, place)),  # however it was spelt
                self._resolving.taken(len(raw)),
            )
        except UnansweredError as error:
            raise UnansweredError(str(error), key) from None

    async def certified(
        self, operation: bytes, *, timeout: float | None = None
    ) -> tuple[bytes, Receipt]:
        """As `call`, and a receipt that f+1 replicas or more have signed, for third parties. It
        costs each replica a signature. Raises what `call` raises."""
        until, key = due(self._timeout if timeout is None else timeout), self.prepare(operation)
        result = await self.resolve(key, timeout=timeout)
        raw, _ = parse_key(key)
        try:
            async with asyncio.timeout_at(until):
                return result, await self._statements.collect(raw, OK + result, self._ask_all)
        except (TimeoutError, PbftError):  # time is up, or the client was closed
            text = "it took effect, and too few replicas have signed for it in time"
            raise UnansweredError(text, key) from None

    def _ask_all(self, data: bytes) -> None:
        self._check_open()
        self._end.post([each.name for each in self._cluster.replicas], MESSAGE, data)
        self._alarm.ring()

    async def _outcome(
        self,
        begin: Callable[[], int],
        timeout: float | None,
        *turns: AbstractAsyncContextManager[None],
    ) -> bytes:
        """Once all `turns` have let it in."""
        self._check_here()
        until = due(self._timeout if timeout is None else timeout)
        async with AsyncExitStack() as inside:
            try:
                async with asyncio.timeout_at(until):
                    for each in turns:
                        await inside.enter_async_context(each)
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
        until, loop = due(timeout), asyncio.get_running_loop()
        while (now := loop.time()) < until:
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
        return ClientStats.of(
            self._session, self._statements.wrong, self._drops, links_up(self._end, self._cluster)
        )

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
            self._fail(UnansweredError(f"this client has failed, open a new one: {error}"))
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
        if self._check_opened().get_loop() is not running_loop():
            raise PbftError("this client was opened in another event loop: open one in each")

    def _why_unanswered(self) -> str:
        n, quorum = len(self._cluster.replicas), self._cluster.config.quorum
        return why_unanswered(self._end.mismatched, links_up(self._end, self._cluster), n, quorum)

    def _fail(self, error: Exception) -> None:
        self._calls.fail(error)
        self._reports.fail(error)
