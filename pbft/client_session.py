"""The client's half of the protocol, sans-I/O (OSDI'99 §4.1): requests out, matching replies in.

Calls that wait while requests are under way travel together: one request, one signature, one
timestamp, many operations. A request goes to the primary first and, when that does not answer, to
all. Replicas remember a bounded number of executed timestamps per client, so no new timestamp is
used while one that old is still unanswered.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from pbft.client_reads import Reading, Reads
from pbft.client_requests import Answered, Outstanding
from pbft.core.authentication import DOMAIN, Signer
from pbft.core.config import Configuration
from pbft.core.effects import Send
from pbft.core.errors import ConfigurationError, DecodeError, RequestTooLargeError
from pbft.core.ids import (
    ClientId,
    Digest,
    Instant,
    Packet,
    ReplicaId,
    SequenceNumber,
    Timestamp,
    View,
)
from pbft.core.messages import Read, ReadReply, Reply, Request, Signed
from pbft.core.wire import decode, digest_of, encode_body, encode_link, request_digest, seal_signed

REQUESTS_IN_FLIGHT = 4
"""Beyond these, calls wait and are coalesced."""
NS_PER_BYTE = 1000
"""What a large request may take beside T/4 before it is sent again."""
PATIENCE_PARTS = 8
"""Where the results are agreed on but have not come, they are asked for after T over this."""
OVERHEAD_BYTES = 192
"""More than a request's bytes around its operations, per request and (5 of them) per operation,
but for its ticket."""


class Completed(Struct, frozen=True):
    """`result` begins with `service.OK` or `service.REFUSED`. `read_at`: of a fast read, the
    sequence number whose state it was answered from."""

    call: int
    result: bytes
    read_at: SequenceNumber | None = None


@dataclass(slots=True)
class ClientEffects:
    messages: list[Send] = field(default_factory=list)
    completed: list[Completed] = field(default_factory=list)


class ClientSession:
    """One client identity. `first_timestamp` must be above all it ever used before. `ticket`: a
    guest's."""

    def __init__(
        self,
        config: Configuration,
        client: ClientId,
        *,
        signer: Signer,
        first_timestamp: int,
        ticket: bytes = b"",
    ) -> None:
        self._config = config
        self._ticket = ticket
        self._overhead = OVERHEAD_BYTES + len(ticket)
        self._client = client
        self._signer = signer
        self._timestamp: Timestamp = first_timestamp
        self._life = first_timestamp
        self._reads = Reads(config)
        enough = config.quorum if config.fast_reads else config.weak_quorum
        self._enough = enough
        """Matching replies that complete an ordered call: with fast reads, q (T32)."""
        self._calls = 0
        self._issued = 0
        self._waiting: dict[int, bytes] = {}
        self._outstanding: dict[Timestamp, Outstanding] = {}
        self._answered: dict[Timestamp, Answered] = {}
        """Of the last `client_window` requests: judges the replies that come late."""
        self._views: dict[ReplicaId, View] = {}
        self.retransmissions = 0
        self.fast_reads = 0
        """Calls answered outside the order."""
        self.wrong_replies: Counter[ReplicaId] = Counter()
        """Replies that contradict what f+1 replicas agreed on, by replica."""
        self.completed = 0
        """Requests that f+1 replicas agreed on."""
        self.timely_replies: Counter[ReplicaId] = Counter()
        self.late_replies: Counter[ReplicaId] = Counter()
        """Those that agreed, before a request was complete and after."""

    @property
    def view(self) -> View:
        """The highest view that f+1 replicas claim to have reached."""
        claimed = sorted(self._views.values(), reverse=True)
        return claimed[self._config.f] if len(claimed) > self._config.f else 0

    @property
    def next_timestamp(self) -> Timestamp:
        """What the next request will carry."""
        return self._timestamp

    @property
    def pending(self) -> int:
        """Calls that somebody waits for."""
        reads = self._reads
        under_way = [each.calls for each in self._outstanding.values()]
        under_way += [each.calls for each in reads.outstanding.values()]
        sent = sum(call != 0 for calls in under_way for call in calls)
        return len(self._waiting) + len(reads.waiting) + len(reads.stale) + sent

    def call(self, operation: bytes, *, read: bool = False, stale: bool = False) -> int:
        """Queue one operation; the number it will complete under. `read`: it changes nothing, so
        it need not be ordered where the cluster has fast reads, nor where `stale` will do.
        Raises `RequestTooLargeError`."""
        self._check_size(operation)
        self._calls += 1
        if read and stale:
            self._reads.stale[self._calls] = operation
        elif read and self._config.fast_reads:
            self._reads.waiting[self._calls] = operation
        else:
            self._waiting[self._calls] = operation
        return self._calls

    def prepare(self, operation: bytes) -> bytes:
        """A signed request for one operation, with a timestamp of its own, to be given to
        `resume` now or in another life. Raises `RequestTooLargeError`."""
        self._check_size(operation)
        return self._signed((operation,)).raw

    def sent(self, call: int) -> tuple[bytes, int] | None:
        """The request that carries a call, and the call's place in it, once it has been sent."""
        for each in self._outstanding.values():
            if call in each.calls:
                return each.request.raw, each.calls.index(call)
        return None

    def resume(self, raw: bytes, place: int) -> int:
        """Send a request of ours, of this life or another, to all: it executes if it has not, and
        either way its answer comes. Raises `ConfigurationError` for what is not one."""
        try:
            message = decode(raw)
        except DecodeError:
            message = None
        if (
            not isinstance(message, Request)
            or message.client != self._client
            or self._sealed(message) != raw
        ):
            raise ConfigurationError("this is not the key of a call of this client")
        if not place < len(message.operations):
            raise ConfigurationError("this is the key of no call")
        self._calls += 1
        known = self._outstanding.get(message.timestamp)
        if known is None:
            calls = [0] * len(message.operations)
            known = Outstanding(
                Signed(message, raw), request_digest(raw), calls, self._issued, 0, 0
            )
            known.delay = max(self._config.request_timeout_ns // 4, 1)
            self._outstanding[message.timestamp] = known
        known.calls[place] = self._calls
        return self._calls

    def _check_size(self, operation: bytes) -> None:
        limit = self._config.request_max_bytes - self._overhead
        if len(operation) > limit:
            raise RequestTooLargeError(
                f"an operation of {len(operation)} bytes is above the limit of {limit}: split it,"
                " or raise request_max_bytes in the cluster file"
            )

    def abandon(self, call: int) -> None:
        """Its caller has given up: the outcome stays unknown, and nobody is told. A request that
        nobody waits for is not sent again."""
        if self._waiting.pop(call, None) is not None or self._reads.abandon(call):
            return
        for timestamp, each in self._outstanding.items():
            if call in each.calls:
                each.calls[each.calls.index(call)] = 0
                if not any(each.calls):
                    del self._outstanding[timestamp]
                return

    def receive(self, packets: Sequence[Packet], now: Instant) -> ClientEffects:
        """Count replies; complete what f+1 agree on; send what was waiting for room."""
        effects = ClientEffects()
        for packet in packets:
            self._absorb(effects, packet, now)
        self._flush(effects, now)
        return effects

    def expire(self, now: Instant) -> ClientEffects:
        """Send new calls; re-send to all replicas what was not answered in time."""
        effects = ClientEffects()
        for reading in self._reads.expire(now.monotonic):
            self._order(reading)
        for each in self._outstanding.values():
            if each.deadline <= now.monotonic:
                self.retransmissions += 1
                each.delay = max(each.delay, min(2 * each.delay, self._config.request_timeout_ns))
                each.deadline = now.monotonic + each.delay
                effects.messages.append(
                    Send(self._everyone, each.request.raw, each.request.message)
                )
        self._flush(effects, now)
        return effects

    @property
    def deadline(self) -> int | None:
        """When `expire` wants to be called (monotonic ns); 0 for at once."""
        if self._waiting and self._has_room():
            return 0
        deadlines = [each.deadline for each in self._outstanding.values()]
        if self._reads.deadline is not None:
            deadlines.append(self._reads.deadline)
        return min(deadlines, default=None)

    @property
    def _everyone(self) -> tuple[ReplicaId, ...]:
        return tuple(range(self._config.n))

    def _absorb(self, effects: ClientEffects, packet: Packet, now: Instant) -> None:
        try:
            reply = decode(packet.data)
        except DecodeError:
            return
        if not isinstance(reply, Reply | ReadReply) or reply.replica != packet.peer:
            return
        if isinstance(reply, ReadReply):
            self._absorb_read(effects, reply)
            return
        self._views[reply.replica] = max(reply.view, self._views.get(reply.replica, 0))
        each = self._outstanding.get(reply.timestamp)
        if each is None:
            self._absorb_late(reply)
            return
        whole = isinstance(reply.results, tuple)
        if reply.request != each.digest or (whole and len(reply.results) != len(each.calls)):
            self.wrong_replies[reply.replica] += 1
            return
        self._tally(effects, each, reply, now)

    def _absorb_late(self, reply: Reply) -> None:
        answered = self._answered.get(reply.timestamp)
        if answered is None or reply.replica in answered.heard:
            return
        answered.heard.add(reply.replica)
        agrees = (answered.request, answered.results) == (reply.request, digest_of(reply.results))
        (self.late_replies if agrees else self.wrong_replies)[reply.replica] += 1

    def _absorb_read(self, effects: ClientEffects, reply: ReadReply) -> None:
        outcome = self._reads.tally(reply) if reply.session == self._life else None
        if outcome is None:
            return
        if outcome.results is None:
            self._order(outcome.reading)
            return
        self.wrong_replies.update(outcome.liars)
        for call, result in zip(outcome.reading.calls, outcome.results, strict=True):
            if call:
                self.fast_reads += 1
                effects.completed.append(Completed(call, result, outcome.sequence))

    def _order(self, reading: Reading) -> None:
        """No quorum agrees, or not in time: the order decides."""
        for call, operation in zip(reading.calls, reading.operations, strict=True):
            if call:
                self._waiting[call] = operation

    def _tally(self, effects: ClientEffects, each: Outstanding, reply: Reply, now: Instant) -> None:
        """Enough replicas agree on a digest, and one of them has sent what it stands for."""
        digest = digest_of(reply.results)
        if isinstance(reply.results, tuple):
            each.whole[reply.replica] = reply.results
        elif each.replies.get(reply.replica) != digest:
            each.whole.pop(reply.replica, None)
        each.replies[reply.replica] = digest
        matching = [r for r, other in each.replies.items() if other == digest]
        if len(matching) < self._enough:
            return
        results = next((each.whole[r] for r in matching if r in each.whole), None)
        if results is not None:
            self._complete(effects, each, results, digest)
        elif not each.hurried:
            each.hurried = True
            lied = bool(each.whole)
            patience = 0 if lied else self._config.request_timeout_ns // PATIENCE_PARTS
            each.deadline = min(each.deadline, now.monotonic + patience)

    def _complete(
        self,
        effects: ClientEffects,
        each: Outstanding,
        results: tuple[bytes, ...],
        digest: Digest,
    ) -> None:
        """f+1 replicas say so, hence a correct one does (§4.1); with fast reads, q do."""
        timestamp = each.request.message.timestamp
        del self._outstanding[timestamp]
        self._answered[timestamp] = Answered(each.digest, digest, set(each.replies))
        if len(self._answered) > self._config.client_window:
            del self._answered[next(iter(self._answered))]
        self.completed += 1
        for replica, other in each.replies.items():
            (self.timely_replies if other == digest else self.wrong_replies)[replica] += 1
        for call, result in zip(each.calls, results, strict=True):
            if call:
                effects.completed.append(Completed(call, result))

    def _has_room(self) -> bool:
        """Few enough requests under way, and the oldest still inside every replica's window."""
        if len(self._outstanding) >= REQUESTS_IN_FLIGHT:
            return False
        oldest = min((each.order for each in self._outstanding.values()), default=self._issued)
        return self._issued - oldest < self._config.client_window - 1

    def _flush(self, effects: ClientEffects, now: Instant) -> None:
        """The one place where requests and reads are made."""
        for stale, waiting in ((False, self._reads.waiting), (True, self._reads.stale)):
            while waiting and self._reads.has_room:
                reading = self._reads.begin(self._take(waiting), now.monotonic, stale=stale)
                read = Read(self._life, reading.nonce, reading.operations, stale, self._ticket)
                effects.messages.append(Send(self._everyone, encode_link(read), read))
        primary = (self._config.primary(self.view),)
        while self._waiting and self._has_room():
            each = self._issue(self._take(self._waiting), now)
            request = each.request
            self._outstanding[request.message.timestamp] = each
            large = len(request.raw) > self._config.inline_max_bytes
            to = self._everyone if large else primary
            effects.messages.append(Send(to, request.raw, request.message))

    def _issue(self, calls: list[int], now: Instant) -> Outstanding:
        """Sign one request for all of `calls`, under a new timestamp."""
        request = self._signed(tuple(self._waiting.pop(call) for call in calls))
        large = max(len(request.raw) - self._config.inline_max_bytes, 0)
        delay = max(self._config.request_timeout_ns // 4, 1) + large * NS_PER_BYTE
        order = self._issued
        self._issued += 1
        return Outstanding(
            request, request_digest(request.raw), calls, order, now.monotonic + delay, delay
        )

    def _signed(self, operations: tuple[bytes, ...]) -> Signed[Request]:
        message = Request(self._client, self._timestamp, operations, self._ticket)
        self._timestamp += 1
        return Signed(message, self._sealed(message))

    def _sealed(self, message: Request) -> bytes:
        """The same at any time: Ed25519 signs without chance."""
        body = encode_body(message)
        return seal_signed(body, self._signer.sign(DOMAIN + self._config.cluster_id + body))

    def _take(self, waiting: dict[int, bytes]) -> list[int]:
        """The oldest waiting calls that fit into one request; a large one has it to itself."""
        taken: list[int] = []
        size = self._overhead
        for call, operation in waiting.items():
            size += len(operation) + 5
            full = size > self._config.inline_max_bytes
            if taken and (full or len(taken) >= self._config.request_max_operations):
                break
            taken.append(call)
        return taken
