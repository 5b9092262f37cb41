"""The docstrings of what the reference shows are complete: they are there, they name the errors
that are raised on purpose, and a time has its unit.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from functools import cached_property
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any

import pytest

import pbft
from tests.documentation.blocks import ROOT

PUBLIC = [name for name in pbft.__all__ if not name.startswith("__")]
LIKE_ANOTHER = re.compile(r"\bAs `|what `")
"""Leads to the docstring that has the rest."""
REFERENCE = re.compile(
    r"^::: (?P<name>\S+)$(?:\n +options:$)?(?:\n +members: (?P<members>\[.*\])$)?", re.MULTILINE
)
TIMES = frozenset({"timeout", "seconds"})
ENTERING = frozenset({"__aenter__", "__enter__"})


def referred() -> Iterator[str]:
    """What docs/reference shows: of a module all, or the members that are named."""
    for page in sorted((ROOT / "docs" / "reference").glob("*.md")):
        for found in REFERENCE.finditer(page.read_text("utf-8")):
            members = re.findall(r'"(\w+)"', found["members"] or "")
            yield from [f"{found['name']}.{each}" for each in members] or [found["name"]]


def found(name: str) -> object:
    """The object, or the module, of a dotted name."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        module, _, last = name.rpartition(".")
        return getattr(import_module(module), last)


def methods(kind: type) -> Iterator[tuple[str, Any]]:
    """What people call on an object of a class, without what every object has."""
    for owner in kind.__mro__:
        if owner.__module__.startswith("pbft"):
            for name, value in vars(owner).items():
                shown = not name.startswith("_") or name in ENTERING
                if shown and isinstance(
                    value, FunctionType | property | cached_property | classmethod | staticmethod
                ):
                    yield name, value


def function_of(value: Any) -> FunctionType:
    """What is behind a property or a class method."""
    for inner in ("fget", "func", "__func__"):
        value = getattr(value, inner, value)
    function: FunctionType = value
    return function


def callables(name: str) -> Iterator[tuple[str, FunctionType, str]]:
    """Each with its name, and the docstring of its class."""
    thing = found(name)
    if isinstance(thing, ModuleType):
        for each in vars(thing).values():
            own = getattr(each, "__module__", None) == thing.__name__
            if own and inspect.isclass(each) and not each.__name__.startswith("_"):
                yield from _of_class(each)
    elif inspect.isclass(thing):
        yield from _of_class(thing)
    elif isinstance(thing, FunctionType):
        yield name, thing, ""


def _of_class(kind: type) -> Iterator[tuple[str, FunctionType, str]]:
    for name, value in methods(kind):
        yield f"{kind.__name__}.{name}", function_of(value), kind.__doc__ or ""


def raised(function: FunctionType) -> set[str]:
    """The errors that its own text raises by name."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return {
        node.exc.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
        and node.exc.func.id[:1].isupper()
    }


SHOWN = sorted({f"pbft.{name}" for name in PUBLIC} | set(referred()))
CALLABLES = [each for name in SHOWN for each in callables(name)]


@pytest.mark.parametrize("name", SHOWN)
def test_what_is_shown_is_told_about(name: str) -> None:
    thing = found(name)
    if inspect.isclass(thing) or isinstance(thing, FunctionType | ModuleType):
        assert thing.__doc__, name


def test_every_method_is_told_about() -> None:
    assert [name for name, function, _ in CALLABLES if not function.__doc__] == []


def test_the_errors_that_are_raised_on_purpose_are_named() -> None:
    silent = [
        (name, error)
        for name, function, around in CALLABLES
        for error in raised(function)
        if error not in (function.__doc__ or "") + around
        and not LIKE_ANOTHER.search(function.__doc__ or "")
    ]
    assert silent == []


def test_a_time_has_its_unit() -> None:
    bare = [
        name
        for name, function, around in CALLABLES
        if TIMES & set(inspect.signature(function).parameters)
        and "second" not in (function.__doc__ or "") + around
        and not LIKE_ANOTHER.search(function.__doc__ or "")
    ]
    assert bare == []


def test_a_silent_function_is_found() -> None:
    """The negative control of the three above."""

    def wait(timeout: float) -> None:
        raise TimeoutError("nobody came")

    assert raised(function_of(wait)) == {"TimeoutError"}
    assert not wait.__doc__
