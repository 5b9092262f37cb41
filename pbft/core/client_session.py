"""The client's half of the protocol, sans-I/O (OSDI'99 §4.1): requests out, matching replies in.

Calls that wait while requests are under way travel together: one request, one signature, one
timestamp, many operations. A request goes to the primary first and, when that does not answer, to
all. Replicas remember a bounded number of executed timestamps per client, so no new timestamp is
used while one that old is still unanswered.
"""

from collections import Counter
from dataclasses import dataclass, field

from msgspec import Struct

from pbft.core.authentication import Authentication, Signer, Verifier
from pbft.core.config import Configuration
from pbft.core.effects import Send
from pbft.core.errors import DecodeError, RequestTooLargeError
from pbft.core.ids import ClientId, Digest, Instant, Packet, ReplicaId, Timestamp, View
from pbft.core.messages import Reply, Request, Signed
from pbft.core.wire import decode, request_digest

REQUESTS_IN_FLIGHT = 4
"""Beyond these, calls wait and are coalesced."""
OVERHEAD_BYTES = 128
"""More than a request's bytes around its operations, per request and (5 of them) per operation."""


class Completed(Struct, frozen=True):
    """`result` begins with `service.OK` or `service.REFUSED`."""

    call: int
    result: bytes


@dataclass(slots=True)
class ClientEffects:
    messages: list[Send] = field(default_factory=list)
    completed: list[Completed] = field(default_factory=list)


@dataclass(slots=True)
class Outstanding:
    """A request under way; `order` counts requests, `deadline` is its next retransmission."""

    request: Signed[Request]
    digest: Digest
    calls: list[int]
    order: int
    deadline: int
    delay: int
    replies: dict[ReplicaId, tuple[bytes, ...]] = field(default_factory=dict)


class NoVerifier:
    """A client verifies no signature: links vouch for replies."""

    def verify(self, principal: ReplicaId | ClientId, message: bytes, signature: bytes) -> bool:
        return False


class ClientSession:
    """One client identity. `first_timestamp` must be above all it ever used before."""

    def __init__(
        self, config: Configuration, client: ClientId, *, signer: Signer, first_timestamp: int
    ) -> None:
        verifier: Verifier = NoVerifier()
        self._config = config
        self._client = client
        self._authentication = Authentication(config.cluster_id, signer, verifier)
        self._timestamp: Timestamp = first_timestamp
        self._calls = 0
        self._issued = 0
        self._waiting: dict[int, bytes] = {}
        self._outstanding: dict[Timestamp, Outstanding] = {}
        self._views: dict[ReplicaId, View] = {}
        self.wrong_replies: Counter[ReplicaId] = Counter()
        """Replies that lost against f+1 matching ones, by replica."""

    @property
    def view(self) -> View:
        """The highest view that f+1 replicas claim to have reached."""
        claimed = sorted(self._views.values(), reverse=True)
        return claimed[self._config.f] if len(claimed) > self._config.f else 0

    @property
    def pending(self) -> int:
        """Calls without an answer."""
        return len(self._waiting) + sum(len(each.calls) for each in self._outstanding.values())

    def call(self, operation: bytes) -> int:
        """Queue one operation; the number it will complete under. Raises `RequestTooLargeError`."""
        limit = self._config.request_max_bytes - OVERHEAD_BYTES
        if len(operation) > limit:
            raise RequestTooLargeError(
                f"an operation of {len(operation)} bytes is above the limit of {limit}: split it,"
                " or raise request_max_bytes in the cluster file"
            )
        self._calls += 1
        self._waiting[self._calls] = operation
        return self._calls

    def abandon(self, call: int) -> None:
        """Its caller has given up: the outcome stays unknown, and nobody is told."""
        if self._waiting.pop(call, None) is not None:
            return
        for each in self._outstanding.values():
            if call in each.calls:
                each.calls[each.calls.index(call)] = 0

    def receive(self, packets: list[Packet], now: Instant) -> ClientEffects:
        """Count replies; complete what f+1 agree on; send what was waiting for room."""
        effects = ClientEffects()
        for packet in packets:
            self._absorb(effects, packet)
        self._flush(effects, now)
        return effects

    def expire(self, now: Instant) -> ClientEffects:
        """Send new calls; re-send to all replicas what was not answered in time."""
        effects = ClientEffects()
        everyone = tuple(range(self._config.n))
        for each in self._outstanding.values():
            if each.deadline <= now.monotonic:
                each.delay = min(2 * each.delay, self._config.request_timeout_ns)
                each.deadline = now.monotonic + each.delay
                effects.messages.append(Send(everyone, each.request.raw, each.request.message))
        self._flush(effects, now)
        return effects

    @property
    def deadline(self) -> int | None:
        """When `expire` wants to be called (monotonic ns); 0 for at once."""
        if self._waiting and self._has_room():
            return 0
        return min((each.deadline for each in self._outstanding.values()), default=None)

    def _absorb(self, effects: ClientEffects, packet: Packet) -> None:
        try:
            reply = decode(packet.data)
        except DecodeError:
            return
        if not isinstance(reply, Reply) or reply.replica != packet.peer:
            return
        self._views[reply.replica] = max(reply.view, self._views.get(reply.replica, 0))
        each = self._outstanding.get(reply.timestamp)
        if each is None or reply.request != each.digest or len(reply.results) != len(each.calls):
            return
        each.replies[reply.replica] = reply.results
        matching = [r for r, results in each.replies.items() if results == reply.results]
        if len(matching) >= self._config.weak_quorum:
            self._complete(effects, each, reply.results)

    def _complete(
        self, effects: ClientEffects, each: Outstanding, results: tuple[bytes, ...]
    ) -> None:
        """f+1 replicas say so, hence a correct one does (§4.1)."""
        del self._outstanding[each.request.message.timestamp]
        for replica, other in each.replies.items():
            if other != results:
                self.wrong_replies[replica] += 1
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
        while self._waiting and self._has_room():
            calls = self._take()
            operations = tuple(self._waiting.pop(call) for call in calls)
            request = self._authentication.sign(Request(self._client, self._timestamp, operations))
            delay = max(self._config.request_timeout_ns // 4, 1)
            self._outstanding[self._timestamp] = Outstanding(
                request,
                request_digest(request.raw),
                calls,
                self._issued,
                now.monotonic + delay,
                delay,
            )
            self._timestamp += 1
            self._issued += 1
            primary = self._config.primary(self.view)
            effects.messages.append(Send((primary,), request.raw, request.message))

    def _take(self) -> list[int]:
        """The oldest waiting calls that fit into one request."""
        taken: list[int] = []
        size = OVERHEAD_BYTES
        for call, operation in self._waiting.items():
            size += len(operation) + 5
            full = size > self._config.request_max_bytes
            if taken and (full or len(taken) >= self._config.request_max_operations):
                break
            taken.append(call)
        return taken
