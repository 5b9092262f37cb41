"""Percentiles by nearest rank, columns that line up."""

import pytest

from pbft.cli.figures import columns, milliseconds, percentile, tally


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1.0), (0.01, 1.0), (0.5, 50.0), (0.99, 99.0), (1.0, 100.0)]
)
def test_percentile_is_the_nearest_rank(share: float, value: float) -> None:
    assert percentile([float(i) for i in range(100, 0, -1)], share) == value


def test_percentile_of_nothing_and_of_one() -> None:
    assert percentile([], 0.5) == 0.0
    assert percentile([7.0], 0.01) == percentile([7.0], 0.99) == 7.0


def test_milliseconds() -> None:
    assert milliseconds([0.001, 0.002, 0.0030004]) == {"p50": 2.0, "p99": 3.0}


def test_columns() -> None:
    assert columns([("a", "bb", "c"), ("aaa", "b", "")]) == "a    bb  c\naaa  b"


def test_tally() -> None:
    assert tally({"b": 2, "a": 2, "c": 9}) == "c: 9, a: 2, b: 2"
    assert tally({}) == "-"
