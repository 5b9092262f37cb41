"""A key-value service: put, get, delete, compare-and-swap and scan over bytes.

Operations and results are tagged msgpack arrays, bounded and typed. Whatever is not an operation
is refused by an exception, which the core turns into the same refusal at every replica.

The limits keep an answer to a full request of operations well inside one message.
"""

from itertools import islice
from typing import Annotated, Protocol, TypeAlias, TypeVar, runtime_checkable

import msgspec
from msgspec import Meta, Struct
from sortedcontainers import SortedList

from pbft.core.errors import PbftError, ServiceError
from pbft.core.service import Context, State
from pbft.typed.nesting import SAID, too_deep

MAX_KEY_BYTES = 1024
MAX_VALUE_BYTES = 16 * 1024
MAX_SCAN = 1000
MAX_SCAN_BYTES = 16 * 1024
MAX_STATE_BYTES = 2 * 1024 * 1024 * 1024
"""Keys and values together, unless the service is told otherwise."""

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
_nothing = msgspec.msgpack.Decoder(None)
_found = msgspec.msgpack.Decoder(bytes | None)
_truth = msgspec.msgpack.Decoder(bool)
_DONE = _encoder.encode(None)
_TRUE = _encoder.encode(True)
_FALSE = _encoder.encode(False)

T = TypeVar("T")


def encode(operation: Operation) -> bytes:
    """The bytes of an operation, as `Client.call` takes them."""
    return _encoder.encode(operation)


def _decoded(operation: bytes) -> Operation:
    if too_deep(operation):
        raise KeyValueError(f"not a key-value operation: {SAID}")
    try:
        return _operations.decode(operation)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise KeyValueError(f"not a key-value operation: {error}") from None


class KeyValueService:
    """The replicated state holds the pairs themselves. With `max_bytes` of keys and values in it,
    nothing is added until something is deleted; the limit must be equal at every replica.

    `_keys` are the keys in order, kept only once there has been a scan."""

    def __init__(self, max_bytes: int = MAX_STATE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._state: State
        self._keys: SortedList[bytes] | None = None

    def open(self, state: State) -> None:
        """Serve these pairs."""
        self._state = state
        self._keys = None

    def execute(self, operation: bytes, context: Context) -> bytes:
        """Apply one operation. Raises `KeyValueError`, with the state as it was."""
        request = _decoded(operation)
        match request:
            case Put(key, value):
                self._set(key, value)
                return _DONE
            case Get(key):
                return _encoder.encode(self._state.get(key))
            case Delete(key):
                return _TRUE if self._remove(key) else _FALSE
            case CompareAndSwap():
                return self._swap(request)
            case Scan():
                return _encoder.encode(self._scan(request))

    def query(self, operation: bytes) -> bytes:
        """What a get or a scan gives, outside the order. Raises `KeyValueError` for others."""
        match _decoded(operation):
            case Get(key):
                return _encoder.encode(self._state.get(key))
            case Scan() as scan:
                return _encoder.encode(self._scan(scan))
        raise KeyValueError("only a get or a scan can be answered outside the order")

    def _set(self, key: bytes, value: bytes) -> None:
        old = self._state.put(key, value)
        grew = old is None or len(value) > len(old)
        if grew and self._state.size_bytes > self._max_bytes:
            raise KeyValueError(f"the store is full ({self._max_bytes} bytes): delete something")
        if old is None and self._keys is not None:
            self._keys.add(key)

    def _remove(self, key: bytes) -> bool:
        if self._state.delete(key) is None:
            return False
        if self._keys is not None:
            self._keys.remove(key)
        return True

    def _swap(self, swap: CompareAndSwap) -> bytes:
        if self._state.get(swap.key) != swap.expected:
            return _FALSE
        if swap.value is None:
            self._remove(swap.key)
        else:
            self._set(swap.key, swap.value)
        return _TRUE

    def _scan(self, scan: Scan) -> Pairs:
        if self._keys is None:
            self._keys = SortedList(key for key, _ in self._state.items())
        pairs: Pairs = []
        size = 0
        for key in islice(self._keys.irange(max(scan.prefix, scan.start)), scan.limit):
            value = self._state.get(key) or b""
            size += len(key) + len(value)
            if not key.startswith(scan.prefix) or (pairs and size > MAX_SCAN_BYTES):
                break
            pairs.append((key, value))
        return pairs


class Caller(Protocol):
    """What the wrapper needs of a client."""

    async def call(self, operation: bytes, *, timeout: float | None = None) -> bytes: ...


@runtime_checkable
class Reader(Caller, Protocol):
    """A client that can also read outside the order."""

    async def read(self, operation: bytes, *, timeout: float | None = None) -> bytes: ...


class KeyValueClient:
    """The key-value operations over a client; gets and scans are fast reads where it and its
    cluster have them. Each raises what `Client.call` raises, and waits
    at most `timeout` seconds (none: as long as the client's own default says)."""

    def __init__(self, client: Caller, *, timeout: float | None = None) -> None:
        self._client = client
        self._timeout = timeout

    async def put(self, key: bytes, value: bytes) -> None:
        """Set `key` to `value`."""
        await self._ask(Put(key, value), _nothing)

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
        """Pairs in key order, from `start` on; fewer than `limit` where there are no more or they
        pass `MAX_SCAN_BYTES`: go on from the last key + b"\\0" until there are none."""
        return await self._ask(Scan(prefix, start, limit), _pairs)

    async def _ask(self, operation: Operation, decoder: "msgspec.msgpack.Decoder[T]") -> T:
        client = self._client
        reading = isinstance(client, Reader) and isinstance(operation, Get | Scan)
        ask = client.read if reading and isinstance(client, Reader) else client.call
        result = await ask(encode(operation), timeout=self._timeout)
        try:
            return decoder.decode(result)
        except msgspec.MsgspecError as error:
            raise ServiceError(f"the cluster does not run the key-value service: {error}") from None
