"""A map for state of any size: each entry lies in the replicated state by itself, so that a
checkpoint, a snapshot and a transfer cost the entries that changed.

    class Bank:
        def __init__(self) -> None:
            self.accounts = Map(str, int)

Iteration is in the order of the keys. What is read is a copy: to change an entry, set it again.
"""

from collections.abc import Iterator, MutableMapping
from itertools import islice
from typing import Any, Generic, TypeVar

from sortedcontainers import SortedList

from pbft.core.errors import InvalidArgumentsError, ServiceError
from pbft.core.service import State
from pbft.typed.parts import prefix_of
from pbft.typed.values import Codec

PREFIX = b"m"
KEYS = (str, bytes, int)

K = TypeVar("K", str, bytes, int)
V = TypeVar("V")


class _Memory:
    """The state of a map that no replica holds yet, as in a test of a service by itself."""

    def __init__(self) -> None:
        self._entries: dict[bytes, bytes] = {}

    @property
    def size_bytes(self) -> int:
        return sum(len(key) + len(value) for key, value in self._entries.items())

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> bytes | None:
        return self._entries.get(key)

    def put(self, key: bytes, value: bytes) -> bytes | None:
        old = self._entries.get(key)
        self._entries[key] = value
        return old

    def delete(self, key: bytes) -> bytes | None:
        return self._entries.pop(key, None)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        yield from self._entries.items()


class Map(MutableMapping[K, V], Generic[K, V]):
    """Keys are of one type of str, bytes and int; values of any type that can be sent. Both are
    checked when they are set: `InvalidArgumentsError`."""

    def __init__(self, key: type[K], value: type[V]) -> None:
        if key not in KEYS:
            raise ServiceError(f"the keys of a Map are str, bytes or int, and not {key}")
        self._key = Codec(key)
        self._value = Codec(value)
        self._prefix = PREFIX
        self._state: State = _Memory()
        self._sorted: SortedList[K] | None = None
        self._undo: list[tuple[K, bool]] = []
        self._changes = 0

    # -- what a service uses ------------------------------------------------------------------

    def __getitem__(self, key: K) -> V:
        data = self._state.get(self._at(key))
        if data is None:
            raise KeyError(key)
        value: V = self._value.decode(data, f"[{key!r}]")
        return value

    def __setitem__(self, key: K, value: V) -> None:
        data = self._value.encode(value, f"[{key!r}]")
        at = self._at(key)
        if self._state.put(at, data) is None:
            self._note(at, added=True)

    def __delitem__(self, key: K) -> None:
        at = self._at(key)
        if self._state.delete(at) is None:
            raise KeyError(key)
        self._note(at, added=False)

    def __contains__(self, key: object) -> bool:
        try:
            return self._state.get(self._at(key)) is not None
        except InvalidArgumentsError:
            return False

    def __iter__(self) -> Iterator[K]:
        return self._steady(iter(self._keys), self._changes)

    def __len__(self) -> int:
        return len(self._keys)

    def span(self, start: K | None = None, stop: K | None = None) -> Iterator[K]:
        """Keys in order, from `start` on, before `stop`. Raises `RuntimeError` where a key
        comes or goes meanwhile."""
        found: Iterator[K] = self._keys.irange(start, stop, inclusive=(True, False))
        return self._steady(found, self._changes)

    def range(
        self, start: K | None = None, stop: K | None = None, limit: int | None = None
    ) -> list[tuple[K, V]]:
        """Entries in the order of their keys: from `start` on, before `stop`, at most `limit`."""
        return [(key, self[key]) for key in islice(self.span(start, stop), limit)]

    # -- what its host uses -------------------------------------------------------------------

    @property
    def kinds(self) -> tuple[Any, ...]:
        """The types of keys and values."""
        return self._key.kind, self._value.kind

    def open(self, name: str, state: State) -> None:
        """The entries are those in `state` under `name`."""
        self._prefix = prefix_of(PREFIX, name)
        self._state = state
        self._sorted = None
        self._undo.clear()

    def flush(self) -> None:
        """Every entry is in the state already."""

    def undo(self) -> None:
        """What the command did has been taken back in the state."""
        for key, added in reversed(self._undo):
            self._sort(key, not added)
        self._undo.clear()

    def settle(self) -> None:
        """What the command did stays."""
        self._undo.clear()

    def _note(self, at: bytes, added: bool) -> None:
        """Also where there is no index yet: one that this command makes later has the key. It is
        the key as it is read, since an enum's member, say, would not be there after a restart."""
        key: K = self._key.decode(at[len(self._prefix) :], "a key")
        self._undo.append((key, added))
        self._changes += 1
        self._sort(key, added)

    def _steady(self, keys: Iterator[K], changes: int) -> Iterator[K]:
        """Which keys would be left out depends on how the index is laid out, and that on when it
        was made."""
        while True:
            if self._changes != changes:
                raise RuntimeError("the Map changed while it was iterated: iterate over list(...)")
            try:
                key = next(keys)
            except StopIteration:
                return
            yield key

    def _sort(self, key: K, added: bool) -> None:
        if self._sorted is not None:
            (self._sorted.add if added else self._sorted.remove)(key)

    @property
    def _keys(self) -> "SortedList[K]":
        if self._sorted is None:
            start = len(self._prefix)
            found = (key[start:] for key, _ in self._state.items() if key.startswith(self._prefix))
            self._sorted = SortedList(self._key.decode(each, "a key") for each in found)
        return self._sorted

    def _at(self, key: object) -> bytes:
        return self._prefix + self._key.encode(key, "a key")
