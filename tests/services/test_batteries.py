"""The ready services, each by itself: what they promise, and what they refuse."""

import pytest

from pbft import ServiceError
from pbft.services.configuration import ChangedError, Configuration, Setting
from pbft.services.counters import Counters
from pbft.services.databases import Database
from pbft.services.elections import Elections, NotLeaderError
from pbft.services.locks import HeldError, Locks, LostError
from pbft.services.maps import ConflictError, Entry, Maps
from pbft.services.queues import NotTakenError, Queues
from pbft.services.sql_tables import SqlError
from tests.typed.host import Host, moved

SECOND = 1_000_000_000
FOREVER = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"


def test_counters_count_by_name() -> None:
    host = Host(Counters())
    assert [host.call(Counters.add, "a"), host.call(Counters.add, "a", 4)] == [1, 5]
    assert host.call(Counters.add, "b", -2) == -2
    assert host.call(Counters.reset, "a") == 5
    assert (host.ask(Counters.value, "a"), host.ask(Counters.value, "none")) == (0, 0)


def test_a_map_swaps_only_what_was_expected() -> None:
    host = Host(Maps())
    assert host.call(Maps.put, "k", b"1", 0) == 1
    for expected, version in ((0, 1), (2, 1)):
        with pytest.raises(ConflictError) as caught:
            host.call(Maps.put, "k", b"2", expected)
        assert caught.value.args == ("k", version)
    assert host.call(Maps.put, "k", b"2", 1) == 2
    assert host.call(Maps.put, "j", b"x") == 1
    assert host.ask(Maps.scan, "", None, 1) == [("j", Entry(b"x", 1))]
    assert host.ask(Maps.get, "k") == Entry(b"2", 2)
    assert host.call(Maps.delete, "k", 2)
    assert not host.call(Maps.delete, "k")
    assert host.ask(Maps.size) == 1


def test_a_lock_is_held_by_one_until_its_lease_is_over() -> None:
    host = Host(Locks())
    first = host.call(Locks.acquire, "l", 10.0, client="ann")
    with pytest.raises(HeldError) as caught:
        host.call(Locks.acquire, "l", 10.0, client="bob")
    assert caught.value.args[:2] == ("l", "ann")
    again = host.call(Locks.acquire, "l", 20.0, client="ann")
    assert (again.token, again.until > first.until) == (first.token, True)
    host.sequence += 30 * SECOND // 1000
    second = host.call(Locks.acquire, "l", 10.0, client="bob")
    assert second.token > first.token
    for call in (Locks.renew, Locks.release):
        with pytest.raises(LostError):
            host.call(call, "l", first.token, client="ann")
    with pytest.raises(LostError):
        host.call(Locks.release, "l", second.token, client="ann")
    host.call(Locks.release, "l", second.token, client="bob")
    assert host.call(Locks.acquire, "l", client="ann").token > second.token
    with pytest.raises(ValueError, match="more than 0"):
        host.call(Locks.acquire, "m", -1.0)


def test_there_is_one_leader_per_term_and_terms_are_numbered() -> None:
    host = Host(Elections())
    ann = host.call(Elections.campaign, "e", client="ann")
    assert host.call(Elections.campaign, "e", client="bob") == ann
    longer = host.call(Elections.campaign, "e", 60.0, client="ann")
    assert (longer.number, longer.until > ann.until) == (ann.number, True)
    with pytest.raises(NotLeaderError):
        host.call(Elections.resign, "e", ann.number, client="bob")
    host.call(Elections.resign, "e", ann.number, client="ann")
    bob = host.call(Elections.campaign, "e", client="bob")
    assert (bob.leader, bob.number) == ("bob", ann.number + 1)
    host.sequence += 60 * SECOND // 1000
    assert host.call(Elections.campaign, "e", client="bob").number == bob.number + 1


def test_an_item_is_had_by_one_and_comes_again_where_it_is_not_done() -> None:
    host = Host(Queues())
    for value in (b"1", b"2"):
        host.call(Queues.push, "q", value)
    host.call(Queues.push, "q0", b"other")
    one = host.call(Queues.take, "q", 10.0, client="ann")
    two = host.call(Queues.take, "q", 10.0, client="bob")
    assert (one.value, two.value) == (b"1", b"2")
    assert host.call(Queues.take, "q", 10.0, client="bob") is None
    with pytest.raises(NotTakenError):
        host.call(Queues.done, "q", one.number, client="bob")
    host.call(Queues.done, "q", two.number, client="bob")
    host.sequence += 30 * SECOND // 1000
    again = host.call(Queues.take, "q", 10.0, client="bob")
    assert (again.number, again.tries) == (one.number, 2)
    with pytest.raises(NotTakenError):
        host.call(Queues.done, "q", one.number, client="ann")
    assert (host.ask(Queues.length, "q"), host.ask(Queues.length, "q0")) == (1, 1)


def test_a_queue_has_no_items_of_another_whatever_their_names() -> None:
    host = Host(Queues())
    for queue in ("a/b", "a0", "1:a", "a/0000000000000001"):
        host.call(Queues.push, queue, queue.encode())
    assert host.call(Queues.take, "a") is None
    assert host.ask(Queues.length, "a") == 0
    for queue in ("a/b", "a0", "1:a", "a/0000000000000001"):
        assert host.call(Queues.take, queue).value == queue.encode()


