"""The catalogue fits the sources as they are, and the runner tells red from green."""

import dataclasses
from pathlib import Path

import pytest

from tests.mutants import run
from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant

DIGEST = Mutant(
    name="digest-without-count",
    trap="T5",
    path="crypto/digests.py",
    old='    state.update(len(parts).to_bytes(8, "big"))\n',
    new="",
    tests=("tests/test_probe.py",),
)


def test_every_mutant_fits_the_sources() -> None:
    assert [text for mutant in run.claimed(MUTANTS) if (text := mutant.problem(run.ROOT))] == []


def test_names_are_unique() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with one source and one test."""
    (tmp_path / "a.py").write_text("x = 1\ny = 1\n", encoding="utf-8")
    (tmp_path / "test_a.py").write_text("", encoding="utf-8")
    return tmp_path


FITS = Mutant("m", "T1", "a.py", "x = 1", "x = 2", ("test_a.py::test_x",))


def test_a_mutant_that_fits_has_no_problem_and_applies(tree: Path) -> None:
    assert FITS.problem(tree) is None
    FITS.apply(tree)
    assert (tree / "a.py").read_text(encoding="utf-8") == "x = 2\ny = 1\n"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"path": "b.py"}, "does not exist"),
        ({"old": "= 1"}, "stands 2 times"),
        ({"old": "z"}, "stands 0 times"),
        ({"new": "x = 1"}, "changes nothing"),
        ({"tests": ()}, "names no test"),
        ({"tests": ("test_b.py::test_x",)}, "names no test"),
    ],
)
def test_a_mutant_that_does_not_fit_says_why(
    tree: Path, change: dict[str, object], says: str
) -> None:
    problem = dataclasses.replace(FITS, **change).problem(tree)  # type: ignore[arg-type]
    assert problem is not None
    assert says in problem


PROBE = """
from pbft.crypto.digests import digest

def test_parts_are_counted():
    import hashlib
    tag = hashlib.sha256(b"t").digest()
    parts = (1).to_bytes(8, "big") + b"x" + (1).to_bytes(8, "big")
    assert digest(b"t", b"x") == hashlib.sha256(tag + tag + parts).digest()
"""


@pytest.mark.parametrize("mutate", [False, True])
def test_the_runner_tests_the_copy_and_not_the_checkout(tmp_path: Path, mutate: bool) -> None:
    run.copy_sources(tmp_path)
    (tmp_path / "tests" / "test_probe.py").write_text(PROBE, encoding="utf-8")
    assert DIGEST.problem(tmp_path) is None
    if mutate:
        DIGEST.apply(tmp_path)
    killed, by = run.verdict(*run.pytest_in(tmp_path, DIGEST.tests))
    assert killed is mutate
    assert by.startswith("tests/test_probe.py::test_parts" if mutate else "SURVIVED")


@pytest.mark.parametrize(
    ("status", "output", "killed"),
    [
        (run.PASSED, "1 passed", False),
        (run.FAILED, "FAILED tests/a.py::test_x - assert 0", True),
        (run.FAILED, "ERROR tests/a.py::test_x - no fixture", False),
        (run.HANGS, "no end", True),
        (2, "SyntaxError", False),
        (4, "no such test", False),
        (run.NOTHING_COLLECTED, "", False),
    ],
)
def test_only_a_red_test_or_a_hang_kills(status: int, output: str, killed: bool) -> None:
    assert run.verdict(status, output)[0] is killed


@pytest.mark.parametrize(
    ("output", "killed"),
    [
        ("FAILED a.py::test_x[1] - no\nFAILED a.py::test_y - no", True),
        ("FAILED a.py::test_y - no", False),
        ("ERROR a.py - no pytest", False),
    ],
)
def test_every_test_that_claims_a_mutant_is_held_to_it(output: str, killed: bool) -> None:
    claims = ("a.py::test_x", "a.py::test_y")
    mutant = dataclasses.replace(FITS, tests=claims, claimed=claims)
    assert run.held_to_claims(mutant, run.FAILED, output)[0] is killed
    assert run.held_to_claims(mutant, run.HANGS, "")[0]
