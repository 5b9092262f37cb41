"""Statements that would differ between replicas, or cost without an end: each is refused, changes
nothing, and a replica that is built anew from the rows agrees with one that was there all along."""

import sqlite3
import time

import pytest

from pbft.core.errors import HaltError, RejectedError
from pbft.services.databases import Database
from pbft.services.sql_costs import MAX_EXPANSIONS, Budget, expansions, tokens
from pbft.services.sql_tables import SqlError, SqlTables
from pbft.typed.methods import command
from tests.services.test_batteries import FOREVER, database, sql
from tests.typed.host import Host, moved

AAA = "replace(hex(zeroblob(60000)), '0', 'a')"
CASCADE = "WITH c0(x) AS (SELECT 1), " + ", ".join(
    f"c{n} AS (SELECT x FROM c{n - 1} UNION ALL SELECT x FROM c{n - 1})" for n in range(1, 40)
)


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("SELECT * FROM dbstat", "tells of one replica"),
        ("SELECT count(*) FROM sqlite_stmt", "tells of one replica"),
        ("INSERT INTO people (age) SELECT count(*) FROM dbstat", "tells of one replica"),
        ("SELECT rootpage FROM sqlite_schema", "ask for `schema"),
        ("CREATE TABLE t AS SELECT rowid AS r FROM [sqlite_master]", "ask for `schema"),
        ("CREATE VIEW v AS SELECT name FROM Sqlite_Temp_Master", "ask for `schema"),
        ("SELECT * FROM pragma_table_info('people')", "PRAGMA"),
        ("/* x */ ; -- y\n EXPLAIN SELECT 1", "EXPLAIN"),
        ("explain query plan SELECT * FROM people", "EXPLAIN"),
        ("WITH x AS (SELECT count(*) AS c FROM pbft_changed) SELECT c FROM x", "own"),
        ("INSERT INTO pbft_changed VALUES ('people', 1)", "own"),
        ("WITH x AS (SELECT 1) DELETE FROM temp.pbft_changed", "own"),
        ("VACUUM", "VACUUM"),
        ("ANALYZE", "ANALYZE"),
        ("CREATE TABLE t (x CHECK (x < random()))", "random"),
        ("CREATE TABLE t (x, y GENERATED ALWAYS AS (changes()))", "changes"),
        ("CREATE INDEX i ON people (age + total_changes())", "total_changes"),
        ("CREATE INDEX i ON people (age) WHERE age < julianday()", "julianday"),
        ("CREATE TABLE t (x REFERENCES people DEFERRABLE INITIALLY DEFERRED)", "DEFERRED"),
        ("INSERT INTO people (name) VALUES (CAST(x'ff' AS TEXT))", "decode"),
        ("SELECT sqlite_version()", "sqlite_version"),
        ("SELECT readfile('secret')", "readfile"),
        ("SELECT zeroblob(900000000)", "too large"),
        ("SELECT length(hex(zeroblob(400000000)))", "too large"),
        ("SELECT length(printf('%900000000d', 1))", "too long"),
        ("SELECT length(printf('%300000d', 1))", "too l"),
        ("SELECT length(format('%.*c', 900000000, 'x'))", "width of"),
        (f"SELECT replace({AAA}, 'a', {AAA})", "too big"),
        (f"SELECT instr({AAA} || {AAA}, {AAA} || 'b')", "too long"),
        (f"SELECT {AAA} LIKE '%' || replace(hex(zeroblob(200)), '00', 'a%') || 'b'", "too long"),
        (f"SELECT rtrim({AAA}, {AAA} || 'b')", "too long"),
        ("SELECT 'a' LIKE 'b' ESCAPE 'xx'", "single character"),
        (f"{FOREVER} SELECT group_concat(x) FROM c", "too l"),
        (f"{FOREVER} SELECT count(*) FROM (SELECT DISTINCT x FROM c)", "too long"),
        (f"{FOREVER} INSERT INTO people (age) SELECT x FROM c", "too long"),
        (f"{FOREVER} SELECT count(*) FROM (SELECT zeroblob(200000) FROM c ORDER BY 1)", "too long"),
        (f"{CASCADE} SELECT x FROM c39 LIMIT 1", "in each other"),
        ("SELECT " + "(" * 250 + "1" + ")" * 250, "depth|overflow"),
        ("SELECT 1" + ", 1" * 600, "too many columns"),
        ("SELECT 1" + " UNION ALL SELECT 1" * 200, "too many terms"),
        ("SELECT '" + "x" * 70_000 + "'", "too large"),
    ],
)  # fmt: skip
def test_it_is_refused_at_once_and_changes_nothing(statement: str, reason: str) -> None:
    host = database()
    before = host.digest
    began = time.process_time()
    with pytest.raises(SqlError, match=reason):
        sql(host, statement)
    assert time.process_time() - began < 5
    assert host.digest == before
    other = moved(host, Database())
    for each in (host, other):
        sql(each, "INSERT INTO people (name) VALUES ('Di')")
    assert host.digest == other.digest


