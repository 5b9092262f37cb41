"""What helps whoever wrote a service's module that cannot be used: the line of it that failed."""

import importlib
import traceback
from pathlib import Path

MACHINERY = (importlib.__file__, "<frozen")
"""Frames of what runs a module, which are none of its lines."""


def where(error: BaseException) -> str:
    """To be put behind the text of what importing a module, or making an object of it, has raised
    in the function that asks: the line, or where to start so that the module is found."""
    if isinstance(error, SyntaxError):
        return ""  # which names its line
    ran = traceback.extract_tb(error.__traceback__)[1:]
    lines = [each for each in ran if not each.filename.startswith(MACHINERY)]
    if not lines:
        return "; start in the directory that has its module"
    return f" ({Path(lines[-1].filename).name}, line {lines[-1].lineno})"
