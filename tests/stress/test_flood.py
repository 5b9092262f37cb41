"""The long run of floods, its arithmetic and a few seconds of it."""

import asyncio
from pathlib import Path

import pytest

from tests.stress.flood import PARTS, Memory, pooled_slope, run


def test_a_slope_is_what_all_lives_have_in_common() -> None:
    flat = [(float(at), 50.0) for at in range(0, 600, 10)]
    rising = [(float(at), 70.0 + at / 60) for at in range(0, 600, 10)]
    assert pooled_slope([flat]) == pytest.approx(0)
    assert pooled_slope([rising]) == pytest.approx(1)
    assert pooled_slope([flat, rising]) == pytest.approx(0.5)
    assert pooled_slope([]) is None


def test_a_life_counts_once_it_is_warm() -> None:
    memory = Memory()
    memory.begin(0)
    for at in range(0, 300, 10):
        memory.add(0, float(at), min(50.0, at))
    assert memory.slope(0) == pytest.approx(0)
    assert memory.highest(0) == 50.0


@pytest.mark.scenario("FL1", "FL9", "FL10", "FL13", "AU8", "CL4", "ST11", "FL7")
@pytest.mark.cluster
def test_floods_and_a_kill_for_some_seconds(tmp_path: Path) -> None:
    outcome = asyncio.run(run(tmp_path, 8.0, sink=None, kill_every=3.0, parts=PARTS))
    assert outcome.complaints == []
    assert outcome.kills >= 1
    assert outcome.answers_per_second > 1
    assert sum(outcome.drops.values()) > 1000
