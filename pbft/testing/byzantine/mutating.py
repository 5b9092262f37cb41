"""One field of a message changed, in small scope: by one, to an edge, to what stood there before or
stands in another message. Structure-aware: the rest stays as valid as it was.
"""

import random
from collections import defaultdict, deque
from typing import Any

import msgspec

from pbft.core.config import Configuration
from pbft.core.messages import AnyMessage, Proposal
from pbft.core.wire import decode_signed
from pbft.testing.byzantine.attacks import Change

HIGHEST = 2**63 - 1
REMEMBERED = 64


class Values:
    """What stood in the fields of messages so far, by field: digests, numbers, times."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[Any]] = defaultdict(lambda: deque(maxlen=REMEMBERED))

    def note(self, message: AnyMessage) -> None:
        """Keep the fields of a message."""
        for field, value in _fields(message).items():
            if value not in self._seen[field]:
                self._seen[field].append(value)

    def others(self, field: str, value: Any) -> list[Any]:
        """What else stood there, the oldest first."""
        return [each for each in self._seen[field] if each != value]


def about(message: AnyMessage) -> AnyMessage:
    """The message whose fields are meant: of a proposal its pre-prepare."""
    return decode_signed(message.pre_prepare) if isinstance(message, Proposal) else message


def mutated(
    message: AnyMessage,
    field: str,
    change: Change,
    values: Values,
    rng: random.Random,
    config: Configuration,
) -> AnyMessage:
    """`about(message)` with one field changed; the same where it has no such field."""
    inner = about(message)
    fields = _fields(inner)
    names = [field] if field in fields else [] if field else sorted(fields)
    if not names:
        return inner
    name = rng.choice(names)
    value = _changed(name, fields[name], change, values, rng, config)
    return msgspec.structs.replace(inner, **{name: value})


def _fields(message: AnyMessage) -> dict[str, Any]:
    """Those that are numbers, digests, truths, names or lists of bytes."""
    every = {name: getattr(message, name) for name in message.__struct_fields__}
    return {name: value for name, value in every.items() if isinstance(value, int | bytes | tuple)}


def _changed(
    name: str,
    value: Any,
    change: Change,
    values: Values,
    rng: random.Random,
    config: Configuration,
) -> Any:
    if change in (Change.OTHER, Change.OLD):
        others = values.others(name, value)
        if others:
            return others[0] if change is Change.OLD else rng.choice(others)
    if isinstance(value, bool):
        return not value
    if name == "replica":
        return (value + rng.randrange(1, config.n)) % config.n
    if isinstance(value, int):
        return _number(value, change, rng)
    if isinstance(value, bytes):
        return rng.randbytes(len(value)) if change is not Change.ZERO else bytes(len(value))
    return _list(value, change, rng)


def _number(value: int, change: Change, rng: random.Random) -> int:
    match change:
        case Change.MINUS:
            return max(0, value - 1)
        case Change.PLUS:
            return min(HIGHEST, value + 1)
        case Change.ZERO:
            return 0
        case Change.HIGH:
            return HIGHEST
    return rng.choice((rng.randrange(8), min(HIGHEST, value + rng.randrange(100)), 2**40))


def _list(value: tuple[Any, ...], change: Change, rng: random.Random) -> tuple[Any, ...]:
    """Shorter, longer, empty, or in another order."""
    match change:
        case Change.MINUS:
            return value[:-1]
        case Change.PLUS:
            return value + value[-1:]
        case Change.ZERO:
            return ()
        case Change.HIGH:
            return value[:1] * 64
    mixed = list(value)
    rng.shuffle(mixed)
    return tuple(mixed)
