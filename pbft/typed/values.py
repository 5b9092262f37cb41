"""Values as bytes, typed: the same value gives the same bytes at every replica.

What is written is checked against its type at once, since what cannot be read again is lost. Dicts
keep their order, which is a part of what a program sees; sets have none, so a type with sets in
it is written, sets and dicts alike, in sorted order.
"""

from typing import Any

import msgspec
from msgspec import inspect

from pbft.core.errors import InvalidArgumentsError, ServiceError


class Codec:
    """Of one type. Raises `ServiceError` where values of it cannot be sent."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        try:
            has_sets = _has_sets(inspect.type_info(kind), set())
            self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(kind)
        except TypeError as error:
            raise ServiceError(f"{kind} cannot be sent or kept: {error}") from None
        self._encoder = msgspec.msgpack.Encoder(order="deterministic" if has_sets else None)

    def encode(self, value: Any, what: str) -> bytes:
        """Raises `InvalidArgumentsError`, which calls the value `what`."""
        return self.round_trip(value, what)[0]

    def round_trip(self, value: Any, what: str) -> tuple[bytes, Any]:
        """The bytes, and the value that is read from them, which may be another: a tuple under
        `Any` becomes a list. Raises `InvalidArgumentsError`."""
        try:
            data = self._encoder.encode(value)
        except (
            TypeError,
            ValueError,
            OverflowError,
            RecursionError,
            msgspec.MsgspecError,
        ) as error:
            raise InvalidArgumentsError(f"{what} cannot be written: {error}") from None
        return data, self.decode(data, what)

    def decode(self, data: bytes, what: str) -> Any:
        """Raises `InvalidArgumentsError`."""
        try:
            return self._decoder.decode(data)
        except (ValueError, TypeError, RecursionError, msgspec.MsgspecError) as error:
            raise InvalidArgumentsError(f"{what}: {error}") from None


def _has_sets(kind: Any, seen: set[int]) -> bool:
    """Whether a set may occur anywhere in values of a type, as msgspec describes it."""
    if isinstance(kind, inspect.SetType | inspect.FrozenSetType):
        return True
    if isinstance(kind, tuple | list):
        return any(_has_sets(each, seen) for each in kind)
    if not isinstance(kind, msgspec.Struct) or id(kind) in seen:
        return False
    seen.add(id(kind))
    return any(_has_sets(getattr(kind, name), seen) for name in kind.__struct_fields__)
