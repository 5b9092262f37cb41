"""The ordinary attributes of a service, kept in the replicated state after every command.

An attribute's type is its annotation at the class, or, of a plain int, str, bytes, bool or float,
the type of the value that `__init__` gives it. What an attribute holds is written whole where it
changed, so together they stay small: larger state belongs into a `Map`.

After every call an attribute is what a restart would read: 3 set to a float is 3.0, and no two
attributes share a list. So a replica that was restarted goes on as the others do.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from types import MemberDescriptorType
from typing import Annotated, Any, ClassVar, get_args, get_origin

from pbft.core.errors import InvalidArgumentsError, ServiceError
from pbft.core.service import State
from pbft.typed.counting import Counted
from pbft.typed.methods import hints_of
from pbft.typed.parts import Part
from pbft.typed.values import Codec

PREFIX = b"a"
MAX_BYTES = 1024 * 1024
MUTABLE = (list, dict, set, bytearray, deque, Iterator, Part)
PLAIN = (int, str, bytes, bool, float)


class Since:
    """`total: Annotated[int, Since(2)]`: an attribute that version 2 of a service brought, a `Map`
    as well. Until that version is active it is not a part of the state."""

    def __init__(self, version: int) -> None:
        self.version = version


class Attributes:
    """Those of `target`, an object of a user's class, which has been initialised."""

    def __init__(self, target: object) -> None:
        hints = hints_of(type(target), type(target).__name__)
        _judge_class(target, hints)
        self._target = target
        self.parts = {name: each for name, each in self._values.items() if isinstance(each, Part)}
        _judge_parts(type(target).__name__, self.parts)
        plain = [name for name in self._values if name not in self.parts]
        self._codecs = {
            name: _codec(type(target), name, hints, self._values[name]) for name in plain
        }
        self.since = {name: _since(hints.get(name)) for name in self._values}
        self._later: dict[str, Counted] = {}
        self._kept: dict[str, bytes] = {}
        self._initial = {name: self._read(name)[0] for name in plain}
        self._kept.update(self._initial)
        self._state: State

    def kinds(self, version: int) -> dict[str, tuple[Any, ...]]:
        """The types of what is in the state of a version, by name."""
        plain: dict[str, tuple[Any, ...]] = {n: (each.kind,) for n, each in self._codecs.items()}
        found = plain | {name: each.kinds for name, each in self.parts.items()}
        return {name: kinds for name, kinds in found.items() if self.since[name] <= version}

    @property
    def _values(self) -> dict[str, Any]:
        """As it is by now: a command may set another `__dict__`."""
        return self._target.__dict__

    def open(self, state: State) -> None:
        """Take the values from `state`. Raises `InvalidArgumentsError` where it has others."""
        self._state = state
        for name, initial in self._initial.items():
            data = state.get(PREFIX + name.encode())
            self._kept[name] = initial if data is None else data
        self._reload()
        self._later = {name: Counted(state) for name in self.parts if self.since[name] > 1}
        for name, each in self.parts.items():
            each.open(name, self._later.get(name, state))

    def flush(self, version: int) -> None:
        """Write what changed. Raises `ServiceError` where the state may not be like this, and what
        a part raises."""
        if self._values.keys() != self._codecs.keys() | self.parts.keys():
            odd = self._values.keys() ^ (self._codecs.keys() | self.parts.keys())
            raise ServiceError(
                f"{sorted(odd)[0]} is not the state of a command to add or remove:"
                " set every attribute in __init__"
            )
        for name, each in self.parts.items():
            if self._values[name] is not each:
                raise ServiceError(
                    f"{name} was assigned anew, and what is in a new {type(each).__name__} is not"
                    " in the state: change the one that __init__ made"
                )
            each.flush()
        self._judge_versions((name for name, each in self._later.items() if each.writes), version)
        read = {name: self._read(name) for name in self._codecs}
        changed = {name: data for name, (data, _) in read.items() if data != self._kept[name]}
        if changed:
            self._judge(changed, version)
        for name, data in changed.items():
            self._state.put(PREFIX + name.encode(), data)
            self._kept[name] = data
        self._values.update((name, value) for name, (_, value) in read.items())

    def undo(self) -> None:
        """Everything as `flush` or `open` left it last; parts, as the state is by now."""
        self._forget_writes()
        for name in self._values.keys() - self._codecs.keys() - self.parts.keys():
            del self._values[name]
        for name, each in self.parts.items():
            self._values[name] = each
            each.undo()
        self._reload()

    def settle(self) -> None:
        """The command has taken effect."""
        self._forget_writes()
        for each in self.parts.values():
            each.settle()

    def unchanged(self) -> bool:
        """Whether all is as it is kept, as it has to be after a query; then also what a query may
        have shared between attributes is read anew. Raises what `flush` raises, of parts as well:
        what failed there would otherwise fail the next command, at this replica alone."""
        if self._values.keys() != self._codecs.keys() | self.parts.keys():
            return False
        if any(self._values[name] is not each for name, each in self.parts.items()):
            return False
        for each in self.parts.values():
            each.flush()
        read = {name: self._read(name) for name in self._codecs}
        if any(data != self._kept[name] for name, (data, _) in read.items()):
            return False
        self._values.update((name, value) for name, (_, value) in read.items())
        return True

    def _judge(self, changed: dict[str, bytes], version: int) -> None:
        """Raises `ServiceError` where the state may not be like this."""
        self._judge_versions(changed, version)
        held = self._kept | changed  # what a later version brings, other replicas do not count
        sizes = {name: len(data) for name, data in held.items() if self.since[name] <= version}
        if sum(sizes.values()) > MAX_BYTES:
            largest = max(sizes, key=lambda name: sizes[name])
            raise ServiceError(
                f"the attributes hold more than {MAX_BYTES} bytes, most of them {largest}: make"
                f" that a pbft.Map, which has no such limit"
            )

    def _judge_versions(self, changed: Iterable[str], version: int) -> None:
        for name in changed:
            if self.since[name] > version:
                raise ServiceError(
                    f"{name} is in the state from version {self.since[name]} on, and version"
                    f" {version} is active: change it in methods of that version alone"
                )

    def _forget_writes(self) -> None:
        for each in self._later.values():
            each.writes = 0

    def _reload(self) -> None:
        for name, codec in self._codecs.items():
            self._values[name] = codec.decode(self._kept[name], name)

    def _read(self, name: str) -> tuple[bytes, Any]:
        """The bytes of an attribute, and the value that a restart reads from them: written again,
        that value gives the same bytes."""
        codec = self._codecs[name]
        try:
            known = self._kept.get(name, b"")
            data, value = codec.round_trip(self._values[name], name, known)
            if data != known:
                data, value = codec.round_trip(value, name)
            return data, value
        except InvalidArgumentsError as error:
            raise ServiceError(f"{type(self._target).__name__}.{error}") from None


