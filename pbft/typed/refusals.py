"""Errors that travel: a command's exception as text, and as an exception again at the caller.

The text is a name and a JSON list, `Insufficient: ["balance is 3", 3]`: people can read it where
nobody knows the class.
"""

import builtins

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


def refusal(error: Exception) -> Refusal:
    """What the core hands to the client in place of `error`."""
    try:
        args = msgspec.json.encode(list(error.args))
    except (TypeError, ValueError, OverflowError, RecursionError):
        args = msgspec.json.encode([str(error)])
    return Refusal(f"{type(error).__name__}: {args.decode()}")


def restored(rejection: RejectedError, module: str) -> Exception:
    """The exception behind a rejection, where its class is known here: one of `module` before
    others of the same name, and in its cause the rejection itself."""
    name, _, text = str(rejection).partition(": ")
    kind = _class(name, module)
    if kind is None:
        return rejection
    try:
        error = kind(*msgspec.json.decode(text, type=list))
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError):
        return rejection
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
