"""What a replicated service must offer to the core: a deterministic state machine (OSDI'99 §2)."""

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


class Service(Protocol):
    """Deterministic: same operations in the same order give the same results and snapshots.

    `execute` may raise to refuse an operation; it must then have left the state as it was. The
    refusal (the exception's type name and text) is the result, the same at every replica.
    """

    def execute(self, operation: bytes, context: Context) -> bytes: ...

    def snapshot(self) -> bytes:
        """The whole state as canonical bytes."""
        ...

    def restore(self, snapshot: bytes) -> None:
        """Take the place of the state. Raises any exception if `snapshot` is not one."""
        ...


@runtime_checkable
class Queries(Protocol):
    """A service that can also be read outside the order, where the cluster has fast reads."""

    def query(self, operation: bytes) -> bytes:
        """What `execute` would give, for an operation that changes nothing and depends on the
        state alone. Raises any exception for every other operation: it is ordered then."""
        ...


OK = b"\x00"
REFUSED = b"\x01"
"""First byte of every result: the rest is the value, or why it was refused."""
