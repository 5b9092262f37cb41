"""The budget of examples and pages: what goes beyond it fails the run, what is slow does not."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.budget import BUDGET_SECONDS, SETTING_UP, TOGETHER, UNDISTURBED_SECONDS, Budget


def exit_status(seconds: float, slowness: float, name: str = "test_it_runs[a]") -> int:
    """Of a run with two tests that took that long together."""
    budget = Budget()
    for where in TOGETHER:
        for when, took in (("setup", 0.0), ("call", seconds / 2), ("teardown", 0.0)):
            worked = [("worked", slowness * UNDISTURBED_SECONDS)] * 2
            report: Any = SimpleNamespace(
                nodeid=where + name, when=when, duration=took, user_properties=worked
            )
            budget.pytest_runtest_logreport(report)
    session: Any = SimpleNamespace(exitstatus=pytest.ExitCode.OK)
    budget.pytest_sessionfinish(session)
    return int(session.exitstatus)


def test_a_run_that_takes_too_long_fails() -> None:
    assert exit_status(BUDGET_SECONDS - 1, slowness=1) == pytest.ExitCode.OK
    assert exit_status(BUDGET_SECONDS + 1, slowness=1) == pytest.ExitCode.TESTS_FAILED


def test_on_a_machine_that_is_slower_it_may_take_longer_and_on_a_faster_one_as_long() -> None:
    assert exit_status(BUDGET_SECONDS * 1.19, slowness=1.2) == pytest.ExitCode.OK
    assert exit_status(BUDGET_SECONDS * 1.21, slowness=1.2) == pytest.ExitCode.TESTS_FAILED
    assert exit_status(BUDGET_SECONDS - 1, slowness=0.1) == pytest.ExitCode.OK


def test_on_a_machine_that_has_much_else_to_do_nothing_is_judged() -> None:
    assert exit_status(BUDGET_SECONDS * 9, slowness=3) == pytest.ExitCode.OK


def test_what_is_no_part_of_them_is_not_counted() -> None:
    assert exit_status(BUDGET_SECONDS * 9, slowness=1, name=SETTING_UP) == pytest.ExitCode.OK


def test_both_are_counted(request: pytest.FixtureRequest) -> None:
    """The run itself has a budget, and both files take part in it."""
    assert any(isinstance(each, Budget) for each in request.config.pluginmanager.get_plugins())
    for where in TOGETHER:
        source = (request.config.rootpath / where.removesuffix("::")).read_text("utf-8")
        assert '"budgeted"' in source
