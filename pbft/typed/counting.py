"""Writing to the state, counted: who may not write is told by it, also where it hides that it was
not let."""

from collections.abc import Iterator

from pbft.core.service import State


class Counted:
    """A `State` that counts what is written to it, and what was tried."""

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
