"""What a replicated database lets SQLite do: only what every replica does in the same way.

A replica that was restarted has built its database anew from the rows: what tells of pages, plans,
statements or the order of the schema would differ from the others.
"""

import sqlite3
from collections.abc import Collection, Sequence

from pbft.services.sql_costs import tokens

DETERMINISTIC = frozenset(
    {
        *("abs", "char", "coalesce", "concat", "concat_ws", "format", "glob", "hex", "ifnull"),
        *("iif", "instr", "length", "like", "likelihood", "likely", "lower", "ltrim", "max"),
        *("min", "nullif", "octet_length", "printf", "quote", "replace", "round", "rtrim"),
        *("sign", "soundex", "substr", "substring", "trim", "typeof", "unhex", "unicode"),
        *("unlikely", "upper", "zeroblob", "avg", "count", "group_concat", "string_agg", "sum"),
        *("total", "row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile"),
        *("lag", "lead", "first_value", "last_value", "nth_value", "json", "json_array"),
        *("json_array_length", "json_extract", "json_insert", "json_object", "json_patch"),
        *("json_remove", "json_replace", "json_set", "json_type", "json_valid", "json_quote"),
        *("json_group_array", "json_group_object", "->", "->>", "raise"),
    }
)
"""Functions that depend on their arguments alone."""
INTERNAL = frozenset(
    {
        *("sqlite_rename_table", "sqlite_rename_column", "sqlite_rename_test"),
        *("sqlite_rename_quotefix", "sqlite_drop_column", "sqlite_fail"),
    }
)
"""What ALTER TABLE uses, and no statement can call."""

READING = frozenset({sqlite3.SQLITE_READ, sqlite3.SQLITE_SELECT, 33})
"""33: a recursive common table expression."""
WRITING = READING | {
    sqlite3.SQLITE_INSERT,
    sqlite3.SQLITE_UPDATE,
    sqlite3.SQLITE_DELETE,
    sqlite3.SQLITE_CREATE_TABLE,
    sqlite3.SQLITE_CREATE_INDEX,
    sqlite3.SQLITE_CREATE_VIEW,
    sqlite3.SQLITE_DROP_TABLE,
    sqlite3.SQLITE_DROP_INDEX,
    sqlite3.SQLITE_DROP_VIEW,
    sqlite3.SQLITE_ALTER_TABLE,
    sqlite3.SQLITE_REINDEX,
}
NAMES = {
    sqlite3.SQLITE_ATTACH: "ATTACH reaches outside the database",
    sqlite3.SQLITE_DETACH: "DETACH reaches outside the database",
    sqlite3.SQLITE_PRAGMA: "PRAGMA changes one replica",
    sqlite3.SQLITE_TRANSACTION: "each statement is a transaction of its own",
    sqlite3.SQLITE_SAVEPOINT: "each statement is a transaction of its own",
    sqlite3.SQLITE_ANALYZE: "ANALYZE changes how one replica plans",
    sqlite3.SQLITE_CREATE_VTABLE: "virtual tables keep their rows elsewhere",
    sqlite3.SQLITE_CREATE_TRIGGER: "triggers of one's own are not replicated",
    sqlite3.SQLITE_CREATE_TEMP_TABLE: "temporary tables belong to a connection",
    sqlite3.SQLITE_CREATE_TEMP_INDEX: "temporary indexes belong to a connection",
    sqlite3.SQLITE_CREATE_TEMP_VIEW: "temporary views belong to a connection",
    sqlite3.SQLITE_CREATE_TEMP_TRIGGER: "temporary triggers belong to a connection",
}
HARMLESS_MODULES = frozenset({"json_each", "json_tree"})
"""Virtual tables that depend on their arguments alone."""
SCHEMA_TABLES = ("sqlite_schema", "sqlite_master", "sqlite_temp_schema", "sqlite_temp_master")


def refused(sql: str) -> str | None:
    """Why a statement is refused as it is written; what its words mean, `Rules` judges."""
    if "\0" in sql:
        return "a statement has no NUL character in it"
    words = [each for each in tokens(sql) if each not in (";", "\ufeff")]
    if words[:1] == ["explain"]:
        return "EXPLAIN tells of one replica's plan"
    if any(name in sql.lower() for name in SCHEMA_TABLES):
        return "sqlite_schema is in another order at each replica: ask for `schema()`"
    return None


def refused_values(values: Sequence[object]) -> str | None:
    """Why values cannot be given to a statement; Python's own words depend on its version."""
    for each in values:
        if not (each is None or isinstance(each, int | float | str | bytes)):
            return "a value is None, an int, a float, a str or bytes"
        if isinstance(each, int) and not -(2**63) <= each < 2**63:
            return "an int has 64 bits"
    return None


def refused_table(sql: str) -> str | None:
    """Why a table of this text cannot be replicated."""
    if "deferred" in tokens(sql):
        return "DEFERRED foreign keys are judged too late: leave it out"
    return None


class Rules:
    """SQLite asks, when it compiles a statement; the last `reason` says why it was refused.

    `own`: a table that only this service's triggers may write. `modules`: virtual tables that this
    build of SQLite has."""

    def __init__(self, own: str, modules: Collection[str]) -> None:
        self._own = own
        self._modules = {each.lower() for each in modules} - HARMLESS_MODULES
        self.allowed = READING
        self.reason: str | None = None
        self._dropped: str | None = None

    def begin(self, allowed: frozenset[int]) -> None:
        """Another statement, which may do what is `allowed`."""
        self.allowed, self.reason, self._dropped = allowed, None, None

    def refuse(self, reason: str) -> None:
        """Say why, where somebody else refuses."""
        self.reason = reason

    def __call__(
        self, action: int, first: str | None, second: str | None, where: str | None, by: str | None
    ) -> int:
        """`sqlite3.Connection.set_authorizer`."""
        reason = self._judge(action, first, second, by)
        if reason is None:
            return sqlite3.SQLITE_OK
        self.reason = reason
        return sqlite3.SQLITE_DENY

    def _judge(
        self, action: int, first: str | None, second: str | None, by: str | None
    ) -> str | None:
        if action == sqlite3.SQLITE_FUNCTION:
            known = (second or "").lower() in DETERMINISTIC | INTERNAL
            return None if known else f"{second}() may differ from replica to replica"
        if self._own in (first, second) and (action != sqlite3.SQLITE_INSERT or by is None):
            return f"{self._own} is this service's own"
        if action == sqlite3.SQLITE_READ and (first or "").lower() in self._modules:
            return f"{first} tells of one replica"
        if action == sqlite3.SQLITE_DROP_TABLE:
            self._dropped = first
        if action == sqlite3.SQLITE_DROP_TEMP_TRIGGER and second == self._dropped is not None:
            return None  # ours go with their table
        if action in NAMES:
            return NAMES[action]
        if action not in self.allowed:
            return "only a SELECT can be asked for" if self.allowed is READING else "not allowed"
        return None
