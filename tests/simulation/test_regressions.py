"""Plan files of what once broke something, each replayed as it was found (`pbft replay`)."""

from pathlib import Path

import pytest

from pbft.testing.planfiles import load
from pbft.testing.simulator import run

PLANS = sorted((Path(__file__).parent / "regressions").glob("*.json"))


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_what_once_failed_holds(path: Path) -> None:
    report = run(load(path).plan)
    assert (report.finished, report.violations) == (True, [])


def test_there_are_plans_to_replay() -> None:
    assert PLANS
