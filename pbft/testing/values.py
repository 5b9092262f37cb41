"""Random values of a type, for operations that nobody wrote: small ones, and many equal ones, since
what collides finds more than what does not."""

import random
import string
import uuid
from typing import Any

import msgspec
from msgspec import inspect

DEPTH = 3
DRAWS = 100
INSTEAD = ": give the class a `workload`, which `pbft check` takes its calls from"
MOMENTS = (
    "1970-01-01T00:00:00",
    "2024-02-29T12:30:00",
    "2024-02-29T12:30:00.5",
    "2038-01-20T23:59:59",
)
WORDS = ("", "a", "b", "c", "ann", "bob", "Zoë", "name with spaces", "0", "x" * 40)


def value_of(kind: Any, dice: random.Random) -> Any:
    """One value of an annotation, converted from what msgspec calls its builtins. Raises
    `TypeError` for a type that cannot be made up, or whose constraints no draw has met."""
    info = inspect.type_info(kind)
    for _ in range(DRAWS):
        try:
            return msgspec.convert(_made(info, dice, 0), kind, strict=False)
        except msgspec.ValidationError:
            continue
    raise TypeError(f"no values of {kind} were found{INSTEAD}")


def _made(kind: inspect.Type, dice: random.Random, depth: int) -> Any:
    simple = _simple(kind, dice)
    if simple is not NotImplemented:
        return simple
    match kind:
        case inspect.UnionType(types):
            return _made(dice.choice(types), dice, depth)
        case inspect.Metadata(inner):
            return _made(inner, dice, depth)
        case inspect.ListType(item) | inspect.SetType(item) | inspect.FrozenSetType(item):
            return [_made(item, dice, depth + 1) for _ in range(_size(dice, depth))]
        case inspect.VarTupleType(item):
            return [_made(item, dice, depth + 1) for _ in range(_size(dice, depth))]
        case inspect.TupleType(items):
            return [_made(item, dice, depth + 1) for item in items]
        case inspect.DictType(key, item):
            size = _size(dice, depth)
            return {_made(key, dice, depth + 1): _made(item, dice, depth + 1) for _ in range(size)}
        case inspect.StructType() | inspect.DataclassType() | inspect.TypedDictType():
            fields = {each.encode_name: _made(each.type, dice, depth + 1) for each in kind.fields}
            listed = isinstance(kind, inspect.StructType) and kind.array_like
            return list(fields.values()) if listed else fields
    raise TypeError(f"there are no values of {type(kind).__name__} here{INSTEAD}")


def _simple(kind: inspect.Type, dice: random.Random) -> Any:
    match kind:
        case inspect.NoneType():
            return None
        case inspect.BoolType():
            return dice.random() < 0.5
        case inspect.IntType():
            return dice.choice((0, 1, 2, 3, -1, 10, dice.randrange(-1000, 1000), 2**40))
        case inspect.FloatType():
            return dice.choice((0.1, 0.2, 0.3, 1.0, 30.0, 1e16, dice.random()))
        case inspect.StrType():
            return dice.choice((*WORDS, "".join(dice.choices(string.ascii_letters, k=6))))
        case inspect.BytesType():
            return dice.randbytes(dice.choice((0, 1, 8, 40)))
        case inspect.DateTimeType() | inspect.DateType() | inspect.TimeType():
            return _moment(kind, dice)
        case inspect.TimeDeltaType():
            return dice.choice((0.0, 1.0, 90.0, -60.0, 86_400.0, dice.randrange(10**9) / 1e6))
        case inspect.DecimalType():
            return dice.choice(("0", "0.1", "1", "1.0", "-1", "100.00", str(dice.randrange(1000))))
        case inspect.UUIDType():
            return str(uuid.UUID(int=dice.choice((0, 1, dice.getrandbits(128)))))
        case inspect.LiteralType(values):
            return dice.choice(values)
        case inspect.EnumType(cls):
            return dice.choice(list(cls)).value
        case inspect.AnyType():
            return dice.choice((None, 0, 7, "a", "b", 0.5))
    return NotImplemented


def _moment(kind: inspect.Type, dice: random.Random) -> str:
    """With a time zone or without, where both are allowed."""
    text = dice.choice(MOMENTS)
    if isinstance(kind, inspect.DateType):
        return text[:10]
    zoned = dice.random() < 0.5 if (tz := getattr(kind, "tz", None)) is None else tz
    text += "Z" if zoned else ""
    return text if isinstance(kind, inspect.DateTimeType) else text[11:]


def _size(dice: random.Random, depth: int) -> int:
    return 0 if depth >= DEPTH else dice.choice((0, 1, 2, 3, 5))
