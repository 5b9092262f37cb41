"""The events of a plan in sentences, for people who want to see what is left of it."""

from collections.abc import Iterator
from enum import Enum
from typing import Any

import msgspec

from pbft.core.ids import SECOND
from pbft.testing.plan import Plan
from pbft.testing.reductions import LASTING, SCRIPTS, TIMES, names_of, parts
from pbft.testing.timeline import describing

DURATIONS = ("down_ns", "pause_ns", "copied")


def sentences(plan: Plan) -> list[str]:
    """One for each event of an explicit plan, in the order of `parts`."""
    return [*_parts(plan), *_lasting(plan)]


def _parts(plan: Plan) -> Iterator[str]:
    keyed = plan.service is None
    for part in parts(plan):
        value: Any = getattr(plan, part.field)
        if part.field == SCRIPTS:
            call = value[part.owner].calls[part.key]
            yield f"{part.owner} calls {describing.operation(call.operation, keyed)}"
        elif part.field == "traitors":
            yield f"replica {part.key} is a traitor: {'twins' if plan.twins else value[part.key]}"
        elif part.owner is None:
            yield f"{part.field}: {_told(value[part.key], keyed)}"
        else:
            yield f"{part.field} of {part.owner}: {_told(value[part.owner][part.key], keyed)}"


def _lasting(plan: Plan) -> Iterator[str]:
    for name in LASTING:
        value = getattr(plan, name)
        if value:
            yield f"{name}: {_told(value, True)}"


def _told(value: Any, keyed: bool) -> str:
    """Field by field, whatever it is; what is inside it by its type, too."""
    if names_of(value):
        return ", ".join(_fields(value, keyed))
    if isinstance(value, tuple | list | set | frozenset):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return f"({', '.join(_inner(each, keyed) for each in items)})"
    if isinstance(value, bytes):
        return describing.operation(value, keyed)
    return str(value.value if isinstance(value, Enum) else value)


def _fields(value: Any, keyed: bool) -> Iterator[str]:
    """Those that say something."""
    for name in names_of(value):
        each = getattr(value, name)
        if each is True:
            yield name
        elif each is not None and each is not False and each != ():
            yield f"{name} {_field(name, each, keyed)}"


def _inner(value: Any, keyed: bool) -> str:
    told = _told(value, keyed)
    return f"{type(value).__name__}({told})" if isinstance(value, msgspec.Struct) else told


def _field(name: str, value: Any, keyed: bool) -> str:
    if isinstance(value, int) and (name in TIMES or name in DURATIONS):
        return f"{value / SECOND:.3f} s"
    return _inner(value, keyed)
