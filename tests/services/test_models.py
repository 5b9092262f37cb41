"""Each battery against a plain Python model, over generated operations; time moves on as a primary
pleases, within the bound, and every now and then a replica is built anew from the state."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pbft.core.errors import ApplicationError
from pbft.services.configuration import ChangedError, Configuration
from pbft.services.counters import Counters
from pbft.services.databases import Database
from pbft.services.elections import Elections, NotLeaderError
from pbft.services.locks import SECOND, HeldError, Locks, LostError
from pbft.services.maps import ConflictError, Maps
from pbft.services.queues import NotTakenError, Queues
from pbft.services.sql_tables import SqlError
from pbft.typed.methods import Method
from tests.typed.host import Host, moved

names = st.sampled_from(["a", "b"])
clients = st.sampled_from(["ann", "bob", "cy"])
seconds = st.sampled_from([0.5, 10.0, 90.0])
ahead = st.sampled_from([0, 0, 1, 15, 60, 120])
"""Seconds that the agreed time jumps: a Byzantine primary may bend it by up to a minute each way,
and it never goes back."""
few = settings(max_examples=40)


class Pair:
    """Two replicas that execute the same; the second is built anew from the first's state."""

    def __init__(self, kind: type) -> None:
        self.kind = kind
        self.one, self.other = Host(kind()), Host(kind())

    def call(self, method: Method[..., Any], *args: Any, client: str = "ann") -> Any:
        """The answer of both, an application's error among them."""
        answers = []
        for host in (self.one, self.other):
            try:
                answers.append(host.call(method, *args, client=client))
            except ApplicationError as error:
                answers.append((type(error), error.args))
        assert answers[0] == answers[1]
        assert self.one.digest == self.other.digest
        return answers[0]

    def wait(self, jump: int) -> None:
        self.one.sequence += jump * SECOND // 1000
        self.other.sequence = self.one.sequence

    @property
    def time(self) -> int:
        """Agreed, of the call that was last."""
        return 1000 * self.one.sequence

    def renew(self) -> None:
        self.other = moved(self.one, self.kind())


steps = st.tuples(names, clients, seconds, ahead, st.integers(0, 6), st.booleans())


@few
@given(st.lists(st.tuples(names, st.integers(-5, 5), st.integers(0, 5)), max_size=25))
def test_counters(todo: list[tuple[str, int, int]]) -> None:
    pair, model = Pair(Counters), dict[str, int]()
    for name, amount, what in todo:
        if what == 0:
            assert pair.call(Counters.reset, name) == model.pop(name, 0)
        elif what == 1:
            pair.renew()
        else:
            model[name] = model.get(name, 0) + amount
            assert pair.call(Counters.add, name, amount) == model[name]
        assert pair.one.ask(Counters.value, name) == model.get(name, 0)


@few
@given(st.lists(st.tuples(names, st.integers(-1, 3), st.integers(0, 4)), max_size=30))
def test_maps(todo: list[tuple[str, int, int]]) -> None:
    pair, model = Pair(Maps), dict[str, tuple[bytes, int]]()
    for number, (name, version, what) in enumerate(todo):
        expected = None if version < 0 else version
        has = model.get(name, (b"", 0))[1]
        conflict = (ConflictError, (name, has)) if expected not in (None, has) else None
        if what == 0:
            told = pair.call(Maps.delete, name, expected)
            assert told == (conflict or name in model)
            if not conflict:
                model.pop(name, None)
        elif what == 1:
            pair.renew()
        else:
            value = b"%d" % number
            assert pair.call(Maps.put, name, value, expected) == (conflict or has + 1)
            if not conflict:
                model[name] = (value, has + 1)
        found = pair.one.ask(Maps.scan)
        assert [(key, (each.value, each.version)) for key, each in found] == sorted(model.items())


