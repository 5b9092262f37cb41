"""A key-value service: put, get, delete, compare-and-swap and scan over bytes.

Operations and results are tagged msgpack arrays, bounded and typed. Whatever is not an operation
is refused by an exception, which the core turns into the same refusal at every replica.
"""

from typing import Annotated, Protocol, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Struct

from pbft.core.errors import PbftError, ServiceError
from pbft.core.service import Context

MAX_KEY_BYTES = 1024
MAX_VALUE_BYTES = 1024 * 1024
MAX_SCAN = 1000
MAX_SCAN_BYTES = 256 * 1024

Key = Annotated[bytes, Meta(max_length=MAX_KEY_BYTES)]
Value = Annotated[bytes, Meta(max_length=MAX_VALUE_BYTES)]


class KeyValueError(PbftError):
    """An operation that this service does not have, or that breaks its limits."""


class Put(Struct, frozen=True, array_like=True, tag=1):
    key: Key
    value: Value


class Get(Struct, frozen=True, array_like=True, tag=2):
    key: Key


class Delete(Struct, frozen=True, array_like=True, tag=3):
    key: Key


class CompareAndSwap(Struct, frozen=True, array_like=True, tag=4):
    """Set `value` (none: delete) where the key holds exactly `expected` (none: nothing)."""

    key: Key
    expected: Value | None
    value: Value | None


class Scan(Struct, frozen=True, array_like=True, tag=5):
    """Pairs with `prefix`, in key order, from `start` on, at most `limit`."""

    prefix: Key
    start: Key
    limit: Annotated[int, Meta(ge=1, le=MAX_SCAN)]


Operation: TypeAlias = Put | Get | Delete | CompareAndSwap | Scan
Pairs: TypeAlias = list[tuple[bytes, bytes]]

_encoder = msgspec.msgpack.Encoder()
_operations: "msgspec.msgpack.Decoder[Operation]" = msgspec.msgpack.Decoder(Operation)
_pairs = msgspec.msgpack.Decoder(Pairs)
_found = msgspec.msgpack.Decoder(bytes | None)
_truth = msgspec.msgpack.Decoder(bool)
_DONE = _encoder.encode(None)
_TRUE = _encoder.encode(True)
_FALSE = _encoder.encode(False)

T = TypeVar("T")


def encode(operation: Operation) -> bytes:
    """The bytes of an operation, as `Client.call` takes them."""
    return _encoder.encode(operation)


class KeyValueService:
    """The replicated state: a dictionary, snapshotted in key order."""

    def __init__(self) -> None:
        self._data: dict[bytes, bytes] = {}

    def execute(self, operation: bytes, context: Context) -> bytes:
        """Apply one operation. Raises `KeyValueError`, with the state as it was."""
        try:
            request = _operations.decode(operation)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise KeyValueError(f"not a key-value operation: {error}") from None
        match request:
            case Put(key, value):
                self._data[key] = value
                return _DONE
            case Get(key):
                return _encoder.encode(self._data.get(key))
            case Delete(key):
                return _FALSE if self._data.pop(key, None) is None else _TRUE
            case CompareAndSwap(key, expected, value):
                return self._swap(key, expected, value)
            case Scan():
                return _encoder.encode(self._scan(request))

    def _swap(self, key: bytes, expected: bytes | None, value: bytes | None) -> bytes:
        if self._data.get(key) != expected:
            return _FALSE
        if value is None:
            self._data.pop(key, None)
        else:
            self._data[key] = value
        return _TRUE

    def _scan(self, scan: Scan) -> Pairs:
        first = max(scan.prefix, scan.start)
        keys = sorted(k for k in self._data if k >= first and k.startswith(scan.prefix))
        pairs: Pairs = []
        size = 0
        for key in keys[: scan.limit]:
            size += len(key) + len(self._data[key])
            if pairs and size > MAX_SCAN_BYTES:
                break
            pairs.append((key, self._data[key]))
        return pairs

    def snapshot(self) -> bytes:
        """All pairs in key order."""
        return _encoder.encode(sorted(self._data.items()))

    def restore(self, snapshot: bytes) -> None:
        """Raises `ServiceError` where `snapshot` is not one, with the state as it was."""
        try:
            self._data = dict(_pairs.decode(snapshot))
        except msgspec.MsgspecError as error:
            raise ServiceError(f"not a key-value snapshot: {error}") from None


class Caller(Protocol):
    """What the wrapper needs of a client."""

    async def call(self, operation: bytes, *, timeout: float | None = None) -> bytes: ...


class KeyValueClient:
    """The key-value operations over a client. Each raises what `Client.call` raises."""

    def __init__(self, client: Caller) -> None:
        self._client = client

    async def put(self, key: bytes, value: bytes) -> None:
        await self._client.call(encode(Put(key, value)))

    async def get(self, key: bytes) -> bytes | None:
        """The value, or none where there is none."""
        return await self._ask(Get(key), _found)

    async def delete(self, key: bytes) -> bool:
        """Whether there was something to delete."""
        return await self._ask(Delete(key), _truth)

    async def cas(self, key: bytes, expected: bytes | None, value: bytes | None) -> bool:
        """Whether the key held `expected` and now holds `value`; none stands for absence."""
        return await self._ask(CompareAndSwap(key, expected, value), _truth)

    async def scan(self, prefix: bytes = b"", *, start: bytes = b"", limit: int = 100) -> Pairs:
        """Pairs in key order; fewer than `limit` where the answer would grow too large."""
        return await self._ask(Scan(prefix, start, limit), _pairs)

    async def _ask(self, operation: Operation, decoder: "msgspec.msgpack.Decoder[T]") -> T:
        return decoder.decode(await self._client.call(encode(operation)))
