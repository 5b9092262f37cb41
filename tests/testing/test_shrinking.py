"""Planted bugs are told in a few events, by the same oracle, and the same way every time."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from pbft.testing.plan import Plan, draw, explicit
from pbft.testing.planfiles import violated
from pbft.testing.reductions import events
from pbft.testing.shrinking import ShrinkingError, Shrunk, shrink
from pbft.testing.simulator import Report, run
from pbft.testing.swarm import swarm
from tests.testing.planted_plans import brief, low_quorum, no_deduplication

FEW = 15
RUNS = 40
Plant = Callable[[pytest.MonkeyPatch], None]
LEDGER = brief(draw(33), 24, service="tests.testing.retried:Ledger")
"""An update that is counted twice under retry."""
DICE = brief(draw(1), 15, service="tests.testing.planted:Dice")
"""A command that is not deterministic."""


def is_small(plan: Plan, small: Shrunk) -> None:
    before = run(plan)
    assert events(small.plan) <= FEW < events(explicit(plan))
    assert violated(small.report) == violated(before) is not None
    assert run(small.plan) == small.report


@pytest.mark.parametrize(
    ("plant", "plan"),
    [(low_quorum, brief(draw(5))), (no_deduplication, brief(draw(31), 30))],
    ids=["quorum", "deduplication"],
)
def test_a_bug_of_the_core(plant: Plant, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    is_small(plan, shrink(plan, runs=RUNS))


@pytest.mark.parametrize("plan", [LEDGER, DICE], ids=["retried", "dice"])
def test_a_bug_of_a_service(plan: Plan) -> None:
    is_small(plan, shrink(plan, runs=RUNS))


def failing(plan: Plan) -> Report:
    """Violates something as long as client-1 makes its fifth call and replica 0 is a traitor;
    with fewer replicas, something else."""
    script = (plan.scripts or {}).get("client-1")
    fails = script is not None and any(c.operation == FIFTH for c in script.calls)
    fails &= 0 in plan.traitors
    oracle = "agreement" if plan.config.n == 4 else "views"
    violations = [f"{oracle}: planted"] if fails else []
    return Report(plan.seed, True, violations, 0, {}, "", 0, 0, 0, 0)


PLAN = next(plan for seed in range(50) if 0 in (plan := explicit(draw(seed))).traitors)
FIFTH = (PLAN.scripts or {})["client-1"].calls[4].operation


def test_only_what_the_failure_takes_is_left() -> None:
    told: list[tuple[int, int]] = []
    small = shrink(PLAN, failing, progress=lambda runs, left: told.append((runs, left)))
    assert small.complete
    assert events(small.plan) == 2
    assert small.plan.traitors.keys() == {0}
    assert [runs for runs, _ in told] == list(range(2, small.runs + 1))
    assert told[-1][1] == 2
    assert shrink(PLAN, failing).plan == small.plan


def test_another_oracle_is_another_finding() -> None:
    """With seven replicas it is another oracle that fails: so there stay seven."""
    wide = explicit(draw(PLAN.seed, 7))
    scripts = {**(wide.scripts or {}), "client-1": (PLAN.scripts or {})["client-1"]}
    plan = replace(wide, traitors={0: "silent"}, scripts=scripts)
    assert shrink(plan, failing).plan.config.n > 4


def test_what_a_judge_in_a_hurry_sees_of_the_whole_is_not_what_is_looked_for() -> None:
    def hurried(plan: Plan) -> Report:
        return replace(failing(plan), violations=["endless: the run"]) if plan is PLAN else known

    known = failing(PLAN)
    assert violated(shrink(PLAN, hurried, report=known).report) == "agreement"


def test_the_budget_is_kept() -> None:
    small = shrink(PLAN, failing, runs=10)
    assert (small.runs, small.complete) == (10, False)
    assert not shrink(PLAN, failing, seconds=0.0).complete
    assert events(small.plan) < events(PLAN)


def test_what_holds_cannot_be_made_smaller() -> None:
    with pytest.raises(ShrinkingError, match="violates nothing"):
        shrink(PLAN, lambda plan: Report(0, True, [], 0, {}, "", 0, 0, 0, 0))


@pytest.mark.parametrize("seed", [1, 8])
def test_a_repetition_that_counts_twice_is_small_after_few_runs(seed: int) -> None:
    """The time is limited, and the machine may be slow: what it takes calls alone to break comes
    first, and then what makes runs quick."""
    small = shrink(swarm(seed, "tests.testing.breakable:LastFour"), runs=20)
    assert events(small.plan) <= 15
