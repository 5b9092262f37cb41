"""What one SQL statement may cost: the same at every replica, and never more than seconds.

SQLite counts the steps of its machine, and a statement that takes too many is stopped. Two things
escape that count. One step may work through a whole value, so many steps go with small values
only (`BUDGETS`), and functions whose work is the product of two lengths are charged for it
(`Charged`). And compiling takes no steps at all, although views and common table expressions
within each other grow exponentially, so they are counted before (`expansions`).
"""

import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from math import prod
from typing import Any, NamedTuple, NoReturn


class Budget(NamedTuple):
    """`steps` of SQLite's machine, with no value and no row of more than `value_bytes`."""

    value_bytes: int
    steps: int


WORK_BYTES = 4 * 1024 * 1024 * 1024
"""Steps times bytes: an eighth of it, at most, lies in memory or in temporary files."""
BUDGETS = tuple(Budget(size, WORK_BYTES // size) for size in (1024, 16 * 1024, 256 * 1024))
"""A statement that meets a larger value begins again under the next."""
NO_LIMIT = Budget(2**30, 2**60)
"""For what this service itself does."""
STEP = 1_000
"""How often steps are counted."""
BYTES_PER_STEP = 64
"""Compared in about the time of a step."""
MAX_EXPANSIONS = 2_000
"""Copies of views and common table expressions in one statement."""
MAX_SQL_BYTES = 64 * 1024
LIMITS = {
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: MAX_SQL_BYTES,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_COLUMN: 500,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 100,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 100,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1_000,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 1_000,
}
"""Ours, so that those of a build of SQLite decide nothing."""

PRODUCTS = {
    **{"like": (2, 3), "glob": (2,), "instr": (2,), "replace": (3,)},
    **{"trim": (2,), "ltrim": (2,), "rtrim": (2,)},
}
"""Functions that may compare each byte of one argument with each of another, and how many arguments
they take."""
FORMATS = ("printf", "format")
"""They work through any width, and give NULL where the result is too large."""

_TOKEN = re.compile(
    r"--[^\n]*|/\*.*?(?:\*/|\Z)"
    r"|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|\[[^\]]*\]|[\w$]+|\S",
    re.DOTALL,
)


def tokens(sql: str) -> list[str]:
    """The words and signs of a statement in lower case, quotes kept, comments left out."""
    found = (each.lower() for each in _TOKEN.findall(sql))
    return [each for each in found if not each.startswith(("--", "/*"))]


def expansions(sql: str, views: Mapping[str, str]) -> int:
    """At most so many copies of views (their texts by name) and of common table expressions does
    SQLite make to compile a statement; above `MAX_EXPANSIONS`, that or anything larger."""
    known: dict[str, int] = {}

    def of(text: str) -> int:
        words = tokens(text)
        names = Counter(_unquoted(each) for each in words)
        copies = prod(max(1, names[name] - 1) for name in _defined(words))
        inner = sum(count * view(name) for name, count in names.items() if name in views)
        return min(copies * (1 + inner), MAX_EXPANSIONS + 1)

    def view(name: str) -> int:
        if name not in known:
            known[name] = 0  # in a circle, which SQLite refuses
            known[name] = of(views[name])
        return known[name]

    return of(sql)


def _defined(words: list[str]) -> set[str]:
    """The names before `AS (`, also before `(columns) AS (`."""
    found = set()
    for at, word in enumerate(words):
        after = [each for each in words[at + 1 : at + 4] if each not in ("not", "materialized")]
        if word != "as" or after[:1] != ["("]:
            continue
        before = at - 1
        if words[before] == ")":
            while before > 0 and words[before] != "(":
                before -= 1
            before -= 1
        found.add(_unquoted(words[before]))
    return found


def _unquoted(word: str) -> str:
    if word[0] in "'\"`":
        return word[1:-1].replace(2 * word[0], word[0])
    return word[1:-1] if word[0] == "[" and len(word) > 1 else word


class Charged:
    """The functions of `db` that cost more than a step; another connection computes them.

    `charge` takes steps, and raises where there are none left; `explain` is told what went wrong,
    since SQLite only says that something did."""

    def __init__(
        self, db: sqlite3.Connection, charge: Callable[[int], None], explain: Callable[[str], None]
    ) -> None:
        self._other = sqlite3.connect(":memory:", check_same_thread=False)
        self._charge = charge
        self._explain = explain
        limits = {**LIMITS, sqlite3.SQLITE_LIMIT_LENGTH: BUDGETS[-1].value_bytes}
        for limit, value in limits.items():
            self._other.setlimit(limit, value)
        for name, counts in PRODUCTS.items():
            for count in counts:
                db.create_function(name, count, partial(self._product, name), deterministic=True)
        for name in FORMATS:
            db.create_function(name, -1, partial(self._format, name), deterministic=True)

    def close(self) -> None:
        """With the connection that uses it."""
        self._other.close()

    def _product(self, name: str, *args: Any) -> Any:
        one, two, *_ = (len(each) if isinstance(each, str | bytes) else 24 for each in args)
        self._charge(one * two // BYTES_PER_STEP)
        return self._computed(name, args)

    def _format(self, name: str, *args: Any) -> Any:
        text = str(args[0]) if args else ""
        if "*" in text:
            self._refuse(f"{name}() with a width of * may take for ever: write the width out")
        self._charge(sum(int(each[:12]) for each in re.findall("[0-9]+", text)))
        result = self._computed(name, args)
        if result is None and args and args[0] is not None:
            self._refuse(f"{name}() gives a value that is too large")
        return result

    def _computed(self, name: str, args: tuple[Any, ...]) -> Any:
        marks = ", ".join("?" * len(args))
        try:
            return self._other.execute(f"SELECT {name}({marks})", args).fetchone()[0]
        except sqlite3.Error as error:
            return self._refuse(f"{name}(): {error}")

    def _refuse(self, reason: str) -> NoReturn:
        self._explain(reason)
        raise ValueError(reason)