def test_settings_have_revisions_and_changes_are_events() -> None:
    host = Host(Configuration())
    assert host.call(Configuration.put, "a/x", "1") == Setting("a/x", "1", 1)
    host.call(Configuration.put, "b", "2")
    with pytest.raises(ChangedError) as caught:
        host.call(Configuration.put, "a/x", "3", 2)
    assert caught.value.args == ("a/x", 1)
    host.call(Configuration.put, "a/x", "3", 1)
    assert host.call(Configuration.delete, "nothing") is None
    assert host.call(Configuration.delete, "b") == Setting("b", None, 4)
    assert host.ask(Configuration.listed, "a/") == [Setting("a/x", "3", 3)]
    assert host.ask(Configuration.listed, "a/", "a/x") == []
    assert host.ask(Configuration.newest) == 4
    with pytest.raises(ValueError, match="at most"):
        host.call(Configuration.put, "big", "x" * 9000)


def sql(host: Host, text: str, *parameters: object) -> list[list[object]]:
    rows: list[list[object]] = host.call(Database.run, text, list(parameters)).rows
    return rows


def database() -> Host:
    host = Host(Database())
    sql(host, "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT UNIQUE, age INT DEFAULT 7)")
    for name in ("Ann", "Bob", "Cy"):
        sql(host, "INSERT INTO people (name) VALUES (?)", name)
    return host


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("INSERT INTO people (age) VALUES (random())", "random"),
        ("INSERT INTO people (name) VALUES (datetime('now'))", "datetime"),
        ("SELECT current_timestamp", "current_timestamp"),
        ("CREATE TABLE t (at TEXT DEFAULT CURRENT_TIMESTAMP)", "current_timestamp"),
        ("CREATE TABLE t (x DEFAULT (abs(random())))", "random"),
        ("SELECT last_insert_rowid()", "last_insert_rowid"),
        ("SELECT load_extension('x')", "load_extension"),
        ("ATTACH 'file' AS other", "outside the database"),
        ("PRAGMA foreign_keys = OFF", "changes one replica"),
        ("COMMIT", "transaction of its own"),
        ("CREATE TEMP TABLE t (x)", "belong to a connection"),
        ("CREATE VIRTUAL TABLE t USING fts5(x)", "virtual tables"),
        ("CREATE TRIGGER t AFTER INSERT ON people BEGIN SELECT 1; END", "triggers"),
        ("CREATE TABLE t (x INTEGER PRIMARY KEY) WITHOUT ROWID", "WITHOUT ROWID"),
        ("CREATE TABLE t (x INTEGER PRIMARY KEY AUTOINCREMENT)", "AUTOINCREMENT"),
        ("CREATE TABLE t (rowid INT)", "called rowid"),
        ("SELECT * FROM pbft_changed", "service's own"),
        ("DROP TRIGGER pbft_changed_INSERT_people", "belong to a connection|not allowed"),
        ("INSERT INTO people (id) VALUES (9223372036854775807)", "last rowid"),
        (f"{FOREVER} SELECT max(x) FROM c", "too long"),
        (f"{FOREVER} SELECT x FROM c", "too large"),
        ("SELECT zeroblob(300000)", "large"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("selec", "syntax error"),
        ("INSERT INTO people (name) VALUES ('Ann')", "UNIQUE"),
    ],
)  # fmt: skip
def test_what_is_not_deterministic_or_too_much_is_refused_and_changes_nothing(
    statement: str, reason: str
) -> None:
    host = database()
    before = host.digest
    with pytest.raises(SqlError, match=reason):
        sql(host, statement)
    assert host.digest == before
    assert host.ask(Database.select, "SELECT count(*) FROM people") == [[3]]
    sql(host, "INSERT INTO people (name) VALUES ('Di')")
    assert moved(host, Database()).ask(Database.select, "SELECT max(id) FROM people") == [[4]]


def test_a_database_built_from_the_rows_is_the_same_and_goes_on_alike() -> None:
    host = database()
    sql(host, "CREATE INDEX ages ON people (age)")
    sql(host, "CREATE VIEW old AS SELECT name FROM people WHERE age > 7")
    sql(host, "CREATE TABLE pets (owner INT REFERENCES people ON DELETE CASCADE, name)")
    sql(host, "INSERT INTO pets VALUES (2, ?), (3, ?)", b"\x00\xff", 1.5)
    sql(host, "INSERT OR REPLACE INTO people (name, age) VALUES ('Cy', 9)")
    sql(host, "DELETE FROM people WHERE name = 'Bob'")
    sql(host, "ALTER TABLE people ADD COLUMN town DEFAULT 'Here'")
    sql(host, "ALTER TABLE people RENAME TO folk")
    other = moved(host, Database())
    for question in ("SELECT * FROM folk ORDER BY id", "SELECT * FROM old", "SELECT * FROM pets"):
        assert other.ask(Database.select, question) == host.ask(Database.select, question)
    for each in (host, other):
        assert sql(each, "INSERT INTO folk (name) VALUES ('Ed') RETURNING id, town") == [
            [5, "Here"]
        ]
        sql(each, "DROP VIEW old")
        sql(each, "DROP INDEX ages")
        sql(each, "ALTER TABLE folk DROP COLUMN age")
    assert host.digest == other.digest


def test_several_statements_take_effect_together_or_not_at_all() -> None:
    host = database()
    before = host.digest
    insert = "INSERT INTO people (name) VALUES (?)"
    with pytest.raises(SqlError):
        host.call(Database.run_all, [(insert, ["Di"]), (insert, ["Ann"])])
    assert host.digest == before
    outcomes = host.call(Database.run_all, [(insert, ["Di"]), ("DELETE FROM people", [])])
    assert [each.changed for each in outcomes] == [1, 4]


def test_a_question_changes_nothing() -> None:
    host = database()
    with pytest.raises(SqlError, match="only a SELECT"):
        host.ask(Database.select, "DELETE FROM people")
    with pytest.raises(ServiceError, match="has to be ordered"):
        host.ask(Database.run, "DELETE FROM people")