@few
@given(st.lists(steps, max_size=40))
def test_locks_are_held_by_one_and_tokens_rise(todo: Sequence[Any]) -> None:
    pair = Pair(Locks)
    leases: dict[str, tuple[str, int, int]] = {}
    newest = 0
    for name, client, length, jump, what, anew in todo:
        pair.wait(jump)
        if anew:
            pair.renew()
        holder, token, until = leases.get(name, ("", 0, 0))
        now = pair.time + 1000
        held = now < until
        if what < 3:
            told = pair.call(Locks.acquire, name, length, client=client)
            if held and holder != client:
                assert told == (HeldError, (name, holder, (until - now) / SECOND))
                continue
            assert (told.holder, told.until) == (client, now + round(length * SECOND))
            if held:
                assert told.token == token
            else:
                assert told.token > newest  # the fencing token of every new lease is new
                newest = told.token
            leases[name] = (client, told.token, told.until)
        elif what < 5:
            told = pair.call(Locks.renew, name, token, length, client=client)
            if not held or holder != client:
                assert told == (LostError, (name,))
                continue
            leases[name] = (client, token, told.until)
        else:
            told = pair.call(Locks.release, name, token, client=client)
            assert told == (None if held and holder == client else (LostError, (name,)))
            if told is None:
                del leases[name]


@few
@given(st.lists(steps, max_size=40))
def test_elections_have_one_leader_and_numbered_terms(todo: Sequence[Any]) -> None:
    pair = Pair(Elections)
    terms: dict[str, tuple[str, int, int]] = {}
    for name, client, length, jump, what, anew in todo:
        pair.wait(jump)
        if anew:
            pair.renew()
        leader, number, until = terms.get(name, ("", 0, 0))
        now = pair.time + 1000
        if what < 5:
            term = pair.call(Elections.campaign, name, length, client=client)
            if now < until and leader != client:
                assert (term.leader, term.number, term.until) == (leader, number, until)
                continue
            assert (term.leader, term.until) == (client, now + round(length * SECOND))
            assert term.number == (number if now < until else number + 1)
            terms[name] = (client, term.number, term.until)
        else:
            told = pair.call(Elections.resign, name, number, client=client)
            if number and leader == client:
                assert told is None
                terms[name] = (leader, number, now)
            else:
                assert told == (NotLeaderError, (name, number))


@few
@given(st.lists(steps, max_size=50))
def test_a_queue_gives_each_item_to_one_at_a_time_and_drops_none(todo: Sequence[Any]) -> None:
    pair = Pair(Queues)
    items: dict[str, dict[int, tuple[bytes, str, int, int]]] = {"a": {}, "b": {}}
    pushed, done = 0, 0
    for name, client, length, jump, what, anew in todo:
        pair.wait(jump if what != 3 else 0)
        if anew:
            pair.renew()
        now = pair.time + 1000
        queue = items[name]
        if what < 3:
            value = b"%d" % pushed
            number = pair.call(Queues.push, name, value)
            assert number not in queue
            assert number == max(queue, default=number - 1) + 1
            queue[number], pushed = (value, "", 0, 0), pushed + 1
        elif what < 5:
            free = [number for number, each in queue.items() if now >= each[2]]
            item = pair.call(Queues.take, name, length, client=client)
            if not free:
                assert item is None
                continue
            value, _, _, tries = queue[min(free)]
            assert (item.number, item.value, item.tries) == (min(free), value, tries + 1)
            queue[item.number] = (value, client, item.until, item.tries)
        else:
            for number in list(queue) or [77]:
                value, holder, until, _ = queue.get(number, (b"", "", 0, 0))
                mine = holder == client and pair.time + 1000 < until
                told = pair.call(Queues.done, name, number, client=client)
                assert told == (None if mine else (NotTakenError, (name, number)))
                if mine:
                    del queue[number]
                    done += 1
        assert sum(pair.one.ask(Queues.length, each) for each in items) == pushed - done


