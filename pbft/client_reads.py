"""Fast reads, the client's book: what was asked of all replicas at once, outside the order (§5.1).

q replicas that name the same results *and* the same executed sequence number answer a read: any
other such quorum, and any quorum that acknowledged an operation, shares a correct replica with
them, so nothing acknowledged is missing and no later read goes back (T32). For a stale read f+1
replicas that name the same results do: one of them is correct. Whatever else comes, or does not
come in time, the read is ordered like any operation.
"""

from collections import Counter
from dataclasses import dataclass, field

from pbft.core.config import Configuration
from pbft.core.ids import Digest, ReplicaId, SequenceNumber
from pbft.core.messages import ReadReply
from pbft.core.service import REFUSED
from pbft.core.wire import digest_of

READS_IN_FLIGHT = 4
"""Beyond these, reads wait and travel together."""
PATIENCE_PARTS = 8
"""A read that T over this did not answer is ordered."""


@dataclass(slots=True)
class Reading:
    """One read under way; `calls` holds 0 where the caller has given up."""

    nonce: int
    calls: list[int]
    operations: tuple[bytes, ...]
    deadline: int
    stale: bool
    answers: dict[ReplicaId, tuple[SequenceNumber, Digest]] = field(default_factory=dict)
    whole: dict[Digest, tuple[bytes, ...]] = field(default_factory=dict)
    """At most one per replica: the first answer of each counts."""


@dataclass(slots=True)
class ReadOutcome:
    """`results` at sequence number `sequence`, or none: the read has to be ordered. `liars` named
    other results for that number. Of a stale read it is the highest number that f others have
    reached or passed with the same results: none that only liars name."""

    reading: Reading
    results: tuple[bytes, ...] | None = None
    sequence: SequenceNumber = 0
    liars: list[ReplicaId] = field(default_factory=list)


class Reads:
    """`waiting`, `stale`: by call, the operations not asked yet."""

    def __init__(self, config: Configuration) -> None:
        self._config = config
        self._nonce = 0
        self.waiting: dict[int, bytes] = {}
        self.stale: dict[int, bytes] = {}
        self.outstanding: dict[int, Reading] = {}

    @property
    def has_room(self) -> bool:
        return len(self.outstanding) < READS_IN_FLIGHT

    @property
    def deadline(self) -> int | None:
        """When `expire` wants to be called (monotonic ns); 0 for at once."""
        if (self.waiting or self.stale) and self.has_room:
            return 0
        return min((each.deadline for each in self.outstanding.values()), default=None)

    def begin(self, calls: list[int], now: int, *, stale: bool) -> Reading:
        """Take `calls` out of those that wait."""
        self._nonce += 1
        waiting = self.stale if stale else self.waiting
        operations = tuple(waiting.pop(call) for call in calls)
        deadline = now + max(self._config.request_timeout_ns // PATIENCE_PARTS, 1)
        reading = Reading(self._nonce, calls, operations, deadline, stale)
        self.outstanding[self._nonce] = reading
        return reading

    def abandon(self, call: int) -> bool:
        """Its caller has given up; whether the call was a read of ours."""
        if (self.waiting.pop(call, None) or self.stale.pop(call, None)) is not None:
            return True
        for reading in self.outstanding.values():
            if call in reading.calls:
                reading.calls[reading.calls.index(call)] = 0
                return True
        return False

    def tally(self, reply: ReadReply) -> ReadOutcome | None:
        """Count an answer; the outcome, where this decides it."""
        reading = self.outstanding.get(reply.nonce)
        if reading is None or reply.replica in reading.answers:
            return None
        digest = digest_of(reply.results)
        reading.answers[reply.replica] = (reply.sequence, digest)
        if isinstance(reply.results, tuple) and len(reply.results) == len(reading.calls):
            reading.whole[digest] = reply.results
        outcome = self._judge(reading)
        if outcome is not None:
            del self.outstanding[reading.nonce]
        return outcome

    def _judge(self, reading: Reading) -> ReadOutcome | None:
        said = reading.answers
        claims = [(0 if reading.stale else at, digest) for at, digest in said.values()]
        (answer, count), *_ = Counter(claims).most_common(1)
        needed = self._config.weak_quorum if reading.stale else self._config.quorum
        silent = self._config.n - len(said)
        results = reading.whole.get(answer[1])
        if count >= needed and results is not None:
            if any(result[:1] == REFUSED for result in results):
                return ReadOutcome(reading)
            liars = [r for r, (at, other) in said.items() if at == answer[0] and other != answer[1]]
            agreed = sorted(
                (at for at, digest in said.values() if digest == answer[1]), reverse=True
            )
            return ReadOutcome(reading, results, agreed[self._config.f], liars)
        return None if silent and count + silent >= needed else ReadOutcome(reading)

    def expire(self, now: int) -> list[Reading]:
        """Those that were not answered in time."""
        late = [each for each in self.outstanding.values() if each.deadline <= now]
        for each in late:
            del self.outstanding[each.nonce]
        return late
