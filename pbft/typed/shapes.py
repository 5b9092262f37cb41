"""What version of a service has which types: bound into the state, so that new code which would
write other bytes than the old is told at its start, and not when states differ.

A field that a record gains, with a default as well, is written by new code and not by old; a new
command is refused by old code and executed by new. So everything that the active version has in the
code is as it was when a command first executed under that version. What the code has no more is
not looked at: that is right as soon as nobody calls it.
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import inspect

from pbft.core.errors import HaltError

KEY = b"s"
"""Where the state has them."""
BYTES = 8
FIELDS = (
    *("encode_name", "required", "type", "fields", "array_like", "tag_field", "tag"),
    *("forbid_unknown_fields", "item_type", "item_types", "key_type", "value_type"),
    *("values", "gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern", "tz"),
)
"""What matters of a type as msgspec describes it: not its name, and no default."""

Shapes = Mapping[str, bytes]


def shape(kind: Any) -> Any:
    """A type, as far as it says which values there are and which bytes they have."""
    return _shape(inspect.type_info(kind), {})


def digest(kinds: Iterable[Any], also: Any = None) -> bytes:
    """Of several types, and of a value that has to be the same as well."""
    told = ([shape(each) for each in kinds], also)
    return sha256(msgspec.msgpack.encode(told)).digest()[:BYTES]


def judge(data: bytes, own: Shapes, version: int) -> None:
    """Whether the code has what the state says of the active `version`. Raises `HaltError`, which
    names all that differs: a type stands in more places than the one that somebody changed."""
    bound = _decode(data)
    changed = [name for name in sorted(own) if name in bound and bound[name] != own[name]]
    new = [name for name in sorted(own) if name not in bound]
    cluster = f"version {version} of the service that this cluster runs"
    if changed:
        have, them = ("have", "them as they are") if changed[1:] else ("has", "it as it is")
        raise HaltError(
            f"{_listed(changed)} {have} other types, or records with other fields, than in"
            f" {cluster}, and replicas would differ: leave {them}, and bring what is new under"
            f" another name with version {version + 1}"
        )
    if new:
        are, them = ("are", "them") if new[1:] else ("is", "it")
        raise HaltError(
            f"{_listed(new)} {are} not in {cluster}, and replicas would differ: mark {them}"
            f" {_marks(new, version + 1)}, with version = {version + 1} in the class, and switch to"
            " that once all have it"
        )


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _marks(names: list[str], version: int) -> str:
    """As an attribute and as a method say since when they are there."""
    held = {name.startswith("self.") for name in names}
    return " and ".join(
        f"Since({version})" if each else f"since={version}" for each in sorted(held)
    )


def _shape(info: Any, seen: dict[int, int]) -> Any:
    if isinstance(info, tuple | list):
        return [_shape(each, seen) for each in info]
    if isinstance(info, inspect.EnumType):
        return [repr(each.value) for each in info.cls]
    if not isinstance(info, msgspec.Struct):
        return info if info is None or isinstance(info, bool | int | str) else repr(info)
    if id(info) in seen:  # a type within itself
        return seen[id(info)]
    seen[id(info)] = len(seen)
    if isinstance(info, inspect.UnionType):
        return [type(info).__name__, [_shape(each, seen) for each in _sorted(info.types)]]
    fields = [_shape(getattr(info, name), seen) for name in FIELDS if hasattr(info, name)]
    return [type(info).__name__, *fields]


def _sorted(types: Iterable[inspect.Type]) -> list[inspect.Type]:
    """Those of a union have no order: `typing` itself gives `List[int | str]` to who asks for
    `List[str | int]`, where anybody in the process has asked for that before."""
    return sorted(types, key=lambda each: encode(_shape(each, {})))


encode = msgspec.msgpack.Encoder(order="deterministic").encode
_decode = msgspec.msgpack.Decoder(dict[str, bytes]).decode
