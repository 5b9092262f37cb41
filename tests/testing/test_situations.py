"""Situations are counted where they occur and nowhere else."""

from dataclasses import replace

from pbft.core.ids import SECOND
from pbft.testing.failpoints import POINTS, Stop
from pbft.testing.plan import Crash, Plan, draw
from pbft.testing.simulator import run
from pbft.testing.situations import SITUATIONS, Situations
from tests.testing.test_oracles import calm


def seen(plan: Plan) -> set[str]:
    watching = Situations()
    assert run(plan, [watching]).violations == []
    return watching.seen


def test_a_calm_run_has_hardly_any() -> None:
    quiet = {"client floor raised", "large request", "window full", "decision forwarded"}
    assert seen(calm()) <= quiet


def test_the_primary_dies() -> None:
    found = seen(replace(calm(), crashes=[Crash(2 * SECOND, 5 * SECOND, 0)]))
    assert {"view change", "crash of the primary", "new view with prepared numbers"} <= found
    assert not {"everybody down", "partition", "fast read"} & found


def test_all_die_and_the_power_fails_at_the_end() -> None:
    crashes = [Crash(2 * SECOND, 3 * SECOND, replica) for replica in range(4)]
    found = seen(replace(calm(), crashes=crashes, power_cycle=True))
    assert {"everybody down", "power cycle"} <= found


def test_a_stop_at_a_fail_point() -> None:
    stop = Stop(POINTS[1], 1, everyone=False, down_ns=SECOND)
    assert "stop at a fail point" in seen(replace(calm(), stops=[stop]))


def test_most_situations_occur_in_a_few_seeds_and_all_are_declared() -> None:
    found: set[str] = set()
    for seed in range(6):
        found |= seen(draw(seed))
    assert found <= SITUATIONS.keys()
    assert len(found) > 20
