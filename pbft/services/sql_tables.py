"""SQL tables as a part of a service's state.

SQLite runs in memory. Triggers note which rows a statement changed; those rows, and the schema
where it changed, are what goes into the replicated state. So a digest is over rows and not over
pages, and a checkpoint costs the rows that changed. From the state the database is built anew.
"""

import sqlite3
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from pbft.core.errors import ApplicationError, HaltError
from pbft.core.service import State
from pbft.services.sql_costs import (
    BUDGETS,
    LIMITS,
    MAX_EXPANSIONS,
    NO_LIMIT,
    STEP,
    Budget,
    Charged,
    expansions,
)
from pbft.services.sql_rules import READING, WRITING, Rules, refused, refused_table, refused_values
from pbft.typed.parts import prefix_of

Value: TypeAlias = Any
"""None, an int of 64 bits, a float, a str or bytes."""
Rows: TypeAlias = list[list[Value]]
Entry: TypeAlias = "tuple[str, ...]"
"""Of the schema: its type, its name, its table's and its text."""

SCHEMA, ROW = b"s", b"r"
"""Kinds of keys: the text of a table, an index or a view, by name; a row, by table and rowid."""
MAX_RESULT_BYTES = 256 * 1024
MAX_ROWS = 10_000
MAX_ENTRIES, MAX_SCHEMA_BYTES = 1_000, 256 * 1024
"""Tables, indexes and views; their texts."""
OWN = "pbft_changed"
EVENTS = {"INSERT": ["NEW"], "DELETE": ["OLD"], "UPDATE": ["OLD", "NEW"]}
"""What a trigger notes the rows of."""
LAST_ROWID = 2**63 - 1
"""Once it is used, SQLite chooses rowids at random."""
ERRORS = (sqlite3.Error, sqlite3.Warning, OverflowError, ValueError, TypeError, MemoryError)
"""What SQLite's module raises for a statement."""
LOCAL_FAULTS = {
    *(sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL),
    *(sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY),
}
"""No memory, no room for temporary files: other replicas may have had them."""


class SqlError(ApplicationError):
    """SQLite, or a rule of this service, refuses a statement."""


class Outcome(Struct, frozen=True, array_like=True):
    """Of a statement: the rows it gave (`RETURNING`), and how many it changed."""

    rows: Rows
    changed: int


