"""`pbft status`: what it makes of what replicas say."""

import pytest
from msgspec import structs

from pbft.cli.status import pythons
from tests.cli.demonstration.reports import report


@pytest.mark.parametrize(
    ("versions", "told"),
    [
        (["3.11.4", "3.11.9", "", "3.11.4"], ""),
        (
            ["3.12.1", "3.11.4", "3.11.9", "\x1b[2J"],
            "replicas run different versions of Python (3.11: 1, 2; 3.12: 0): run the same minor"
            " version on all hosts, or one of them refuses a call in other words and its state"
            " differs",
        ),
    ],
)
def test_replicas_of_two_versions_of_python_are_told(versions: list[str], told: str) -> None:
    reports = {
        each: structs.replace(report(each), python=python) for each, python in enumerate(versions)
    }
    assert pythons({**reports, 4: None}) == told
