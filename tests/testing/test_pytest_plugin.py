"""The fixtures, as somebody else's tests use them, in a pytest of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

SERVICE = """
from pbft import BlockingProxy, Map, command, query

class Good:
    def __init__(self) -> None:
        self.value = 0

    @command
    def add(self, amount: int) -> int:
        self.value += amount
        return self.value

class Bad(Good):
    def invariant(self) -> None:
        if self.value:
            raise ValueError("not zero")

class Remote(BlockingProxy, Good): ...
"""
TESTS = """
from service import Bad, Good

def test_good(simulation):
    assert simulation(Good, seeds=20).runs == 1

def test_bad(simulation):
    simulation("service:Bad")
"""
REAL = """
from pbft.testing import drill
from service import Good, Remote

def test_four(cluster):
    four = cluster(Good)
    counter = Remote(four.client())
    assert counter.add(1) == 1
    killed = four.primary()
    four.kill(killed)
    assert counter.add(1) == 2
    four.restart(killed)
    assert killed != four.primary()

def test_drill():
    found = drill("service:Good", 3)
    assert found.problems == []
    assert found.answered == found.ordered - found.unanswered
    assert found.faults["primary killed"] == 1
"""


@pytest.fixture
def tests(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(service=SERVICE, test_service=TESTS)
    pytester.makeconftest("from pbft.testing import checking; checking.SHRINK_SECONDS = 1.0")
    return pytester


def test_what_breaks_fails_the_test_with_its_story(tests: pytest.Pytester) -> None:
    result = tests.runpytest_subprocess("-p", "no:cacheprovider", "--pbft-seeds", "1")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "1 of 1 runs of service:Bad failed",
            "invariant: after add(*) of client-*: ValueError: not zero",
        ]
    )
    (file,) = Path(tests.path).glob("pbft-failures/*.json")
    result.stdout.fnmatch_lines([f"*again: pytest --pbft-replay {file}, or pbft replay {file}"])
    again = tests.runpytest_subprocess("-p", "no:cacheprovider", "--pbft-replay", str(file))
    again.assert_outcomes(failed=1, skipped=1)
    again.stdout.fnmatch_lines([f"{file} is violated: invariant"])
    fixed = SERVICE.replace("if self.value", "if False")
    tests.makepyfile(service=fixed)
    held = tests.runpytest_subprocess("-p", "no:cacheprovider", "--pbft-replay", str(file))
    held.assert_outcomes(passed=1, skipped=1)


def test_loading_the_plugin_loads_nothing_heavy() -> None:
    code = "import pytest, sys; before = set(sys.modules); import pbft.testing.pytest_plugin\n"
    code += "print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['pbft', 'pbft.testing', 'pbft.testing.pytest_plugin']\n"


WRONG = """
import pytest
from pbft import command
from service import Good

class Outer:
    class Inner(Good): ...

@pytest.mark.parametrize("service", [dict, Good(), "service.Good", "service:None", Outer.Inner])
def test_wrong(simulation, service):
    simulation(service)

@pytest.mark.parametrize("service", ["service:Nothing", dict])
def test_no_cluster(cluster, service):
    cluster(service)
"""


def test_what_is_no_service_is_one_sentence_and_no_traceback(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(service=SERVICE, test_wrong=WRONG)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(failed=7)
    result.stdout.no_fnmatch_line("*Error: *Traceback*")
    result.stdout.no_fnmatch_line("*pytest_plugin.py:*")
    result.stdout.fnmatch_lines(
        [
            "dict has no @command: there is nothing to call",
            "Good is wanted itself, and this is an object of it",
            "service.Good: a service is named as module:Class, such as bank:Bank",
            "service:None cannot be imported: *",
            "test_wrong:Outer.Inner: define it at the top of its module, where replicas find it",
            "service:Nothing cannot be imported: *",
            "dict has no @command and no @query: decorate its methods",
        ]
    )


@pytest.mark.parametrize("number", ["0", "-3", "many"])
def test_a_number_of_seeds_that_is_none_is_refused(tests: pytest.Pytester, number: str) -> None:
    result = tests.runpytest_subprocess("-p", "no:cacheprovider", f"--pbft-seeds={number}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--pbft-seeds*whole number from 1 on*"])


def test_a_plan_that_is_not_there_is_named_before_any_test(tests: pytest.Pytester) -> None:
    result = tests.runpytest_subprocess("-p", "no:cacheprovider", "--pbft-replay", "no.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*no.json cannot be read*"])


@pytest.mark.cluster
def test_four_real_processes_and_a_drill(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(service=SERVICE, test_real=REAL)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)