EXAMPLES: dict[type, str] = {
    **{dict: "dict[str, int]", list: "list[str]", set: "set[str]"},
    **{frozenset: "frozenset[str]", tuple: "tuple[str, ...]"},
}


def _codec(owner: type, name: str, hints: dict[str, Any], value: object) -> Codec:
    if name in hints:
        return Codec(hints[name])
    if type(value) not in PLAIN:
        kind = type(value).__name__
        raise ServiceError(
            f"annotate {owner.__name__}.{name} at the class, such as"
            f" `{name}: {EXAMPLES.get(type(value), kind)}`: it is a {kind}, and what is in it"
            " must be known to be restored"
        )
    return Codec(type(value))


def _judge_class(target: object, hints: dict[str, Any]) -> None:
    """Raises `ServiceError` where a class has state that is not in its objects' `__dict__`."""
    values = getattr(target, "__dict__", None)
    name = type(target).__name__
    for owner in type(target).__mro__[:-1]:
        for each, value in vars(owner).items():
            if isinstance(value, MemberDescriptorType):
                values = None
            constant = hints.get(each) is ClassVar or get_origin(hints.get(each)) is ClassVar
            if each.startswith("__") or constant or each in (values or ()):
                continue
            if isinstance(value, MUTABLE):
                raise ServiceError(
                    f"{name}.{each} is the class's and not in the state: set it in __init__, or"
                    " annotate it as a ClassVar where it never changes"
                )
    if values is None:
        raise ServiceError(
            f"{name} keeps attributes in slots, which are not in the state: make it a plain class,"
            " without __slots__ or slots=True and not a msgspec.Struct"
        )


def _judge_parts(name: str, parts: Mapping[str, Part]) -> None:
    """Raises `ServiceError` where one object is two parts: it has one place in the state."""
    names: dict[int, str] = {}
    for each, part in parts.items():
        other = names.setdefault(id(part), each)
        if other != each:
            kind = type(part).__name__
            raise ServiceError(f"{name}.{other} and {name}.{each} are the same {kind}: make two")


def _since(hint: Any) -> int:
    if get_origin(hint) is Annotated:
        return next((each.version for each in get_args(hint) if isinstance(each, Since)), 1)
    return 1
