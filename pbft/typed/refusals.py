"""Errors that travel: a command's exception as text, and as an exception again at the caller.

The text is a name and a JSON list, `Insufficient: ["balance is 3", 3]`, or an object where the
exception has fields, `Short: {"left": 3, "args": ["too little"]}`: people can read it where nobody
knows the class. What comes from the wire calls no `__init__`: that may take other arguments.
"""

import builtins
from typing import Any

import msgspec

from pbft.core.errors import (
    ApplicationError,
    InvalidArgumentsError,
    NotPermittedError,
    PbftError,
    Refusal,
    RejectedError,
    ServiceError,
    UnknownCommandError,
)
from pbft.core.protocol.execution import MAX_REFUSAL_BYTES
from pbft.typed.values import UNWRITABLE, ordered

TRAVELLING = frozenset(
    {
        *("ArithmeticError", "AssertionError", "AttributeError", "IndexError", "KeyError"),
        *("LookupError", "OverflowError", "PermissionError", "RuntimeError", "TypeError"),
        *("ValueError", "ZeroDivisionError"),
    }
)
"""Python's own exceptions that are raised again as what they were."""
JUDGED: tuple[type[PbftError], ...] = (
    *(InvalidArgumentsError, ServiceError, UnknownCommandError, NotPermittedError),
    *(ApplicationError, RejectedError),
)
"""Ours that a replica raises where an operation executes. The others are of the caller's side: a
service's own exception that is called `UnansweredError` must not say that the outcome is unknown.
"""
ARGS = "args"
"""Beside the fields: no field has this name, since every exception has it already."""
SHORTER = (None, 150, 40)
"""To how many characters each argument and field is cut, where all of them are too long."""


def refusal(error: BaseException) -> Refusal:
    """What the core hands to the client in place of `error`: its arguments, and those of its fields
    that JSON has. Never its own text: that of an object tells an address."""
    for most in SHORTER:
        text = f"{type(error).__name__}: {_said(error, most)}"
        if len(text.encode("utf-8", "replace")) <= MAX_REFUSAL_BYTES:
            return Refusal(text)
    return Refusal(f"{type(error).__name__}: []")


def _said(error: BaseException, most: int | None) -> str:
    args = f"[{','.join(_argument(each, most) for each in error.args)}]"
    written = [(name, _json(value)) for name, value in vars(error).items() if _plain(name)]
    kept = [(name, value) for name, value in written if value is not None]
    fields = [f"{_json(name)}: {value}" for name, value in kept if not _long(value, most)]
    return f"{{{', '.join([*fields, f'{_json(ARGS)}: {args}'])}}}" if fields else args


def _argument(value: object, most: int | None) -> str:
    said = _json(value)
    if said is None:
        return f'"a {type(value).__name__}, which cannot be sent"'
    if not _long(said, most):
        return said
    if isinstance(value, str):
        return _json(f"{value[:most]}...") or ""
    return f'"a {type(value).__name__}, which cannot be sent"'


def _long(said: str, most: int | None) -> bool:
    return most is not None and len(said) > most


def _json(value: object) -> str | None:
    """The same text at every replica; none where JSON has not such a value, or it is so long that
    it may be deeper than the stack of some."""
    try:
        said = msgspec.json.encode(ordered(value)).decode()
    except (*UNWRITABLE, RecursionError):
        return None
    return said if isinstance(value, str) or len(said) <= MAX_REFUSAL_BYTES else None


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
    for judged in JUDGED:
        if judged.__name__ == name:
            return judged
    found = getattr(builtins, name, None) if name in TRAVELLING else None
    return found if isinstance(found, type) and issubclass(found, Exception) else None


def _below(kind: type[Exception]) -> list[type[Exception]]:
    found = list(kind.__subclasses__())
    return found + [deeper for each in found for deeper in _below(each)]
