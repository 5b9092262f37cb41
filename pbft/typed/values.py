"""Values as bytes, typed: the same value gives the same bytes at every replica.

What is written is checked against its type at once, since what cannot be read again is lost. Dicts
keep their order, which is a part of what a program sees; sets have none, so they are written in the
order of the bytes of their elements.
"""

import dataclasses
from collections import deque
from collections.abc import Iterator
from copy import copy
from typing import Any

import msgspec
from msgspec import inspect

from pbft.core.errors import InvalidArgumentsError, ServiceError
from pbft.typed.nesting import SAID, too_deep

UNWRITABLE = (TypeError, ValueError, OverflowError, msgspec.MsgspecError)
"""What writing a value may raise, beside `RecursionError`."""
UNORDERED = (inspect.SetType, inspect.FrozenSetType, inspect.AnyType)
"""Types of values in which a set may be."""
AGAIN = object()
"""In place of a type that was there before, and may be within itself."""
INSTEAD = {dict: "dict", list: "list", deque: "list", set: "set"}
"""What to annotate where a class is one of these."""


class Codec:
    """Of one type. Raises `ServiceError` where values of it cannot be sent."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        try:
            types = list(_types(inspect.type_info(kind), set()))
            self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(kind)
        except (TypeError, NameError) as error:
            raise ServiceError(f"{kind} cannot be sent or kept: {error}") from None
        for each in types:
            if isinstance(each, inspect.CustomType):
                raise ServiceError(f"{each.cls.__name__} cannot be sent or kept: {_instead(each)}")
        self._deep = any(each is AGAIN or isinstance(each, inspect.AnyType) for each in types)
        self._ordered = any(isinstance(each, UNORDERED) for each in types)
        self.made = next((found for each in types if (found := _made(each))), None)
        """A field that is made by calling something where it is left out."""

    def encode(self, value: Any, what: str) -> bytes:
        """Raises `InvalidArgumentsError`, which calls the value `what`."""
        return self.round_trip(value, what)[0]

    def round_trip(self, value: Any, what: str, known: bytes = b"") -> tuple[bytes, Any]:
        """The bytes, and the value that is read from them, which may be another: a tuple under
        `Any` becomes a list. Bytes that are `known` are well. Raises `InvalidArgumentsError`."""
        try:
            data = encode(ordered(value) if self._ordered else value)
        except RecursionError:  # whose text tells how deep this replica's own calls were
            raise InvalidArgumentsError(f"{what} cannot be written: {SAID}") from None
        except UNWRITABLE as error:
            raise InvalidArgumentsError(f"{what} cannot be written: {error}") from None
        if self._deep and data != known and too_deep(data):
            raise InvalidArgumentsError(f"{what} cannot be written: {SAID}")
        return data, self.decode(data, what)

    def decode(self, data: bytes, what: str) -> Any:
        """Raises `InvalidArgumentsError`."""
        try:
            return self._decoder.decode(data)
        except RecursionError:
            raise InvalidArgumentsError(f"{what}: {SAID}") from None
        except (ValueError, TypeError, msgspec.MsgspecError) as error:
            raise InvalidArgumentsError(f"{what}: {error}") from None


def ordered(value: Any) -> Any:
    """What is written as `value` is, with tuples in the place of sets. Elements are in the order of
    their bytes, since not all have one of their own: frozensets, members of an enumeration."""
    if isinstance(value, set | frozenset):
        return tuple(sorted(map(ordered, value), key=encode))
    if isinstance(value, list | tuple):
        return tuple(map(ordered, value))
    if isinstance(value, dict):
        return {ordered(key): ordered(each) for key, each in value.items()}
    names = _fields(type(value))
    if not names:
        return value
    changed = copy(value)
    for name in names:
        if hasattr(value, name):
            _set(changed, name, ordered(getattr(value, name)))
    return changed


def _fields(kind: type) -> tuple[str, ...]:
    """Of a struct or a dataclass, also one of attrs."""
    if issubclass(kind, msgspec.Struct):
        return kind.__struct_fields__
    if dataclasses.is_dataclass(kind):
        return tuple(each.name for each in dataclasses.fields(kind))
    return tuple(each.name for each in getattr(kind, "__attrs_attrs__", ()))


def _set(changed: object, name: str, value: Any) -> None:
    """Also where it is frozen: it is a copy, to be written at once."""
    if isinstance(changed, msgspec.Struct):
        msgspec.structs.force_setattr(changed, name, value)
    else:
        object.__setattr__(changed, name, value)


def _types(kind: Any, seen: set[int]) -> Iterator[Any]:
    """All types that occur anywhere in values of a type, as msgspec describes it."""
    if isinstance(kind, tuple | list):
        for each in kind:
            yield from _types(each, seen)
    elif id(kind) in seen:
        yield AGAIN
    elif isinstance(kind, msgspec.Struct):
        seen.add(id(kind))
        yield kind
        for name in kind.__struct_fields__:
            yield from _types(getattr(kind, name), seen)


def _made(kind: Any) -> str | None:
    """The first field of a record whose default is made by other than a type such as `list`."""
    for each in getattr(kind, "fields", ()):
        factory = each.default_factory
        if factory is not msgspec.NODEFAULT and not isinstance(factory, type):
            return f"{each.name} of {kind.cls.__name__}"
    return None


def _instead(kind: inspect.CustomType) -> str:
    for base, name in INSTEAD.items():
        if issubclass(kind.cls, base):
            return f"annotate {name}"
    return "make it a dataclass or a msgspec.Struct"


encode = msgspec.msgpack.Encoder().encode
