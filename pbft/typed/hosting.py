"""A plain class with commands and queries as the service of a replica.

Every operation that comes is judged here, equally at every replica: whether the active version has
it, whether its arguments are what it takes. What a command changes is in the replicated state when
it returns; what it raises takes that back.

The active version is a part of the state. New code, which has the methods of the old version and
those of the new one, is brought to the replicas one at a time; then `pbft.upgrade`, an operation
like any other, makes the new version active at one place in the order.
"""

import copy
from collections.abc import Iterator
from typing import Any

import msgspec

from pbft.core.errors import HaltError, ServiceError, UnknownCommandError
from pbft.core.service import Context, Service, State
from pbft.typed.attributes import Attributes
from pbft.typed.events import EVENTS, Listening, Log, current
from pbft.typed.methods import Method, executing, methods_of, parse_operation
from pbft.typed.refusals import refusal

VERSION = b"v"
"""Where the state has the active version; 1 where there is none."""
UPGRADE = "pbft.upgrade"
MAX_STATE_BYTES = 2 * 1024 * 1024 * 1024
"""Keys and values together."""


class Counted:
    """A `State` that counts what is written to it, and what was tried: a query may do neither."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.writes = 0

    def __len__(self) -> int:
        return len(self._state)

    @property
    def size_bytes(self) -> int:
        """Of all keys and values."""
        return self._state.size_bytes

    def get(self, key: bytes) -> bytes | None:
        """The value, or none where there is none."""
        return self._state.get(key)

    def put(self, key: bytes, value: bytes) -> bytes | None:
        """Set a value; what it replaced."""
        self.writes += 1
        return self._state.put(key, value)

    def delete(self, key: bytes) -> bytes | None:
        """Remove a key; what it held."""
        self.writes += 1
        return self._state.delete(key)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All entries."""
        return self._state.items()


class Hosted:
    """A core `Service` around `target`. Raises `ServiceError` for a class that cannot be
    replicated."""

    def __init__(self, target: object) -> None:
        self._target = target
        self._methods = methods_of(type(target))
        if not self._methods:
            text = "has no @command and no @query: decorate its methods"
            raise ServiceError(f"{type(target).__name__} {text}")
        self._newest = int(getattr(target, "version", 1))
        self._attributes = Attributes(target)
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
        """Go on from `state`. Raises `HaltError` where newer code wrote it."""
        self._state = state
        self._known(self.active)
        self._counted = Counted(state)
        self._attributes.open(self._counted)

    @property
    def target(self) -> object:
        """The object itself, to be looked at."""
        return self._target

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
            if self._state.size_bytes > max(before, MAX_STATE_BYTES):
                raise ServiceError(f"the state has {MAX_STATE_BYTES} bytes: remove something")
        except (HaltError, KeyboardInterrupt):
            raise
        except MemoryError as error:
            text = f"a command has found no memory at this replica ({error})"
            raise HaltError(f"{text}: start it again, with more") from error
        except (
            RecursionError
        ) as error:  # where exactly it was too deep differs, and so does its text
            self._attributes.undo()
            raise refusal(RecursionError("the command goes too deep")) from error
        except BaseException as error:  # `sys.exit()` in a command would end every replica
            self._attributes.undo()
            raise refusal(error) from error
        self._attributes.settle()
        return result

    def query(self, operation: bytes) -> bytes:
        """Raises `Refusal`: also for a command, which has to be ordered."""
        try:
            name, packed = parse_operation(operation)
            if name == EVENTS:
                return self._events(packed)
            method = self._method(name)
            if method.kind != "query":
                raise ServiceError(f"{name} is a command: it has to be ordered")
            return self._run(method, packed)
        except Exception as error:
            self._attributes.undo()
            raise refusal(error) from error

    def _execute(self, operation: bytes, context: Context) -> bytes:
        name, packed = parse_operation(operation)
        if name == UPGRADE:
            return self._upgrade(packed)
        if name == EVENTS:
            return self._events(packed)
        listening = current.set(Listening(Log(self._counted), context))
        try:
            with executing(context):
                return self._run(self._method(name), packed)
        finally:
            current.reset(listening)

    def _events(self, packed: list[bytes]) -> bytes:
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
        if callable(migrate):
            migrate(version)
        return msgspec.msgpack.encode(version)

    def _known(self, version: int) -> None:
        if version > self._newest:
            raise HaltError(
                f"version {version} of the service is active and this replica runs version"
                f" {self._newest}: start it again with the new code"
            )


def hosted(service: Any) -> Service:
    """`service` itself where it speaks bytes, or what hosts it."""
    if callable(getattr(service, "execute", None)) and callable(getattr(service, "open", None)):
        low: Service = service
        return low
    return Hosted(service)
