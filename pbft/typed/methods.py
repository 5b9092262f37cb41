"""`@command` and `@query`: methods with a name on the wire, typed arguments and a typed result.

    class Counter:
        def __init__(self) -> None:
            self.value = 0

        @command
        def add(self, amount: int) -> int:
            self.value += amount
            return self.value

On an object of the class such a method is the plain method. On a proxy, a subclass that says how to
ask, it is a call to the cluster with the same parameters: so editors and type checkers know both.

A command that takes a `Context` as its first parameter is given it where it executes; callers do
not see that parameter.
"""

import inspect
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property, wraps
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    TypeAlias,
    TypeVar,
    get_args,
    get_type_hints,
    overload,
)

import msgspec

from pbft.core.errors import InvalidArgumentsError, ServiceError
from pbft.core.service import Context
from pbft.typed.nesting import SAID, too_deep
from pbft.typed.values import Codec

if TYPE_CHECKING:
    from pbft.typed.proxy import Proxy

Owner = TypeVar("Owner")
P = ParamSpec("P")
R = TypeVar("R")
Kind: TypeAlias = Literal["command", "query"]

RESERVED = "pbft."
"""How the names of what every service understands begin."""
UPGRADE = "pbft.upgrade"
"""The operation that makes the next version active."""
MAX_NAME = 64
SHARED = (list, dict, set, bytearray)
"""Defaults that one call can change for the next."""

NO_METHOD = "is no method of an object: give it self, and no @staticmethod or @classmethod"
UNSENT = {
    inspect.Parameter.KEYWORD_ONLY: "{0} is keyword-only: remove the * before it, callers may go on"
    " naming it",
    inspect.Parameter.VAR_POSITIONAL: "*{0} cannot be sent: take a list",
    inspect.Parameter.VAR_KEYWORD: "**{0} cannot be sent: take a dict",
}
"""What to do about kinds of parameters that have no place in a list of arguments."""

_context: ContextVar[Context] = ContextVar("context")