@few
@given(
    st.lists(st.tuples(names, st.integers(-1, 4), st.integers(0, 5)), max_size=30),
    st.integers(0, 10),
)
def test_a_watch_is_complete_from_wherever_it_is_taken_up(
    todo: list[tuple[str, int, int]], taken_up: int
) -> None:
    pair, model = Pair(Configuration), dict[str, tuple[str, int]]()
    history: list[tuple[str, str | None, int]] = []
    for number, (key, revision, what) in enumerate(todo):
        expected = None if revision < 0 else revision
        has = model.get(key, ("", 0))[1]
        if what == 1:
            pair.renew()
            continue
        value = None if what == 0 else str(number)
        told = (
            pair.call(Configuration.delete, key, expected)
            if value is None
            else pair.call(Configuration.put, key, value, expected)
        )
        if value is None and key not in model and not expected:
            assert told is None
        elif expected not in (None, has):
            assert told == (ChangedError, (key, has))
        else:
            assert (told.key, told.value, told.revision) == (key, value, len(history) + 1)
            history.append((key, value, told.revision))
            if value is None:
                del model[key]
            else:
                model[key] = (value, told.revision)
    for host in (pair.one, pair.other):
        assert host.ask(Configuration.newest) == len(history)
        page = host.events(after=taken_up)
        assert [tuple(each.value) for each in page] == history[taken_up:]
        assert [each.number for each in page] == list(range(taken_up + 1, len(history) + 1))


values = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=8),
    st.binary(max_size=8),
)
clauses = st.sampled_from(
    ["", "OR IGNORE ", "OR REPLACE ", "OR FAIL ", "OR ABORT ", "OR ROLLBACK "]
)
SCHEMA = (
    "CREATE INDEX i ON t (b) WHERE b > 3",
    "CREATE UNIQUE INDEX u ON t (c)",
    "CREATE VIEW v AS SELECT a, count(*) AS n FROM t GROUP BY a",
    "ALTER TABLE t ADD COLUMN d REAL DEFAULT 1.5",
    "ALTER TABLE t DROP COLUMN d",
    "ALTER TABLE t RENAME COLUMN b TO bb",
    "ALTER TABLE t RENAME COLUMN bb TO b",
    "ALTER TABLE t RENAME TO s",
    "ALTER TABLE s RENAME TO t",
    "CREATE TABLE copy AS SELECT * FROM t",
    "DROP TABLE copy",
    "DROP TABLE parent",
    "DROP VIEW v",
    "DROP INDEX i",
)


@st.composite
def statements(draw: st.DrawFn) -> tuple[str, list[Any]]:
    """Statements that meet: conflicts, cascades, changes of the schema."""
    clause = draw(clauses)
    match draw(st.integers(0, 8)):
        case 0:
            return draw(st.sampled_from(SCHEMA)), []
        case 1:
            return f"INSERT {clause}INTO parent (id) VALUES (?)", [draw(st.integers(1, 4))]
        case 2:
            return "DELETE FROM parent WHERE id = ?", [draw(st.integers(1, 4))]
        case 3:
            return f"UPDATE {clause}t SET a = a + 1, c = ?", [draw(values)]
        case 4:
            return "DELETE FROM t WHERE b < ?", [draw(values)]
        case 5:
            return f"INSERT {clause}INTO t (b, c, p) SELECT b, a, p FROM t", []
        case 6:
            upsert = "ON CONFLICT (a) DO UPDATE SET b = excluded.b RETURNING *"
            return f"INSERT INTO t (a, b) VALUES (?, ?) {upsert}", [1, draw(values)]
        case _:
            row = [draw(values), draw(values), draw(st.integers(1, 4))]
            return f"INSERT {clause}INTO t (b, c, p) VALUES (?, ?, ?)", row


@settings(max_examples=60)
@given(st.lists(st.tuples(statements(), st.booleans()), max_size=25))
def test_a_database_has_the_same_rows_however_it_came_to_them(todo: Sequence[Any]) -> None:
    pair = Pair(Database)
    pair.call(Database.run, "CREATE TABLE parent (id INTEGER PRIMARY KEY)")
    pair.call(
        Database.run,
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b NUMERIC, c TEXT UNIQUE,"
        " p REFERENCES parent ON DELETE CASCADE, x AS (a * 2), y AS (b || '!') STORED)",
    )
    for (sql, parameters), anew in todo:
        if anew:
            pair.renew()
        pair.call(Database.run, sql, parameters)
    pair.renew()
    assert pair.one.ask(Database.schema) == pair.other.ask(Database.schema)
    for table in ("parent", "t", "s", "copy"):
        found = []
        for host in (pair.one, pair.other):
            try:
                found.append(host.ask(Database.select, f"SELECT rowid, * FROM {table}"))
            except SqlError as error:
                found.append(str(error))
        assert found[0] == found[1]
