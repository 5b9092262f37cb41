"""A service and its state: the first region of the tree that every checkpoint digests.

The service sees its own entries alone. An operation takes effect as a whole or not at all: what
one that raises has written is undone.
"""

from collections.abc import Iterator

from pbft.core.errors import ServiceError
from pbft.core.service import Context, Guard, Queries, Service
from pbft.crypto.trie import Snapshot, Trie

SERVICE = 0
"""The region of the tree, and the first byte of the service's keys in it."""
PREFIX = bytes((SERVICE,))


class ServiceState:
    """A `State`, kept in a tree."""

    __slots__ = ("_tree", "_undo", "writable")

    def __init__(self, tree: Trie) -> None:
        self._tree = tree
        self._undo: list[tuple[bytes, bytes | None]] = []
        self.writable = False

    def __len__(self) -> int:
        return self._tree.measure(SERVICE)[0]

    @property
    def size_bytes(self) -> int:
        count, size = self._tree.measure(SERVICE)
        return size - count * len(PREFIX)

    def get(self, key: bytes) -> bytes | None:
        return self._tree.get(PREFIX + key)

    def put(self, key: bytes, value: bytes) -> bytes | None:
        self._allow()
        old = self._tree.put(PREFIX + key, value)
        self._undo.append((key, old))
        return old

    def delete(self, key: bytes) -> bytes | None:
        self._allow()
        old = self._tree.delete(PREFIX + key)
        self._undo.append((key, old))
        return old

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        for key, value in self._tree.region(SERVICE):
            yield key[len(PREFIX) :], value

    def begin(self) -> None:
        """Allow writing, and remember what it replaces."""
        self._undo.clear()
        self.writable = True

    def undo(self) -> None:
        """Take back what was written since `begin`."""
        for key, old in reversed(self._undo):
            if old is None:
                self._tree.delete(PREFIX + key)
            else:
                self._tree.put(PREFIX + key, old)

    def _allow(self) -> None:
        if not self.writable:
            raise ServiceError("a service may write its state in execute alone")


class Machine:
    """`tree` holds the whole replicated state, the service's part among it."""

    __slots__ = ("_guard", "_state", "service", "tree")

    def __init__(self, service: Service, guard: Guard | None = None) -> None:
        """Begins with nothing. Raises what `service.open` raises."""
        self.service = service
        self._guard = guard
        self.install(Snapshot(None))

    def install(self, snapshot: Snapshot) -> None:
        """Go on from `snapshot`. Raises what `service.open` raises, with the tree as it was."""
        tree = Trie(snapshot)
        state = ServiceState(tree)
        self.service.open(state)
        self.tree, self._state = tree, state

    def execute(self, operation: bytes, context: Context) -> bytes:
        """Raises what the guard or the service raises, with the state as it was."""
        if self._guard is not None:
            self._guard(operation, context)
        self._state.begin()
        try:
            return self.service.execute(operation, context)
        except BaseException:
            self._state.undo()
            raise
        finally:
            self._state.writable = False

    def ask(self, operation: bytes, context: Context) -> bytes:
        """`query` by a client. Raises what the guard raises, too."""
        if self._guard is not None:
            self._guard(operation, context)
        return self.query(operation)

    def query(self, operation: bytes) -> bytes:
        """Raises what the service raises, and `ServiceError` where it answers no queries."""
        if not isinstance(self.service, Queries):
            raise ServiceError("this service answers nothing outside the order")
        return self.service.query(operation)
