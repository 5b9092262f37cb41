"""Plans that once broke something, each replayed as it was found."""

from pathlib import Path

import msgspec
import pytest

from pbft.testing.plan import Plan
from pbft.testing.simulator import run

PLANS = sorted((Path(__file__).parent / "regressions").glob("*.json"))


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_what_once_failed_holds(path: Path) -> None:
    report = run(msgspec.json.decode(path.read_bytes(), type=Plan))
    assert (report.finished, report.violations) == (True, [])


def test_there_are_plans_to_replay() -> None:
    assert PLANS
