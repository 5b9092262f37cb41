"""Every scenario and trap has its tests, every claim is true, the page is current."""

import pytest

from tests.architecture.modules import parse
from tests.mutants.mutant import Mutant
from tests.scenarios import claims, table
from tests.scenarios.listed import DOCUMENTED, EVERY, GAPS, SCENARIOS, TRAPS, Listed


def test_every_id_is_shown_where_it_is_demanded_and_fails_without_the_defence() -> None:
    assert table.problems(claims.collect()) == []


def test_the_page_is_what_the_tests_claim() -> None:
    assert table.PAGE.read_text(encoding="utf-8") == table.render(claims.collect()), (
        "run `make scenarios`"
    )


def test_the_list_is_whole() -> None:
    assert len(EVERY) == len(SCENARIOS) + len(TRAPS)
    assert [each.id for each in TRAPS] == [f"T{number}" for number in range(1, 57)]
    assert {each.id for each in EVERY.values() if not each.where} == set(DOCUMENTED)
    assert set(GAPS) <= set(EVERY)


SOURCE = """
import pytest

@pytest.mark.scenario("EQ1", "T9", kills="T9 first")
def test_one(): ...

@pytest.mark.cluster
@pytest.mark.scenario("EQ1", control="tests/test_probe.py::test_one")
def test_two(): ...
"""
KNOWN = Mutant("T9 first", "T9", "a.py", "x", "y", ())
NAMING = Mutant("T9 second", "T9", "a.py", "x", "y", ("tests/test_probe.py::test_two",))


def probe(source: str) -> claims.Claims:
    module = parse("tests.test_probe", source)
    found = claims.Claims()
    for function in claims._tests(module):
        test = f"{module.path}::{function.name}"
        found.tests.add(test)
        found.claims += claims._claims(module, function, test, claims._level(module))
    return found


def test_claims_are_read_from_the_sources() -> None:
    one, two = probe(SOURCE).claims
    assert (one.ids, one.kills, one.level, one.processes) == (("EQ1", "T9"), ("T9 first",), "U", 0)
    assert (two.control, two.level, two.processes) == ("tests/test_probe.py::test_one", "C", True)
    assert table.killed_by(one, [KNOWN, NAMING]) == ["T9 first"]
    assert table.killed_by(two, [KNOWN, NAMING]) == ["T9 second"]


def test_what_is_imported_tells_the_level() -> None:
    levels = {
        "from pbft.testing.simulator import run": "S",
        "from pbft.node import Node": "C",
        "from tests.core.lab import Lab": "U",
    }
    assert {source: claims._level(parse("m", source)) for source in levels} == levels


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (SOURCE.replace("EQ1", "EQ99"), "EQ99 is not in the list"),
        (SOURCE.replace("T9 first", "T9 none"), "no mutant is called 'T9 none'"),
        (SOURCE.replace("::test_one", "::test_none"), "::test_none does not exist"),
        (SOURCE.replace('"EQ1", "T9"', '"TM10"'), "TM10 is shown, and said to be documented"),
        (SOURCE, "EQ1: not shown at 'S'"),
        (SOURCE.replace(', kills="T9 first"', ""), "T9: no test of it is known to fail"),
    ],
)
def test_a_wrong_claim_is_found(source: str, says: str) -> None:
    assert any(says in text for text in table.problems(probe(source), [KNOWN]))


def test_a_marker_of_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match="takes ids"):
        probe(SOURCE.replace("kills=", "mutant="))


def test_a_row_names_its_tests_and_what_they_fail_without() -> None:
    row = table._row(Listed("EQ1", "SC", "two batches"), probe(SOURCE), [KNOWN])
    assert "**C** `test_probe: two`" in row
    assert "*T9 first*<br>control: `test_probe: one`" in row
