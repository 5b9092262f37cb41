"""Queues of work. `RemoteQueues(client)` is the proxy.

Who takes an item has it for a lease; if it is not done by then, another may take it. So every item
is done at least once, and its number tells a second time from the first.
"""

from collections.abc import Iterator

from msgspec import Struct

from pbft.core.errors import ApplicationError
from pbft.core.service import Context
from pbft.services.locks import MAX_SECONDS, SECOND
from pbft.typed.maps import Map
from pbft.typed.methods import command, query
from pbft.typed.proxy import BlockingProxy, Proxy

MAX_ITEMS = 1_000_000
NUMBER = "%016d"


class QueueFullError(ApplicationError):
    """Too many items wait. Argument: the queue."""


class NotTakenError(ApplicationError):
    """The caller does not have this item, or not any more. Arguments: the queue, its number."""


class Item(Struct, frozen=True, array_like=True):
    """`tries`: how often it has been taken. `holder` has it until `until` (agreed time, ns)."""

    number: int
    value: bytes
    tries: int = 0
    holder: str = ""
    until: int = 0


class Queues:
    """By name; the oldest item that nobody has is taken first."""

    def __init__(self) -> None:
        self.items = Map(str, Item)
        self.following = Map(str, int)

    @command
    def push(self, queue: str, value: bytes) -> int:
        """Append; the number of the item in this queue. Raises `QueueFullError`."""
        if len(self.items) >= MAX_ITEMS:
            raise QueueFullError(queue)
        number = self.following.get(queue, 1)
        self.following[queue] = number + 1
        self.items[_key(queue, number)] = Item(number, value)
        return number

    @command
    def take(self, context: Context, queue: str, seconds: float = 30.0) -> Item | None:
        """The oldest item that nobody has, for so long; none where there is none."""
        if not 0 < seconds <= MAX_SECONDS:
            raise ValueError(f"a lease is for more than 0 and at most {MAX_SECONDS:.0f} seconds")
        for key in self._keys(queue):
            item = self.items[key]
            if context.time >= item.until:
                until = context.time + round(seconds * SECOND)
                taken = Item(item.number, item.value, item.tries + 1, context.client, until)
                break
        else:
            return None
        self.items[key] = taken
        return taken

    @command
    def done(self, context: Context, queue: str, number: int) -> None:
        """Remove an item that the caller has. Raises `NotTakenError`."""
        item = self.items.get(_key(queue, number))
        if item is None or item.holder != context.client or context.time >= item.until:
            raise NotTakenError(queue, number)
        del self.items[_key(queue, number)]

    @query
    def length(self, queue: str) -> int:
        """Items that are not done."""
        return sum(1 for _ in self._keys(queue))

    def _keys(self, queue: str) -> Iterator[str]:
        start = _prefix(queue)
        return self.items.span(f"{start}/", f"{start}0")  # "0" comes after "/"


def _key(queue: str, number: int) -> str:
    return f"{_prefix(queue)}/{NUMBER % number}"


def _prefix(queue: str) -> str:
    """With the length of the name, so that no other queue's begins like it."""
    return f"{len(queue)}:{queue}"


class RemoteQueues(Proxy, Queues):
    """From asyncio."""


class BlockingQueues(BlockingProxy, Queues):
    """Without asyncio."""
