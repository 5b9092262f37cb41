"""A plain class with commands and queries as the service of a replica.

Every operation that comes is judged here, equally at every replica: whether the active version has
it, whether its arguments are what it takes. What a command changes is in the replicated state when
it returns; what it raises takes that back.

The active version is a part of the state. New code, which has the methods of the old version and
those of the new one, is brought to the replicas one at a time; then `pbft.upgrade`, an operation
like any other, makes the new version active at one place in the order.
"""

import copy
from typing import Any, cast

import msgspec

from pbft.core.errors import (
    HaltError,
    InvalidArgumentsError,
    Refusal,
    ServiceError,
    UnknownCommandError,
)
from pbft.core.service import Context, Service, State
from pbft.typed import shapes
from pbft.typed.attributes import Attributes
from pbft.typed.counting import Counted
from pbft.typed.events import EVENTS, Listening, Log, current
from pbft.typed.methods import UPGRADE, Method, executing, methods_of, parse_operation
from pbft.typed.refusals import refusal
from pbft.typed.rules import judge_names, judge_versions, newest

VERSION = b"v"
"""Where the state has the active version; 1 where there is none."""
OUTSIDE = Context("", 0, 0)
"""Of a query outside the order; no method sees it."""
MAX_STATE_BYTES = 2 * 1024 * 1024 * 1024
"""Keys and values together."""