def test_what_is_ordinary_is_not_refused() -> None:
    host = database()
    sql(
        host,
        "CREATE VIEW long AS SELECT * FROM people WHERE name LIKE 'a%' OR trim(name) GLOB 'B*'",
    )
    sql(host, "CREATE TABLE t (x TEXT CHECK (instr(x, ' ') = 0), y AS (replace(x, 'a', 'b')))")
    sql(host, "CREATE INDEX i ON t (printf('%s!', y)) WHERE x LIKE '%c%'")
    sql(host, "INSERT INTO t VALUES (?)", "abc" * 5_000)
    other = moved(host, Database())
    for each in (host, other):
        assert sql(each, "SELECT name FROM long ORDER BY name") == [["Ann"], ["Bob"]]
        assert sql(each, "SELECT length(y), typeof(format('%d', 3)) FROM t") == [[15_000, "text"]]
        with pytest.raises(SqlError, match="CHECK"):
            sql(each, "INSERT INTO t VALUES ('a b')")
        assert sql(each, "SELECT value FROM json_each('[1, 2]')") == [[1], [2]]
        assert sql(each, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 999)"
                         " SELECT sum(x) FROM c") == [[499_500]]  # fmt: skip
    assert host.ask(Database.schema) == other.ask(Database.schema)
    assert len(host.ask(Database.schema)) == 4


@pytest.mark.parametrize("conflict", ["ABORT", "FAIL", "IGNORE", "REPLACE", "ROLLBACK"])
def test_every_conflict_clause_notes_what_it_does(conflict: str) -> None:
    host = database()
    sql(host, f"UPDATE OR {conflict} people SET age = age + 1")
    sql(host, f"INSERT OR {conflict} INTO people (name) VALUES ('Di'), ('Ed')")
    if conflict in ("IGNORE", "REPLACE"):
        sql(host, f"INSERT OR {conflict} INTO people (name) VALUES ('Fay'), ('Ann'), ('Gus')")
    else:
        with pytest.raises(SqlError, match="UNIQUE"):
            sql(host, f"INSERT OR {conflict} INTO people (name) VALUES ('Fay'), ('Ann')")
    everything = "SELECT * FROM people ORDER BY id"
    assert moved(host, Database()).ask(Database.select, everything) == sql(host, everything)


def test_a_command_whose_statement_failed_fails_even_if_it_goes_on() -> None:
    class Service:
        def __init__(self) -> None:
            self.tables = SqlTables()

        @command
        def go(self, statements: list[str]) -> int:
            failed = 0
            for each in statements:
                try:
                    self.tables.run(each)
                except SqlError:
                    failed += 1
            return failed

    host = Host(Service())
    assert host.call(Service.go, ["CREATE TABLE t (x UNIQUE)", "INSERT INTO t VALUES (1)"]) == 0
    for bad in (
        "INSERT OR ROLLBACK INTO t VALUES (1)",
        "INSERT OR FAIL INTO t VALUES (7), (1)",
        f"{FOREVER} INSERT INTO t SELECT x + 100 FROM c",
    ):
        before = host.digest
        with pytest.raises(RejectedError, match=r"UNIQUE|too long"):
            host.call(Service.go, ["INSERT INTO t VALUES (2)", bad, "INSERT INTO t VALUES (3)"])
        assert host.digest == before
        assert host.call(Service.go, ["SELECT * FROM t", "DELETE FROM t WHERE x > 1"]) == 0
        assert host.digest == before


