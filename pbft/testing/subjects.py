"""What a run is about: a service, and the operations that clients ask of it.

The key-value service is the one that the simulator knows by itself; any other is named as
`module:Class`, a plain class with commands and queries or one that speaks bytes. A class may say
itself which calls are worth making: `workload(rng)` returns a name and arguments, or, of a service
of bytes, an operation. Without it, calls of all commands and queries are made up.
A class may also have `invariant(self)`, which raises where its state is not as it must always be.
"""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from pbft.core.errors import InvalidArgumentsError, PbftError, ServiceError
from pbft.core.service import Service
from pbft.services.kv import CompareAndSwap, Delete, Get, KeyValueService, Put, Scan, encode
from pbft.testing.copies import copied
from pbft.testing.determinism import imported, made_up, switch
from pbft.typed.hosting import Hosted, hosted
from pbft.typed.methods import Method, methods_of, parse_operation

SHOWN = 80
READS = {encode(Get(b""))[1:2], encode(Scan(b"", b"", 1))[1:2]}
"""The tags of operations that change nothing."""


@dataclass(frozen=True, slots=True)
class Subject:
    """`make` gives each life of a replica its service, `operation` makes a call up, `reads` tells
    which change nothing; `judge`, if any, raises where a service of `make` breaks its own
    invariant. `name` is none for the key-value service."""

    name: str | None
    make: Callable[[], Service]
    operation: Callable[[random.Random], bytes]
    reads: Callable[[bytes], bool]
    judge: Callable[[Service], None] | None = None


def random_operation(rng: random.Random) -> bytes:
    """Few keys, so that operations meet; now and then not an operation at all."""
    key = b"key%d" % rng.randrange(6)
    value = b"value%d" % rng.randrange(1000)
    kind = rng.randrange(12)
    if kind == 0:
        return rng.randbytes(rng.randrange(20))
    if kind < 6:
        return encode(Put(key, value * rng.choice((1, 1, 20))))
    if kind < 8:
        return encode(Get(key))
    if kind < 9:
        return encode(Delete(key))
    if kind < 11:
        return encode(CompareAndSwap(key, None, value))
    return encode(Scan(b"key", b"", 10))


KEY_VALUE = Subject(
    None, KeyValueService, random_operation, lambda operation: operation[1:2] in READS
)


def subject(name: str | None) -> Subject:
    """The subject of that name. Raises `ServiceError` where it cannot be imported or called."""
    if name is None:
        return KEY_VALUE
    service = imported(name)

    def make() -> Service:
        with copied(service) as copy:
            try:
                return hosted(copy())
            except PbftError:
                raise
            except Exception as error:  # whatever the user's class raises
                text = f"{name}() fails: {type(error).__name__}: {error}"
                raise ServiceError(text) from error

    judge = _judge if hasattr(service, "invariant") else None
    return Subject(name, make, _operations(service), _reads(service), judge)


def _judge(service: Service) -> None:
    target: Any = service.target if isinstance(service, Hosted) else service
    target.invariant()


def shown_call(operation: bytes) -> str:
    """An operation for people, `name(arguments)` where it is one of a class with commands."""
    try:
        name, packed = parse_operation(operation)
        arguments = ", ".join(f"{msgspec.msgpack.decode(each)!r}" for each in packed)
        return f"{name}({arguments})"[:SHOWN]
    except (PbftError, msgspec.MsgspecError, UnicodeDecodeError):
        return f"{operation!r}"[:SHOWN]


def _operations(service: type) -> Callable[[random.Random], bytes]:
    own = getattr(service, "workload", None)
    if own is None:
        made_up(service, 1)
        return lambda rng: made_up(service, 1, rng.getrandbits(64))[0].data
    methods = methods_of(service)

    def operation(rng: random.Random) -> bytes:
        switched = switch(service, rng) if methods else None
        if switched is not None:
            return switched.data
        try:
            made: Any = own(rng)
            if isinstance(made, bytes):
                return made
            name, *arguments = made
            if name in methods:
                return _packed(methods[name], tuple(arguments))
        except Exception as error:  # whatever the user's method raises
            text = f"workload of {service.__name__} fails: {type(error).__name__}: {error}"
            raise ServiceError(text) from error
        raise ServiceError(f"workload of {service.__name__} names {name!r}, which it has not")

    return operation


def _packed(versions: list[Method[..., Any]], arguments: tuple[object, ...]) -> bytes:
    """As the newest of one name takes them that does. Raises what the oldest raises."""
    for each in versions[:-1]:
        with suppress(TypeError, InvalidArgumentsError):
            return each.pack(arguments, {})
    return versions[-1].pack(arguments, {})


def _reads(service: type) -> Callable[[bytes], bool]:
    queries = {
        name
        for name, versions in methods_of(service).items()
        if all(each.kind == "query" for each in versions)
    }

    def reads(operation: bytes) -> bool:
        try:
            return bool(queries) and parse_operation(operation)[0] in queries
        except InvalidArgumentsError:
            return False  # a faulty client asks anything

    return reads