class Method(Generic[P, R]):
    """One `@command` or `@query` of a class. `since`: the version of the service that brought it;
    of those with one name, the newest that the active version has is executed."""

    def __init__(
        self, function: Callable[..., R], kind: Kind, name: str | None, since: int
    ) -> None:
        self.function = function
        self.kind: Kind = kind
        self.name = name or function.__name__
        self.since = since
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        if inspect.iscoroutinefunction(function):
            raise ServiceError(f"{self.__name__} is async: what executes may wait for nothing")
        if (
            isinstance(function, staticmethod | classmethod)
            or not inspect.signature(function).parameters
        ):
            raise ServiceError(f"{self.__name__} {NO_METHOD}")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise ServiceError(f"{self.__name__} is a generator: return a list")
        if self.name.startswith(RESERVED) or not 0 < len(self.name) <= MAX_NAME:
            raise ServiceError(f"{self.name!r} cannot be the name of a {kind}")

    @overload
    def __get__(self, instance: None, owner: type) -> "Method[P, R]": ...
    @overload
    def __get__(self, instance: "Proxy", owner: type) -> Callable[P, Coroutine[Any, Any, R]]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> Callable[P, R]: ...
    def __get__(self, instance: object, owner: type) -> Any:
        if instance is None:
            return self
        ask = getattr(owner, "_ask", None)

        @wraps(self.function)
        def bound(*args: Any, **kwargs: Any) -> Any:
            if ask is not None:
                return ask(instance, self, args, kwargs)
            return self.run(instance, args, kwargs)

        return bound

    def run(self, instance: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> R:
        """Execute on the object itself. Raises what the method raises, and `ServiceError` where it
        takes a `Context` and there is none."""
        if not self._takes_context:
            return self.function(instance, *args, **kwargs)
        try:
            context = _context.get()
        except LookupError:
            text = f"{self.__name__} takes a Context: call it on a replica, or use `executing`"
            raise ServiceError(text) from None
        return self.function(instance, context, *args, **kwargs)

    def judge(self) -> None:
        """Raises `ServiceError` for what could not be called, or not by all alike."""
        _ = self._codecs, self.result
        if self.kind == "query" and self._takes_context:
            raise ServiceError(
                f"{self.__name__} is a query, which may be answered outside the order, where there"
                " is no Context: make it a command"
            )

    # -- on the wire --------------------------------------------------------------------------

    def pack(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
        """The operation of a call. Raises `TypeError` for a call that Python would refuse, and
        `InvalidArgumentsError` for arguments of other types."""
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        named = zip(self._codecs.items(), bound.arguments.values(), strict=True)
        packed = [codec.encode(value, f"{self.name}: {name}") for (name, codec), value in named]
        return operation(self.name, packed)

    def unpack(self, packed: Sequence[bytes]) -> tuple[Any, ...]:
        """The arguments of a call, defaults in place of those missing. Raises
        `InvalidArgumentsError`."""
        codecs, missing = self._codecs.items(), len(self._codecs) - len(packed)
        if not 0 <= missing <= len(self.defaults):
            text = f"{self.name} takes {len(codecs)} arguments and was given {len(packed)}"
            raise InvalidArgumentsError(text)
        defaults = self.defaults[len(self.defaults) - missing :]
        given = zip(codecs, (*packed, *defaults), strict=True)
        return tuple(codec.decode(data, f"{self.name}: {name}") for (name, codec), data in given)

    @cached_property
    def result(self) -> Codec:
        """Of what the method returns."""
        return Codec(self._hints.get("return", Any))

    @cached_property
    def signature(self) -> inspect.Signature:
        """As callers see it. Raises `ServiceError` for parameters that cannot be sent."""
        parameters = list(inspect.signature(self.function).parameters.values())[1:]
        for each in parameters:
            if each.kind in UNSENT:
                text = f"{self.__name__}: {UNSENT[each.kind].format(each.name)}"
                raise ServiceError(text)
        return inspect.Signature(parameters[1:] if self._takes_context else parameters)

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """The annotations of what callers give, by name."""
        return {name: self._hints[name] for name in self._codecs}

    @property
    def kinds(self) -> tuple[Any, ...]:
        """The types of what it takes and gives."""
        return (*self.parameters.values(), self.result.kind)

    @cached_property
    def defaults(self) -> list[bytes]:
        """What is taken for those that a caller leaves out, who must leave out the last."""
        parameters = self.signature.parameters.values()
        given = [each for each in parameters if each.default is not each.empty]
        return [self._codecs[each.name].encode(each.default, each.name) for each in given]

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return hints_of(self.function, self.__name__)

    @cached_property
    def _takes_context(self) -> bool:
        names = list(inspect.signature(self.function).parameters)
        return len(names) > 1 and self._hints.get(names[1]) is Context

    @cached_property
    def _codecs(self) -> dict[str, Codec]:
        names = self.signature.parameters
        untyped = [name for name in names if name not in self._hints]
        if untyped:
            raise ServiceError(f"{self.__name__}: annotate {untyped[0]}, so that it can be checked")
        for each in names:
            if _mentions(self._hints[each], Context):
                raise ServiceError(
                    f"{self.__name__}: {each} is a Context, which clients must not say: make it the"
                    " first parameter, of the type Context alone"
                )
        codecs = {name: Codec(self._hints[name]) for name in names}
        for codec in codecs.values():
            if codec.made is not None:
                raise ServiceError(
                    f"{self.__name__}: who leaves out {codec.made} has each replica make its own:"
                    " give it a plain default, or none"
                )
        for name, parameter in names.items():
            if parameter.default is not parameter.empty:
                self._judge_default(codecs[name], name, parameter.default)
        return codecs

    def _judge_default(self, codec: Codec, name: str, default: object) -> None:
        if isinstance(default, SHARED):
            raise ServiceError(
                f"{self.__name__}: {name} is one {type(default).__name__} for all calls, and keeps"
                " what they put in until the replica stops: make its default None or a tuple"
            )
        try:
            codec.encode(default, name)
        except InvalidArgumentsError as error:
            text = f"{self.__name__}: the default of {name} does not fit its type: {error}"
            raise ServiceError(text) from None


def hints_of(thing: Any, name: str) -> dict[str, Any]:
    """The annotations of a class or a function. Raises `ServiceError` where one is unknown."""
    try:
        return get_type_hints(thing, include_extras=True)
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        raise ServiceError(
            f"{name}: {error}: import it where Python runs it, not under TYPE_CHECKING or in a"
            " function"
        ) from None


def _mentions(hint: Any, kind: type) -> bool:
    return hint is kind or any(_mentions(each, kind) for each in get_args(hint))


def operation(name: str, packed: Sequence[bytes]) -> bytes:
    """The bytes of a call."""
    return msgspec.msgpack.encode((name, [msgspec.Raw(each) for each in packed]))


def parse_operation(data: bytes) -> tuple[str, list[bytes]]:
    """The name and the packed arguments of a call. Raises `InvalidArgumentsError`."""
    if too_deep(data):
        raise InvalidArgumentsError(f"not a call: {SAID}")
    try:
        name, packed = _operation.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidArgumentsError(f"not a call: {error}") from None
    return name, [bytes(each) for each in packed]


_operation = msgspec.msgpack.Decoder(tuple[str, list[msgspec.Raw]])


@overload
def command(method: Callable[Concatenate[Owner, Context, P], R], /) -> Method[P, R]: ...
@overload
def command(method: Callable[Concatenate[Owner, P], R], /) -> Method[P, R]: ...
@overload
def command(*, name: str | None = None, since: int = 1) -> "Decorator": ...
def command(method: Any = None, /, *, name: str | None = None, since: int = 1) -> Any:
    """A method that may change the state; executed in the order that all replicas agree on.

    `name`: on the wire, where it is not the method's. `since`: see `Method`."""
    return (
        Decorator("command", name, since)
        if method is None
        else Method(method, "command", name, since)
    )


@overload
def query(method: Callable[Concatenate[Owner, P], R], /) -> Method[P, R]: ...
@overload
def query(*, name: str | None = None, since: int = 1) -> "Decorator": ...
def query(method: Any = None, /, *, name: str | None = None, since: int = 1) -> Any:
    """A method that changes nothing and depends on the state alone, so that it may be answered
    outside the order."""
    return (
        Decorator("query", name, since) if method is None else Method(method, "query", name, since)
    )


class Decorator:
    """What `command(...)` and `query(...)` with options return."""

    def __init__(self, kind: Kind, name: str | None, since: int) -> None:
        self._kind: Kind = kind
        self._name = name
        self._since = since

    @overload
    def __call__(self, method: Callable[Concatenate[Owner, Context, P], R], /) -> Method[P, R]: ...
    @overload
    def __call__(self, method: Callable[Concatenate[Owner, P], R], /) -> Method[P, R]: ...
    def __call__(self, method: Any, /) -> Any:
        return Method(method, self._kind, self._name, self._since)


@contextmanager
def executing(context: Context) -> Iterator[None]:
    """Commands called within this take `context`: on replicas, and in tests of a service."""
    token = _context.set(context)
    try:
        yield
    finally:
        _context.reset(token)


def methods_of(service: type) -> dict[str, list[Method[..., Any]]]:
    """All commands and queries by their names on the wire, the newest first."""
    found: dict[str, list[Method[..., Any]]] = {}
    seen: set[str] = set()
    for owner in service.__mro__:
        for attribute, value in vars(owner).items():
            if isinstance(value, Method) and attribute not in seen:
                found.setdefault(value.name, []).append(value)
            seen.add(attribute)
    for name, each in found.items():
        each.sort(key=lambda method: -method.since)
        if len({method.since for method in each}) < len(each):
            raise ServiceError(f"{service.__name__} has {name} twice in one version: set `since`")
        for method in each:
            method.judge()
    return found