def test_the_same_steps_are_counted_whatever_was_asked_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A statement at the limit once passed at one replica and not at another."""
    monkeypatch.setattr("pbft.services.sql_tables.BUDGETS", (Budget(1024, 10_000),))
    numbers = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT ?)"
    counting = f"{numbers} SELECT max(x) FROM c"

    def passes(host: Host, rows: int) -> bool:
        try:
            sql(host, counting, rows)
        except SqlError:
            return False
        return True

    low, high = 1, 10_000
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if passes(Host(Database()), middle) else (low, middle)
    used = Host(Database())
    for rows in range(1, 60):
        assert passes(used, rows)
    assert passes(used, low)
    assert not passes(used, low + 1)


def test_a_large_database_is_built_anew_also_after_a_statement_that_took_too_long() -> None:
    host = Host(Database())
    sql(host, "CREATE TABLE t (x CHECK (x LIKE '%'))")
    sql(host, f"{FOREVER} INSERT INTO t SELECT x FROM c LIMIT 4000")
    with pytest.raises(SqlError, match="too long"):
        sql(host, f"{FOREVER} SELECT max(x) FROM c")
    host.machine.install(host.freeze())
    writes = 0
    put = host.hosted._state.put

    def counting(key: bytes, value: bytes) -> bytes | None:
        nonlocal writes
        writes += 1
        return put(key, value)

    host.target.tables._state = type("Counted", (), {"put": staticmethod(counting)})()  # type: ignore[attr-defined]
    sql(host, "INSERT INTO t VALUES (1)")
    assert writes == 1


@pytest.mark.parametrize("value", [2**63, [1], {"a": 1}])
def test_values_that_sqlite_does_not_have(value: object) -> None:
    with pytest.raises(SqlError, match=r"64 bits|a value is"):
        sql(database(), "SELECT ?", value)
    with pytest.raises(SqlError, match="NUL"):
        sql(database(), "SELECT 1\0")


@pytest.mark.parametrize("failing", ["SELECT count(*) FROM people", "DELETE FROM people"])
def test_a_replica_whose_machine_fails_stops_and_refuses_nothing(
    failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No room at one replica must not become an answer that the others do not give."""
    host = database()
    for error in (sqlite3.OperationalError("disk I/O error"), MemoryError()):
        if isinstance(error, sqlite3.Error):
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR | 10 << 8

        def fail(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr("pbft.services.sql_tables._bounded", fail)
        with pytest.raises(HaltError, match="this replica alone"):
            sql(host, failing)


def test_the_order_of_the_schema_survives() -> None:
    host = database()
    for make in ("CREATE INDEX i ON people (age)", "CREATE TABLE t (x)", "CREATE INDEX j ON t (x)"):
        sql(host, make)
    other = moved(host, Database())
    for each in (host, other):
        sql(each, "CREATE VIEW v AS SELECT x FROM t")
        sql(each, "DROP INDEX i")
    assert host.digest == other.digest


def test_the_schema_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pbft.services.sql_tables.MAX_ENTRIES", 3)
    host = Host(Database())
    host.call(Database.run_all, [(f"CREATE TABLE t{n} (x)", []) for n in range(3)])
    with pytest.raises(SqlError, match="there may be"):
        sql(host, "CREATE TABLE more (x)")


def test_views_in_views_are_counted_in_whatever_order_they_are_made() -> None:
    host = Host(Database())
    sql(host, "CREATE VIEW v0 AS SELECT 1 AS x")
    refused = 0
    for number in (*range(2, 30), 1):
        before = f"SELECT x FROM v{number - 1}"
        try:
            sql(host, f"CREATE VIEW v{number} AS {before} UNION {before}")
        except SqlError:
            refused += 1
    assert refused >= 1
    with pytest.raises(SqlError, match="no such table"):
        sql(host, "SELECT x FROM v29")
    assert sql(host, "SELECT x FROM v0") == [[1]]


def test_words_of_a_statement() -> None:
    assert tokens("SELECT 'it''s' -- AS (\n FROM \"T\" /* x") == [
        "select",
        "'it''s'",
        "from",
        '"t"',
    ]
    twice = "WITH [a b](x) AS NOT MATERIALIZED (SELECT 1) SELECT * FROM \"A B\", 'a b', `a b`"
    assert expansions(twice, {}) == 3
    assert expansions("SELECT * FROM v, V", {"v": "CREATE VIEW v AS SELECT 1 FROM v"}) == 3
    assert expansions("SELECT 1", {}) == 1 <= MAX_EXPANSIONS
