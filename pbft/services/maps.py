"""A map from names to bytes, with versions to compare and swap. `RemoteMap(client)` is a proxy."""

from msgspec import Struct

from pbft.core.errors import ApplicationError
from pbft.typed.maps import Map
from pbft.typed.methods import command, query
from pbft.typed.proxy import BlockingProxy, Proxy

MAX_SCAN = 256


class ConflictError(ApplicationError):
    """The entry has another version than the caller expected. Arguments: the name, its version (0
    where there is none)."""


class Entry(Struct, frozen=True, array_like=True):
    """`version`: how often the entry has been set, from 1 on."""

    value: bytes
    version: int


class Maps:
    """Entries by name."""

    def __init__(self) -> None:
        self.entries = Map(str, Entry)

    @command
    def put(self, name: str, value: bytes, expected: int | None = None) -> int:
        """Set an entry; its new version. With `expected`, only where it has that version (0: where
        there is none). Raises `ConflictError`."""
        version = self._expect(name, expected)
        self.entries[name] = Entry(value, version + 1)
        return version + 1

    @command
    def delete(self, name: str, expected: int | None = None) -> bool:
        """Remove an entry; whether there was one. Raises `ConflictError`."""
        self._expect(name, expected)
        return self.entries.pop(name, None) is not None

    @query
    def get(self, name: str) -> Entry | None:
        """The entry, or none."""
        return self.entries.get(name)

    @query
    def scan(
        self, start: str = "", stop: str | None = None, limit: int = 100
    ) -> list[tuple[str, Entry]]:
        """Entries in the order of their names, from `start` on, before `stop`; at most
        `MAX_SCAN`."""
        return self.entries.range(start, stop, limit=max(0, min(limit, MAX_SCAN)))

    @query
    def size(self) -> int:
        """How many there are."""
        return len(self.entries)

    def _expect(self, name: str, expected: int | None) -> int:
        entry = self.entries.get(name)
        version = 0 if entry is None else entry.version
        if expected is not None and expected != version:
            raise ConflictError(name, version)
        return version


class RemoteMap(Proxy, Maps):
    """From asyncio."""


class BlockingMap(BlockingProxy, Maps):
    """Without asyncio."""
