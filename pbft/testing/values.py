"""Random values of a type, for operations that nobody wrote: small ones, and many equal ones, since
what collides finds more than what does not."""

import random
import string
from typing import Any

import msgspec
from msgspec import inspect

DEPTH = 3
WORDS = ("", "a", "b", "c", "ann", "bob", "Zoë", "name with spaces", "0", "x" * 40)


def value_of(kind: Any, dice: random.Random) -> Any:
    """One value of an annotation, converted from what msgspec calls its builtins. Raises
    `TypeError` for a type that cannot be made up."""
    return msgspec.convert(_made(inspect.type_info(kind), dice, 0), kind, strict=False)


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
    raise TypeError(f"values of {kind} cannot be made up")


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
        case inspect.LiteralType(values):
            return dice.choice(values)
        case inspect.EnumType(cls):
            return dice.choice(list(cls)).value
        case inspect.AnyType():
            return dice.choice((None, 0, 7, "a", "b", 0.5))
    return NotImplemented


def _size(dice: random.Random, depth: int) -> int:
    return 0 if depth >= DEPTH else dice.choice((0, 1, 2, 3, 5))
