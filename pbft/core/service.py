"""What a replicated service must offer to the core: a deterministic state machine (OSDI'99 §2)."""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from msgspec import Struct

from pbft.core.ids import ClientId, SequenceNumber


class Context(Struct, frozen=True):
    """What every replica agrees on about the operation being executed.

    `time` is the agreed time in wall-clock nanoseconds: strictly increasing from one sequence
    number to the next, proposed by the primary and checked only to be within a bound.
    """

    client: ClientId
    sequence: SequenceNumber
    time: int


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
    exception's type name and text) is the result, the same at every replica.
    """

    def open(self, state: State) -> None:
        """Work on `state` from now on: at the start, and whenever another takes its place (a
        restart, a transfer). Whatever is derived from it, such as an index, is derived anew."""

    def execute(self, operation: bytes, context: Context) -> bytes: ...


@runtime_checkable
class Queries(Protocol):
    """A service that can also be read outside the order, where the cluster has fast reads."""

    def query(self, operation: bytes) -> bytes:
        """What `execute` would give, for an operation that changes nothing and depends on the
        state alone. Raises any exception for every other operation: it is ordered then."""


OK = b"\x00"
REFUSED = b"\x01"
"""First byte of every result: the rest is the value, or why it was refused."""
