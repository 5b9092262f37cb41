"""What differs between processes is found, and named; what does not is not accused."""

import random
import re
import sys
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, get_origin
from uuid import UUID

import msgspec
import pytest

from pbft.core.errors import ServiceError
from pbft.services.databases import Database
from pbft.testing.determinism import Operation, check
from pbft.testing.values import value_of

PLANTED = {
    "Clock": ("stamp", "self.entries[", "the clock"),
    "Minutes": ("minute", "self.entries[", "the clock"),
    "Calendar": ("date", "self.entries[", "the clock"),
    "Dice": ("roll", "self.entries[", "random numbers"),
    "Names": ("invent", "self.entries[", "a random name"),
    "Order": ("first", None, "the order of a set"),
    "Hashed": ("digest", None, "hash()"),
    "Address": ("where", "self.entries[", "id()"),
    "Process": ("who", "self.entries[", "the process"),
    "Local": ("language", "self.entries[", "the locale"),
    "Zone": ("hour", "self.entries[", "the clock"),
    "Sum": ("total", None, "floats"),
    "Shared": ("count", None, "an attribute of the class"),
    "Global": ("count", None, "a global variable"),
    "Text": ("fail", None, "look for"),
}


@pytest.mark.scenario("T43", kills="T43 every process hashes alike")
@pytest.mark.parametrize("name", PLANTED)
def test_each_kind_is_caught_by_name(name: str) -> None:
    command, key, advice = PLANTED[name]
    report = check(f"tests.testing.planted:{name}", 200)
    assert report is not None
    assert report.command == command
    assert (report.key or "").startswith(key or "")
    assert (report.key is None) == (key is None)
    assert advice in report.text
    assert f"operation {report.number}, {command}(" in report.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import pbft\nimport nowhere_at_all\n", r"No module named .*\(broken_0.py, line 2\)$"),
        ("one = 1\ntwo = one / 0\n", r"ZeroDivisionError: .*\(broken_1.py, line 2\)$"),
        ("def two(:\n", r"SyntaxError: invalid syntax \(broken_2.py, line 1\)$"),
        ("import sys\nsys.exit(3)\n", r"SystemExit: 3 \(broken_3.py, line 2\)$"),
        ("", r"no attribute 'Service'; start in the directory"),
    ],
)
def test_a_module_that_does_not_import_is_told_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    found = re.search(r"broken_\d", said)
    module = found[0] if found else "broken_4"
    (tmp_path / f"{module}.py").write_text(text)
    with pytest.raises(ServiceError, match=said):
        check(f"{module}:Service", 10)


AROUND = {
    "Ranked": ("rank", "id()"),
    "Captain": ("captain", "the order of a set"),
    "Environment": ("user", "the process and its host"),
    "Directory": ("listed", "files and directories"),
    "Thread": ("thread", "threads"),
    "Measured": ("measure", "the clock"),
    "Unseeded": ("draw", "random numbers"),
    "Card": ("card", "a random name"),
    "Host": ("host", "the network"),
    "Node": ("node", "the host"),
    "Cores": ("cores", "the process and its host"),
    "Today": ("today", "the clock"),
    "Depth": ("depth", "how deep calls may go"),
    "Descent": ("descend", "how deep calls may go"),
    "Collected": ("tidy", "when memory is tidied up"),
    "Tracked": ("tracked", "when memory is tidied up"),
}


@pytest.mark.parametrize("name", AROUND)
def test_what_is_around_a_process_is_caught_by_name(name: str) -> None:
    command, advice = AROUND[name]
    report = check(f"tests.testing.planted_hosts:{name}", 60)
    assert report is not None
    assert report.command == command
    assert (report.key or "").startswith("self.entries[")
    assert advice in report.text


BATTERIES = (
    *("counters:Counters", "maps:Maps", "locks:Locks", "elections:Elections"),
    *("queues:Queues", "configuration:Configuration"),
)


@pytest.mark.parametrize("runs", BATTERIES)
def test_no_battery_is_accused(runs: str) -> None:
    assert check(f"pbft.services.{runs}", 300) is None


def test_nor_is_the_database() -> None:
    statements = [
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE, size REAL DEFAULT 1.5)",
        "CREATE INDEX sizes ON t (size)",
        *(
            f"INSERT OR REPLACE INTO t (name, size) VALUES ('{n % 7}', {n} / 3.0)"
            for n in range(60)
        ),
        "UPDATE t SET size = size * 1.1 WHERE id % 2 RETURNING *",
        "ALTER TABLE t ADD COLUMN more TEXT DEFAULT 'x'",
        "DELETE FROM t WHERE id % 3 = 0",
        "INSERT INTO t (name) VALUES ('again') RETURNING id",
        "ALTER TABLE t RENAME TO u",
        "INSERT INTO u (name) SELECT name || '!' FROM u",
        "SELECT count(*), sum(size), group_concat(name) FROM (SELECT * FROM u ORDER BY id)",
        "DROP TABLE u",
        "SELECT changes()",
    ]
    calls = [Operation("run", sql, Database.run.pack((sql,), {})) for sql in statements]
    assert check("pbft.services.databases:Database", calls=calls) is None


def test_what_cannot_be_checked_says_why() -> None:
    for runs, text in (
        ("tests.testing.nowhere:X", "cannot be imported"),
        ("tests.testing.planted:Nobody", "cannot be imported"),
        ("pbft.services.kv:KeyValueService", "no @command"),
    ):
        with pytest.raises(ServiceError, match=text):
            check(runs, 5)


@pytest.mark.parametrize(
    "kind", [datetime, date, time, timedelta, Decimal, UUID, list[datetime], dict[UUID, date]]
)
def test_all_types_that_a_command_may_take_are_made_up(kind: type) -> None:
    dice = random.Random(1)
    made = [value_of(kind, dice) for _ in range(20)]
    assert all(isinstance(each, get_origin(kind) or kind) for each in made)
    assert any(each != made[0] for each in made)


def test_what_cannot_be_made_up_is_made_by_a_workload() -> None:
    with pytest.raises(TypeError, match=r"no values of .*: give the class a `workload`"):
        value_of(Annotated[str, msgspec.Meta(pattern="^[0-9]{20}$")], random.Random(1))


def test_a_service_that_ends_its_process_is_said() -> None:
    with pytest.raises(ServiceError, match=r"operation \d+, leave\(\), ended the process"):
        check("tests.testing.breakable:EndsTheProcess", 10)


def test_what_a_service_prints_is_no_answer() -> None:
    assert check("tests.testing.breakable:Prints", operations=20) is None


def test_what_differs_is_shown_as_values() -> None:
    report = check("tests.testing.planted:Order", operations=30)
    assert report is not None
    assert "\\x" not in report.text
