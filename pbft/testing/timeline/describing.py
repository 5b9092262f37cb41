"""Messages, operations and events in words, for people who look at a run."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from pbft.core.effects import (
    BecameStable,
    Committed,
    Damaged,
    Diverged,
    EnteredView,
    Event,
    Executed,
    Forgotten,
    Installed,
    TransferStarted,
    ViewChangeStarted,
)
from pbft.core.errors import DecodeError, InvalidArgumentsError
from pbft.core.messages import AnyMessage
from pbft.core.service import OK
from pbft.core.wire import SIGNED, decode, decode_batch, referred
from pbft.services import kv
from pbft.typed.methods import parse_operation

GARBLED = "Garbled"
MAX_TEXT = 120
MAX_ARGUMENT = 40
MAX_ITEMS = 12
MAX_CONTENT = 4000
MAX_DEPTH = 4
DIGEST_BYTES = 32
_key_value: "msgspec.msgpack.Decoder[kv.Operation]" = msgspec.msgpack.Decoder(kv.Operation)
OPERATIONS, RESULTS, BATCH = "operations", "results", "batch"


def message(data: bytes, keyed: bool) -> tuple[str, str]:
    """The kind of a message, and its content line by line. `keyed`: operations are those of the
    key-value service."""
    try:
        found = decode(data)
    except DecodeError as error:
        return GARBLED, f"{GARBLED}, {len(data)} bytes\n{error}"
    lines = [_heading(found, len(data)), *_fields(found, keyed, 1)]
    text = "\n".join(lines)
    return type(found).__name__, text if len(text) <= MAX_CONTENT else f"{text[:MAX_CONTENT]}\n…"


def _heading(found: AnyMessage, size: int) -> str:
    return f"{type(found).__name__}, {size} bytes"


def _fields(found: Any, keyed: bool, depth: int) -> Iterator[str]:
    indent = "  " * (depth - 1)
    for name in found.__struct_fields__:
        value = getattr(found, name)
        if isinstance(value, tuple) and value:
            yield f"{indent}{name}: {len(value)}"
            for item in value[:MAX_ITEMS]:
                yield from _item(name, item, keyed, depth + 1)
            if len(value) > MAX_ITEMS:
                yield f"{indent}  and {len(value) - MAX_ITEMS} more"
        elif name == BATCH and isinstance(value, bytes):
            yield from _batch(value, keyed, depth)
        elif isinstance(value, bytes) and value[:1] == SIGNED:
            yield f"{indent}{name}:"
            yield from _item(name, value, keyed, depth + 1)
        else:
            yield f"{indent}{name}: {_value(value)}"


def _item(name: str, item: Any, keyed: bool, depth: int) -> Iterator[str]:
    indent = "  " * (depth - 1)
    if name == OPERATIONS and isinstance(item, bytes):
        yield f"{indent}{operation(item, keyed)}"
    elif name == RESULTS and isinstance(item, bytes):
        yield f"{indent}{result(item)}"
    elif isinstance(item, bytes) and item[:1] == SIGNED and depth <= MAX_DEPTH:
        yield from _signed(item, keyed, depth)
    elif isinstance(item, msgspec.Struct) and depth <= MAX_DEPTH:
        yield from _fields(item, keyed, depth)
    else:
        yield f"{indent}{_value(item)}"


def _signed(raw: bytes, keyed: bool, depth: int) -> Iterator[str]:
    """A signed message inside another: votes on one line, the rest field by field."""
    indent = "  " * (depth - 1)
    try:
        found = decode(raw)
    except DecodeError:
        yield f"{indent}{GARBLED} {_value(raw)}"
        return
    values = [getattr(found, name) for name in found.__struct_fields__]
    if any(isinstance(value, tuple) for value in values):
        yield f"{indent}{type(found).__name__}"
        yield from _fields(found, keyed, depth + 1)
    else:
        told = zip(found.__struct_fields__, values, strict=True)
        text = ", ".join(f"{name} {_value(value)}" for name, value in told)
        yield f"{indent}{type(found).__name__}: {text}"


def _batch(raw: bytes, keyed: bool, depth: int) -> Iterator[str]:
    indent = "  " * (depth - 1)
    if not raw:
        yield f"{indent}batch: none"
        return
    try:
        found = decode_batch(raw)
    except DecodeError:
        yield f"{indent}batch: {GARBLED} {_value(raw)}"
        return
    yield f"{indent}batch: {len(found.requests)} requests, time {found.time}"
    for entry in found.requests[:MAX_ITEMS]:
        name = referred(entry)
        if name is None:
            yield from _item("request", entry, keyed, depth + 1)
        else:
            yield f"{indent}  a large request, {_value(name)}"


def _value(value: object) -> str:
    """Digests by their first bytes, other bytes as text where they are some."""
    if isinstance(value, bytes) and len(value) == DIGEST_BYTES:
        return f"{value[:6].hex()}…"
    if isinstance(value, bytes):
        return _bytes(value)
    return _short(str(value))


def _bytes(value: bytes) -> str:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if text.isprintable() and text:
        return _short(text)
    return _short(value.hex()) if value else "nothing"


def _short(text: str, most: int = MAX_TEXT) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


# -- operations -----------------------------------------------------------------------------------


def operation(data: bytes, keyed: bool) -> str:
    """A call, as its caller would write it."""
    if keyed:
        try:
            found = _key_value.decode(data)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return f"not an operation: {_bytes(data)}"
        values = (getattr(found, name) for name in found.__struct_fields__)
        return f"{type(found).__name__}({_listed(values)})"
    try:
        name, packed = parse_operation(data)
    except InvalidArgumentsError:
        return _bytes(data)
    return f"{name}({_listed(_unpacked(each) for each in packed)})"


def result(data: bytes) -> str:
    """What it gave."""
    if data[:1] == OK:
        return f"→ {_argument(_unpacked(data[1:]))}"
    return f"→ refused: {_bytes(data[1:])}"


def _unpacked(data: bytes) -> object:
    try:
        found: object = msgspec.msgpack.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return data
    return found


def _listed(values: Iterable[object]) -> str:
    return _short(", ".join(_argument(value) for value in values))


def _argument(value: object) -> str:
    text = _bytes(value) if isinstance(value, bytes) and value else repr(value)
    return _short(text, MAX_ARGUMENT)


# -- events ---------------------------------------------------------------------------------------


def event(found: Event) -> tuple[str, str]:
    """The kind of a mark, and its text."""
    match found:
        case Executed(sequence, digest, requests):
            keys = ", ".join(f"{client} {timestamp}" for client, timestamp in requests[:MAX_ITEMS])
            return "executed", f"executed {sequence}: {_value(digest)} ({keys or 'no request'})"
        case Committed(sequence):
            return "decided", f"has the commit certificate of {sequence}"
        case ViewChangeStarted(view, reason):
            return "leaving", f"leaves for view {view}: {reason}"
        case EnteredView(view):
            return "entered", f"enters view {view}"
        case BecameStable(sequence, digest):
            return "stable", f"checkpoint {sequence} is stable: {_value(digest)}"
        case TransferStarted(sequence):
            return "transfer", f"fetches the state of checkpoint {sequence}"
        case Installed(sequence, digest):
            return "transfer", f"installs the state of checkpoint {sequence}: {_value(digest)}"
        case Diverged(sequence):
            return "fault", f"its state differs from what others certified at {sequence}"
        case Damaged(sequence, leaves):
            return "fault", f"{leaves} leaves of its state are damaged at {sequence}"
        case Forgotten():
            return "fault", "is shown a vote of its own that it does not remember"
