"""What a replicated service must offer to the core: a deterministic state machine (OSDI'99 §2)."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Protocol, TypeAlias, runtime_checkable

from msgspec import Struct, msgpack

from pbft.core.ids import ClientId, Digest, SequenceNumber, Timestamp
from pbft.core.messages import Ticket
from pbft.crypto.digests import DIGEST_BYTES, domain

EMPTY = bytes(DIGEST_BYTES)
_SEED = domain(b"seed")


class Context(Struct, frozen=True):
    """What every replica agrees on about the operation being executed.

    `time` is the agreed time in wall-clock nanoseconds: strictly increasing from one sequence
    number to the next, proposed by the primary and checked only to be within a bound.
    `timestamp`, `number`: which operation of which request of this client. `batch`: the digest of
    what was ordered at this sequence number. `ticket`: a guest's, who is not in the cluster file.
    """

    client: ClientId
    sequence: SequenceNumber
    time: int
    timestamp: Timestamp = 0
    number: int = 0
    batch: Digest = EMPTY
    ticket: Ticket | None = None

    @property
    def seed(self) -> bytes:
        """32 bytes for random choices, equal at every replica, different for every operation. No
        client can foresee it; a Byzantine primary can bias it, by trying batches."""
        fields = (self.client, self.sequence, self.timestamp, self.number, self.batch)
        return sha256(_SEED + msgpack.encode(fields)).digest()


Guard: TypeAlias = Callable[[bytes, Context], None]
"""Called with every operation, ordered or not, before the service is: what it raises refuses the
operation. It depends on its arguments and the cluster file alone."""


class State(Protocol):
    """The replicated state of a service: a map from bytes to bytes. It is what checkpoints digest,
    what a restart and a transfer bring back, and the only memory that a service may rely on.

    It may be written during `execute` alone; elsewhere writing raises `ServiceError`.
    """

    @property
    def size_bytes(self) -> int:
        """Of all keys and values."""

    def __len__(self) -> int: ...

    def get(self, key: bytes) -> bytes | None:
        """The value, or none where there is none."""

    def put(self, key: bytes, value: bytes) -> bytes | None:
        """Set a value; what it replaced."""

    def delete(self, key: bytes) -> bytes | None:
        """Remove a key; what it held."""

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All entries, in an order that is equal at every replica but not that of the keys. The
        state must not be written meanwhile."""


class Service(Protocol):
    """Deterministic: same operations in the same order give the same results and the same state.

    `execute` may raise to refuse an operation: what it wrote is undone, and the refusal (the
    exception's type name and text, of a `Refusal` the text alone) is the result, the same at
    every replica. A `HaltError` stops this replica instead.
    """

    def open(self, state: State) -> None:
        """Work on `state` from now on: at the start, and whenever another takes its place (a
        restart, a transfer). Whatever is derived from it, such as an index, is derived anew."""

    def execute(self, operation: bytes, context: Context) -> bytes:
        """The result of one operation. What it raises refuses the operation."""


@runtime_checkable
class Queries(Protocol):
    """A service that can also be read outside the order, where the cluster has fast reads."""

    def query(self, operation: bytes) -> bytes:
        """What `execute` would give, for an operation that changes nothing and depends on the
        state alone. Raises any exception for every other operation: it is ordered then."""


OK = b"\x00"
REFUSED = b"\x01"
"""First byte of every result: the rest is the value, or why it was refused."""
FORGOTTEN = REFUSED + b"Forgotten: too old to know whether it took effect; it will not any more"
