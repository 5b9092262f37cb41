"""A stored plan shows the same again, or it is said what is another."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from pbft.testing.plan import Crash, draw
from pbft.testing.planfiles import PlanFile, PlanFileError, told
from pbft.testing.replaying import replay
from pbft.testing.simulator import run
from tests.testing.planted_plans import brief


def file_of(seed: int, **changes: Any) -> PlanFile:
    plan = brief(draw(seed), 9, **changes)
    return told(plan, run(plan))


def test_what_holds_holds_again_bit_for_bit() -> None:
    found = replay(file_of(4))
    assert (found.oracle, found.same_violation, found.same_trace) == (None, True, True)


def test_a_violation_comes_again_bit_for_bit() -> None:
    file = file_of(0, service="tests.testing.planted:Dice")
    found = replay(file)
    assert (found.oracle, found.same_violation, found.same_trace) == ("agreement", True, True)
    assert found.violations[0] == file.violation


def test_an_edited_plan_is_another_run() -> None:
    file = file_of(4)
    edited = msgspec.structs.replace(file, plan=replace(file.plan, delay_ns=3_000_000))
    assert not replay(edited).same_trace


def test_what_was_violated_and_holds_now_is_told() -> None:
    file = msgspec.structs.replace(file_of(4), oracle="agreement")
    found = replay(file)
    assert (found.oracle, found.same_violation) == (None, False)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"service": "no.such:Service"}, "start|directory that has the module"),
        ({"traitors": {1: "polite"}}, "'polite'"),
        ({"crashes": [Crash(1, 2, 9)]}, "names what there is not"),
    ],
)
def test_a_plan_that_names_what_there_is_not_is_refused(
    changes: dict[str, object], words: str
) -> None:
    file = file_of(4)
    plan = replace(file.plan, **changes)  # type: ignore[arg-type]
    with pytest.raises(PlanFileError, match=words):
        replay(msgspec.structs.replace(file, plan=plan))