class Hosted:
    """A core `Service` around `target`. Raises `ServiceError` for a class that cannot be
    replicated."""

    def __init__(self, target: object) -> None:
        self._target = target
        self._methods = methods_of(type(target))
        judge_names(type(target), self._methods)
        self._newest = newest(target)
        self._attributes = Attributes(target)
        judge_versions(target, self._methods, self._attributes.since)
        self._state: State
        self._counted: Counted

    def __deepcopy__(self, memo: dict[int, Any]) -> "Hosted":
        """A second one, which goes on from a copy of the state: whoever copies a replica copies
        its service, and an object's attributes alone would miss what is derived from them."""
        second = Hosted(type(self._target)())
        memo[id(self)] = second
        second.open(copy.deepcopy(self._state, memo))
        return second

    def open(self, state: State) -> None:
        """Go on from `state`. Raises `HaltError` where newer code wrote it, or the active version
        has other types there."""
        self._state = state
        self._known(self.active)
        if (bound := self.bound) is not None:
            self.judge(*bound)
        self._counted = Counted(state)
        self._attributes.open(self._counted)

    @property
    def bound(self) -> tuple[int, bytes] | None:
        """The active version and its types, once something was executed under it."""
        types = self._state.get(shapes.KEY)
        return None if types is None else (self.active, types)

    def judge(self, version: int, types: bytes) -> None:
        """Whether the code has that version with those types. Raises `HaltError`."""
        self._known(version)
        shapes.judge(types, self._shapes(version), version)

    @property
    def target(self) -> object:
        """The object itself, to be looked at."""
        return self._target

    @property
    def names(self) -> frozenset[str]:
        """All that it answers to, in any of its versions."""
        return frozenset((*self._methods, EVENTS, UPGRADE))

    @property
    def active(self) -> int:
        """The version that decides which methods there are."""
        data = self._state.get(VERSION)
        return 1 if data is None else int.from_bytes(data, "big")

    def execute(self, operation: bytes, context: Context) -> bytes:
        """Raises `Refusal`, with everything as it was."""
        before = self._state.size_bytes
        try:
            result = self._execute(operation, context)
            self._attributes.flush(self.active)
            if self._state.get(shapes.KEY) is None:
                self._bind(self.active)
            if self._state.size_bytes > max(before, MAX_STATE_BYTES):
                raise ServiceError(f"the state has {MAX_STATE_BYTES} bytes: remove something")
        except (HaltError, KeyboardInterrupt):
            raise
        except MemoryError as error:
            text = f"a command has found no memory at this replica ({error})"
            raise HaltError(f"{text}: start it again, with more") from error
        except BaseException as error:  # `sys.exit()` in a command would end every replica
            raise self._undone(error) from error
        self._attributes.settle()
        return result

    def query(self, operation: bytes) -> bytes:
        """Raises `Refusal`: also for a command, which has to be ordered."""
        listening = current.set(Listening(Log(self._counted), OUTSIDE))
        try:
            return self._query(operation)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # as in `execute`
            raise self._undone(error) from error
        finally:
            current.reset(listening)

    def _query(self, operation: bytes) -> bytes:
        name, packed = parse_operation(operation)
        if name == EVENTS:
            return self._events(packed)
        method = self._method(name)
        if method.kind != "query":
            raise ServiceError(f"{name} is a command: it has to be ordered")
        return self._run(method, packed)

    def _undone(self, error: BaseException) -> Refusal:
        """What the caller is told, and nothing else is left of the call."""
        self._attributes.undo()
        if isinstance(error, RecursionError):  # where exactly it was too deep differs
            return refusal(RecursionError("the command goes too deep"))
        return refusal(error)

    def _execute(self, operation: bytes, context: Context) -> bytes:
        name, packed = parse_operation(operation)
        if name == EVENTS:
            return self._events(packed)
        listening = current.set(Listening(Log(self._counted), context))
        try:
            with executing(context):
                if name == UPGRADE:
                    return self._upgrade(packed)
                return self._run(self._method(name), packed)
        finally:
            current.reset(listening)

    def _events(self, packed: list[bytes]) -> bytes:
        if len(packed) != 3:
            raise InvalidArgumentsError(f"{EVENTS} takes 3 arguments and was given {len(packed)}")
        after, sequence, most = (msgspec.msgpack.decode(each, type=int) for each in packed)
        log = Log(self._state)
        page = log.page(max(after, log.before(sequence)) if sequence else after, most)
        return msgspec.msgpack.encode(page)

    def _run(self, method: Method[..., Any], packed: list[bytes]) -> bytes:
        writes = self._counted.writes
        result = method.run(self._target, method.unpack(packed), {})
        wrote = self._counted.writes != writes
        if method.kind == "query" and (wrote or not self._attributes.unchanged()):
            raise ServiceError(f"{method.name} is a query and changed the state: make it a command")
        return method.result.encode(result, f"the result of {method.name}")

    def _method(self, name: str) -> Method[..., Any]:
        active = self.active
        for each in self._methods.get(name, ()):
            if each.since <= active:
                return each
        raise UnknownCommandError(f"version {active} of the service has no {name!r}")

    def _upgrade(self, packed: list[bytes]) -> bytes:
        version = msgspec.msgpack.decode(b"".join(packed), type=int)
        if version <= self.active:
            raise ServiceError(f"version {self.active} is active already")
        if version > self.active + 1:
            text = f"version {self.active} is active and {version} is not the next"
            raise ServiceError(f"{text}: upgrade to {self.active + 1} first")
        self._known(version)
        migrate = getattr(self._target, "migrate", None)
        self._state.put(VERSION, version.to_bytes(8, "big"))
        self._bind(version)
        if callable(migrate):
            migrate(version)
        return msgspec.msgpack.encode(version)

    def _bind(self, version: int) -> None:
        self._state.put(shapes.KEY, shapes.encode(self._shapes(version)))

    def _shapes(self, version: int) -> shapes.Shapes:
        """What the code has of a version, by name."""
        held = self._attributes.kinds(version).items()
        found = {f"self.{name}": shapes.digest(kinds) for name, kinds in held}
        for name, versions in self._methods.items():
            current = next((each for each in versions if each.since <= version), None)
            if current is not None:
                found[name] = shapes.digest(current.kinds, (current.kind, current.defaults))
        return found

    def _known(self, version: int) -> None:
        if version > self._newest:
            raise HaltError(
                f"version {version} of the service is active and this replica runs version"
                f" {self._newest}: start it again with the new code"
            )


def hosted(service: Any) -> Service:
    """`service` itself where it speaks bytes, or what hosts it."""
    low = all(callable(getattr(service, name, None)) for name in ("execute", "open"))
    if low and not methods_of(type(service)):
        return cast(Service, service)
    return Hosted(service)