class SqlTables:
    """A `Part`: `self.tables = SqlTables()`."""

    def __init__(self) -> None:
        self._state: State | None = None
        self._prefix = b""
        self._steps = 0
        self._budget = NO_LIMIT
        self._failed: SqlError | None = None
        self._db = self._connected()

    def __del__(self) -> None:
        self._close()  # or Python complains

    def _close(self) -> None:
        self._db.close()
        self._charged.close()

    def run(self, sql: str, parameters: list[Value] | None = None) -> Outcome:
        """Execute one statement that may change something. Raises `SqlError`; the command fails
        then, even where it goes on, since SQLite may have taken back more than the statement."""
        try:
            return self._run(sql, parameters or [])
        except SqlError as error:
            self._failed = error
            raise

    def select(self, sql: str, parameters: list[Value] | None = None) -> Rows:
        """Ask something that changes nothing. Raises `SqlError`."""
        return self._execute(sql, parameters or [], READING)[0]

    def schema(self) -> list[str]:
        """The statements that make the tables, indexes and views there are, sorted."""
        return sorted(sql for _, _, _, sql in self._schema())

    def _run(self, sql: str, parameters: list[Value]) -> Outcome:
        before = self._schema()
        rows, changed = self._execute(sql, parameters, WRITING)
        after = self._schema()
        try:
            if before != after:
                self._note_schema(before, after)
            self._note_rows()
        except ERRORS as error:
            raise _judged(error, str(error)) from None
        return Outcome(rows, max(changed, 0))

    # -- a part -------------------------------------------------------------------------------

    @property
    def kinds(self) -> tuple[Any, ...]:
        """Its tables say themselves what is in them."""
        return ()

    def open(self, name: str, state: State) -> None:
        """Build the database that `state` has."""
        self._prefix, self._state = prefix_of(b"q", name), state
        self._close()
        self._db = self._connected()
        schema: list[tuple[int, Entry]] = []
        rows: list[tuple[str, int, list[Value]]] = []
        start = len(self._prefix)
        for key, value in state.items():
            if key.startswith(self._prefix + SCHEMA):
                number, *entry = _entry.decode(value)
                schema.append((number, tuple(entry)))
            elif key.startswith(self._prefix + ROW):
                table, rowid = _place.decode(key[start + 1 :])
                rows.append((table, rowid, _row.decode(value)))
        self._rebuild(schema, rows)

    def flush(self) -> None:
        """Raises the `SqlError` of a statement that failed."""
        if self._failed is not None:
            raise self._failed

    def undo(self) -> None:
        """The database as before the command."""
        self._failed = None
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def settle(self) -> None:
        """The command has taken effect."""
        if self._db.in_transaction:
            self._db.execute("COMMIT")

    # -- SQLite -------------------------------------------------------------------------------

    def _connected(self) -> sqlite3.Connection:
        """No statement is cached: one that was used before would count its steps from elsewhere."""
        db = sqlite3.connect(
            ":memory:", isolation_level=None, check_same_thread=False, cached_statements=0
        )
        db.execute("PRAGMA recursive_triggers = ON")  # so that REPLACE is noted, too
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA trusted_schema = ON")  # our functions in views; `Rules` judges them
        db.execute(f"CREATE TEMP TABLE {OWN} (name TEXT, number INTEGER)")
        self._rules = Rules(OWN, [name for (name,) in db.execute("PRAGMA module_list")])
        self._charged = Charged(db, self._charge, self._rules.refuse)
        for limit, value in LIMITS.items():
            db.setlimit(limit, value)
        return db

    def _charge(self, steps: int) -> None:
        self._steps += steps
        if self._steps > self._budget.steps:
            raise ValueError("it takes too long")

    def _progress(self) -> int:
        self._steps += STEP
        return self._steps > self._budget.steps

    def _execute(
        self, sql: str, parameters: list[Value], allowed: frozenset[int]
    ) -> tuple[Rows, int]:
        """The rows, and how many changed."""
        reason = refused(sql) or refused_values(parameters)
        if reason is not None:
            raise SqlError(reason)
        self._count_copies(sql)
        if allowed is not READING and not self._db.in_transaction:
            self._db.execute("BEGIN")
        for budget in BUDGETS:
            found = self._within(budget, sql, parameters, allowed)
            if found is not None:
                return found
        raise SqlError(f"a value or a row is too large: more than {BUDGETS[-1].value_bytes} bytes")

    def _within(
        self, budget: Budget, sql: str, parameters: list[Value], allowed: frozenset[int]
    ) -> tuple[Rows, int] | None:
        """None where a value is too large for this budget; nothing has changed then."""
        rules, db = self._rules, self._db
        writing = allowed is not READING
        if writing:
            db.execute(f"SAVEPOINT {OWN}")
        rules.begin(allowed)
        self._steps, self._budget = 0, budget
        usual = db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, budget.value_bytes)
        db.set_authorizer(rules)
        db.set_progress_handler(self._progress, STEP)
        try:
            cursor = db.execute(sql, parameters)
            found = _bounded(cursor), cursor.rowcount
        except ERRORS as error:
            large = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_TOOBIG
            text = "it takes too long" if self._steps > budget.steps else str(error)
            if not large:
                raise _judged(error, rules.reason or text) from None
            found = None
        finally:
            db.set_progress_handler(None, 0)
            db.set_authorizer(None)
            db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, usual)
            self._budget = NO_LIMIT
        if writing and found is None:
            db.execute(f"ROLLBACK TO {OWN}")
        if writing:
            db.execute(f"RELEASE {OWN}")
        return found

    def _count_copies(self, sql: str) -> None:
        found = self._db.execute("SELECT lower(name), sql FROM sqlite_schema WHERE type = 'view'")
        if expansions(sql, dict(found.fetchall())) > MAX_EXPANSIONS:
            raise SqlError("views or common table expressions in each other make it too large")

    def _schema(self) -> list[Entry]:
        columns = "type, name, tbl_name, sql"
        found = self._db.execute(
            f"SELECT {columns} FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid"
        )
        return [tuple(each) for each in found]

    def _columns(self, table: str) -> list[str]:
        found = self._db.execute("SELECT name FROM pragma_table_info(?)", (table,))
        return [name for (name,) in found]

    # -- what goes into the state -------------------------------------------------------------

    def _note_schema(self, before: list[Entry], after: list[Entry]) -> None:
        self._judge_schema(after)
        gone = {each[1] for each in before if each not in after and each[0] == "table"}
        for table in gone:
            self._ignore(table)
        for table in (each[1] for each in after if each not in before and each[0] == "table"):
            self._watch(table)
            self._db.execute(f"INSERT INTO {OWN} SELECT ?, rowid FROM {_quoted(table)}", (table,))
        state = self._state
        if state is None:
            return
        start = len(self._prefix)
        for key, _ in list(state.items()) if gone else []:
            if key.startswith(self._prefix + ROW) and _place.decode(key[start + 1 :])[0] in gone:
                state.delete(key)
        old, new = (
            {_encode(each[:2]): _encode((number, *each)) for number, each in enumerate(schema)}
            for schema in (before, after)
        )
        for key in old.keys() - new.keys():
            state.delete(self._prefix + SCHEMA + key)
        for key, value in new.items():
            if old.get(key) != value:
                state.put(self._prefix + SCHEMA + key, value)

    def _judge_schema(self, schema: list[Entry]) -> None:
        """Raises `SqlError` for one that is too large."""
        if len(schema) > MAX_ENTRIES or sum(len(each[3]) for each in schema) > MAX_SCHEMA_BYTES:
            raise SqlError(
                f"there may be {MAX_ENTRIES} tables, indexes and views, and {MAX_SCHEMA_BYTES}"
                " characters of statements that made them"
            )
        for kind, _, _, sql in schema:
            if kind == "view":
                self._count_copies(sql)

    def _ignore(self, table: str) -> None:
        for event in EVENTS:
            trigger = _quoted(f"{OWN}_{event}_{table}")
            self._db.execute(f"DROP TRIGGER IF EXISTS temp.{trigger}")

    def _watch(self, table: str) -> None:
        """Triggers that note the rows of a table that change.

        A row may be noted twice: under an outer `OR FAIL`, an `OR IGNORE` in here is one as well.
        """
        self._judge(table)
        last = f"SELECT raise(ABORT, 'the last rowid is used') WHERE NEW.rowid = {LAST_ROWID};"
        for event, rows in EVENTS.items():
            notes = "".join(
                f"INSERT INTO {OWN} VALUES ({_text(table)}, {row}.rowid);" for row in rows
            )
            trigger = _quoted(f"{OWN}_{event}_{table}")
            self._db.execute(
                f"CREATE TEMP TRIGGER {trigger} AFTER {event} ON main.{_quoted(table)}"
                f" BEGIN {'' if event == 'DELETE' else last} {notes} END"
            )

    def _judge(self, table: str) -> None:
        """Raises `SqlError` for a table that cannot be replicated."""
        if table == "sqlite_sequence":
            raise SqlError("AUTOINCREMENT keeps a counter of its own: leave it out")
        columns = {each.lower() for each in self._columns(table)}
        if columns & {"rowid", "oid", "_rowid_"}:
            raise SqlError("a column cannot be called rowid, oid or _rowid_: rows are known by it")
        try:
            self._db.execute(f"SELECT rowid FROM {_quoted(table)} LIMIT 0")
        except sqlite3.Error:
            raise SqlError("WITHOUT ROWID leaves nothing to know a row by: leave it out") from None
        (text,) = self._db.execute(
            "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?", (table,)
        ).fetchone()
        reason = refused_table(text)
        if reason is not None:
            raise SqlError(reason)
        found = self._db.execute("SELECT dflt_value FROM pragma_table_info(?)", (table,))
        for (default,) in found.fetchall():
            if default is not None:
                self._execute(f"SELECT {default}", [], READING)  # no clock, no random numbers

    def _note_rows(self) -> None:
        places = self._db.execute(
            f"SELECT DISTINCT name, number FROM {OWN} ORDER BY name, number"
        ).fetchall()
        if places:
            self._db.execute(f"DELETE FROM {OWN}")
        state = self._state
        if state is None:
            return
        for table, rowid in places:
            key = self._prefix + ROW + _encode((table, rowid))
            columns = ", ".join(_quoted(each) for each in self._columns(table))
            found = (
                columns
                and self._db.execute(
                    f"SELECT {columns} FROM {_quoted(table)} WHERE rowid = ?", (rowid,)
                ).fetchone()
            )
            if found:
                state.put(key, _encode(found))
            else:
                state.delete(key)

    def _rebuild(
        self, schema: list[tuple[int, Entry]], rows: list[tuple[str, int, list[Value]]]
    ) -> None:
        db = self._db
        db.execute("PRAGMA foreign_keys = OFF")
        db.execute("BEGIN")
        for _, (_, _, _, sql) in sorted(schema):  # in the order of before, which is a part of it
            db.execute(sql)
        for table, rowid, values in rows:
            columns = ["rowid", *self._columns(table)[: len(values)]]
            names = ", ".join(_quoted(each) for each in columns)
            marks = ", ".join("?" * len(columns))
            db.execute(f"INSERT INTO {_quoted(table)} ({names}) VALUES ({marks})", (rowid, *values))
        for _, (kind, name, _, _) in schema:
            if kind == "table":
                self._watch(name)
        db.execute("COMMIT")
        db.execute("PRAGMA foreign_keys = ON")


def _judged(error: Exception, text: str) -> Exception:
    """What the statement is to blame for, or this replica's machine alone."""
    code = getattr(error, "sqlite_errorcode", None) or 0
    if isinstance(error, MemoryError) or code & 0xFF in LOCAL_FAULTS:
        return HaltError(f"SQLite has failed at this replica alone ({error}): start it again")
    return SqlError(text)


def _bounded(cursor: sqlite3.Cursor) -> Rows:
    rows: Rows = []
    size = 0
    for row in cursor:
        rows.append(list(row))
        size += sum(len(each) if isinstance(each, str | bytes) else 9 for each in row)
        if len(rows) > MAX_ROWS or size > MAX_RESULT_BYTES:
            raise ValueError("the result is too large: ask with a LIMIT")
    return rows


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"


_encode = msgspec.msgpack.Encoder().encode
_place = msgspec.msgpack.Decoder(tuple[str, int])
_row: msgspec.msgpack.Decoder[list[Any]] = msgspec.msgpack.Decoder(list[Any])
_entry = msgspec.msgpack.Decoder(tuple[int, str, str, str, str])
