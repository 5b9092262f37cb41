"""Errors that travel: a command's exception as text, and as an exception again at the caller.

The text is a name and a JSON list, `Insufficient: ["balance is 3", 3]`, or an object where the
exception has fields, `Short: {"left": 3, "args": ["too little"]}`: people can read it where nobody
knows the class. What comes from the wire calls no `__init__`: that may take other arguments.
"""

import builtins
from typing import Any

import msgspec

from pbft.core import errors
from pbft.core.errors import ApplicationError, PbftError, Refusal, RejectedError

TRAVELLING = frozenset(
    {
        *("ArithmeticError", "AssertionError", "AttributeError", "IndexError", "KeyError"),
        *("LookupError", "OverflowError", "PermissionError", "RuntimeError", "TypeError"),
        *("ValueError", "ZeroDivisionError"),
    }
)
"""Python's own exceptions that are raised again as what they were."""
ARGS = "args"
"""Beside the fields: no field has this name, since every exception has it already."""


UNWRITABLE = (TypeError, ValueError, OverflowError, RecursionError)


def refusal(error: BaseException) -> Refusal:
    """What the core hands to the client in place of `error`: its arguments, and those of its fields
    that JSON has."""
    try:
        args = _json(list(error.args))
    except UNWRITABLE:
        args = _json([str(error)])
    written = [(name, _field(value)) for name, value in vars(error).items() if _plain(name)]
    fields = [f"{_json(name)}: {value}" for name, value in written if value is not None]
    said = f"{{{', '.join([*fields, f'{_json(ARGS)}: {args}'])}}}" if fields else args
    return Refusal(f"{type(error).__name__}: {said}")


def _field(value: object) -> str | None:
    try:
        return _json(value)
    except UNWRITABLE:
        return None


def _json(value: object) -> str:
    """Sets in sorted order: the same text at every replica."""
    return msgspec.json.encode(value, order="deterministic").decode()


def _plain(name: str) -> bool:
    return name != ARGS and not name.startswith("__")


def restored(rejection: RejectedError, module: str) -> Exception:
    """The exception behind a rejection, where its class is known here: one of `module` before
    others of the same name, and in its cause the rejection itself."""
    name, _, text = str(rejection).partition(": ")
    kind = _class(name, module)
    if kind is None:
        return rejection
    try:
        said = msgspec.json.decode(text, type=list[Any] | dict[str, Any])
        fields = said if isinstance(said, dict) else {ARGS: said}
        error = kind.__new__(kind, *fields[ARGS])
    except (msgspec.MsgspecError, LookupError, TypeError, ValueError, RecursionError):
        return rejection
    vars(error).update({each: value for each, value in fields.items() if _plain(each)})
    error.__cause__ = rejection
    return error


def _class(name: str, module: str) -> type[Exception] | None:
    defined = [each for each in _below(ApplicationError) if each.__name__ == name]
    defined.sort(key=lambda each: each.__module__ != module)
    if defined:
        return defined[0]
    ours = getattr(errors, name, None)
    if isinstance(ours, type) and issubclass(ours, PbftError):
        return ours
    found = getattr(builtins, name, None) if name in TRAVELLING else None
    return found if isinstance(found, type) and issubclass(found, Exception) else None


def _below(kind: type[Exception]) -> list[type[Exception]]:
    found = list(kind.__subclasses__())
    return found + [deeper for each in found for deeper in _below(each)]
