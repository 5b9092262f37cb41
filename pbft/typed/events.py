"""Events: what commands tell whoever listens, kept for a while in the replicated state.

A command calls `emit(topic, value)`. Events are numbered without gaps. The newest `MAX_EVENTS` of
them, of at most `MAX_BYTES`, stay in the state, so every replica has the same ones, and a reader
that was away reads on where it was; one that was away for too long is told where it can.
"""

from contextvars import ContextVar
from typing import Any

import msgspec
from msgspec import Struct

from pbft.core.errors import ServiceError
from pbft.core.service import Context, State
from pbft.typed.values import Codec, encode

EVENTS = "pbft.events"
"""The query: the number of the last event known, and of how many the next are wanted."""
PREFIX = b"e"
META = b"E"
MAX_EVENTS = 4096
MAX_BYTES = 4 * 1024 * 1024
MAX_EVENT_BYTES = 16 * 1024
PAGE_BYTES = 64 * 1024


class Event(Struct, frozen=True, array_like=True):
    """`number`: from 1 on, without gaps. `time`: agreed, in nanoseconds of the wall clock."""

    number: int
    sequence: int
    time: int
    topic: str
    value: Any


class Page(Struct, frozen=True, array_like=True):
    """`first`: the oldest event that is still there, or the next to come."""

    first: int
    events: list[Event]


class _Meta(Struct, frozen=True, array_like=True):
    first: int = 1
    following: int = 1
    size: int = 0


class Log:
    """The events in one state."""

    def __init__(self, state: State) -> None:
        self._state = state

    def add(self, context: Context, topic: str, value: Any) -> None:
        """Raises `InvalidArgumentsError` and `ServiceError`."""
        meta = self._meta
        event = Event(meta.following, context.sequence, context.time, topic, value)
        data = _event.encode(event, f"an event of {topic!r}")  # it can be read by all who listen
        if len(data) > MAX_EVENT_BYTES:
            raise ServiceError(f"an event of {topic!r} has more than {MAX_EVENT_BYTES} bytes")
        self._state.put(_key(meta.following), data)
        first, following, size = meta.first, meta.following + 1, meta.size + len(data)
        while following - first > MAX_EVENTS or size > MAX_BYTES:
            size -= len(self._state.delete(_key(first)) or b"")
            first += 1
        self._state.put(META, encode(_Meta(first, following, size)))

    def page(self, after: int, most: int) -> Page:
        """Those numbered above `after`, as many as there is room for."""
        meta = self._meta
        events: list[Event] = []
        size = 0
        for number in range(max(after + 1, meta.first), meta.following):
            data = self._state.get(_key(number)) or b""
            size += len(data)
            if len(events) >= most or size > PAGE_BYTES:
                break
            events.append(_event.decode(data, "an event"))
        return Page(meta.first, events)

    def before(self, sequence: int) -> int:
        """The number of the last event before `sequence` that is still there, or was last to go."""
        meta = self._meta
        low, high = meta.first, meta.following
        while low < high:
            middle = (low + high) // 2
            event = _event.decode(self._state.get(_key(middle)) or b"", "an event")
            if event.sequence < sequence:
                low = middle + 1
            else:
                high = middle
        return low - 1

    @property
    def _meta(self) -> _Meta:
        data = self._state.get(META)
        return _Meta() if data is None else _meta.decode(data)


class Listening:
    """What `emit` does while a command runs."""

    def __init__(self, log: Log, context: Context) -> None:
        self.log = log
        self.context = context


current: ContextVar[Listening | None] = ContextVar("current", default=None)


def emit(topic: str, value: Any = None) -> None:
    """Tell whoever listens that something happened, if the command takes effect. `value`: what
    msgpack can carry. Outside a replica this does nothing."""
    listening = current.get()
    if listening is not None:
        listening.log.add(listening.context, topic, value)


def _key(number: int) -> bytes:
    return PREFIX + number.to_bytes(8, "big")


_event = Codec(Event)
_meta = msgspec.msgpack.Decoder(_Meta)
