"""A campaign goes on where it was stopped, is the same in shards, and says what is wrong."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from pbft.core.errors import ConfigurationError
from pbft.testing import campaign, families
from pbft.testing.campaign import JUDGED_FROM, Case, Kept, Outcome, Progress, Size
from pbft.testing.families import CONTROLS, Family, plan_of
from pbft.testing.plan import Plan, draw, explicit
from pbft.testing.planfiles import load
from pbft.testing.situations import SITUATIONS

EVERY = sorted(SITUATIONS)


def outcome(family: str = "seeds", index: int = 0, **changes: object) -> Outcome:
    made = Outcome(family, index, True, [], EVERY, {"crash": 2}, 10, 3600 * 10**9)
    return msgspec.structs.replace(made, **changes)


def test_shards_are_a_partition_of_the_cases() -> None:
    size = Size({"seeds": 10, "f+1 twins fork": 3})
    parts = [campaign.cases(Size(size.runs, shard, 4)) for shard in (1, 2, 3, 4)]
    whole = campaign.cases(size)
    assert len(whole) == 13
    assert sorted(map(str, whole)) == sorted(str(case) for part in parts for case in part)
    assert {case.family for case in whole[:4]} == set(size.runs)


def test_it_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    path, size = tmp_path / "p.jsonl", Size({"seeds": 3})
    progress = Progress(path, size)
    progress.add(outcome(index=1))
    progress.close()
    with path.open("ab") as file:
        file.write(b'{"family": "seeds", "ind')  # the power failed here
    again = Progress(path, size)
    assert again.left() == [Case("seeds", 0), Case("seeds", 2)]
    again.add(outcome(index=0))
    again.close()
    assert [each.index for each in campaign.read(path).outcomes] == [1, 0]


def test_another_campaign_is_refused(tmp_path: Path) -> None:
    Progress(tmp_path / "p.jsonl", Size({"seeds": 3})).close()
    with pytest.raises(ConfigurationError, match="another campaign"):
        Progress(tmp_path / "p.jsonl", Size({"seeds": 4}))


def test_shards_are_merged_into_one_and_others_are_not() -> None:
    runs = {"seeds": 2}
    one, two = (Kept(Size(runs, i + 1, 2), [outcome(index=i)]) for i in (0, 1))
    whole = campaign.merged([one, two])
    assert (whole.size, len(whole.outcomes)) == (Size(runs), 2)
    assert campaign.summary(whole).missing == 0
    with pytest.raises(ConfigurationError, match="not shards of one campaign"):
        campaign.merged([one, Kept(Size({"seeds": 3}), [])])


def test_what_is_missing_is_a_problem() -> None:
    """Even where a case was done twice."""
    twice = [outcome(index=0), outcome(index=0)]
    told = campaign.summary(Kept(Size({"seeds": 2}), twice))
    assert told.missing == 1
    assert told.problems == [
        "1 runs are missing: go on with them, or merge the other shards as well"
    ]


def test_a_run_that_is_not_the_same_in_two_shards_is_refused() -> None:
    size = Size({"seeds": 1})
    held = Kept(size, [outcome()])
    broken = Kept(size, [outcome(violations=["agreement: broken"])])
    for parts in ((held, broken), (broken, held)):
        with pytest.raises(ConfigurationError, match="seeds 0 is not the same"):
            campaign.merged(parts)


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (Size({"seeds": 1}), "a run that is not in it: seeds 3"),
        (Size({"weeds": 9}), "another version"),
        (Size({"seeds": 9}, 0, 2), "there is none"),
    ],
)
def test_a_file_of_another_campaign_is_refused(tmp_path: Path, size: Size, said: str) -> None:
    campaign.write(tmp_path / "p.jsonl", Kept(size, [outcome(index=3)]))
    with pytest.raises(ConfigurationError, match=said):
        campaign.read(tmp_path / "p.jsonl")


def test_a_shard_alone_is_not_judged_by_the_controls() -> None:
    """Which of their cases it has is chance."""
    name = "f+1 twins fork"
    part = Kept(Size({name: 2}, 1, 2), [outcome(name)])
    assert campaign.summary(part).problems == []
    whole = campaign.merged([part, Kept(Size({name: 2}, 2, 2), [outcome(name, 1)])])
    assert "was not flagged in 2 cases" in campaign.summary(whole).problems[0]


def test_a_violation_is_a_problem_and_so_is_a_run_without_end() -> None:
    bad = [
        outcome(index=0, violations=["agreement: broken"]),
        outcome(index=1, finished=False),
        outcome(index=2),
    ]
    problems = campaign.summary(Kept(Size({"seeds": 3}), bad)).problems
    assert problems == ["seeds 0: agreement: broken", "seeds 1: did not finish"]


def test_a_rare_situation_is_a_problem_in_a_campaign_that_is_large_enough() -> None:
    rare, others = EVERY[0], EVERY[1:]

    def problems(count: int) -> list[str]:
        found = [outcome(index=i, situations=others) for i in range(count)]
        return campaign.summary(Kept(Size({"seeds": count}), found)).problems

    assert problems(10) == []
    assert problems(JUDGED_FROM) == [f"the situation {rare!r} occurred in 0.00% of the drawn runs"]


def test_a_control_that_is_not_flagged_is_a_problem() -> None:
    name = "f+1 twins fork"
    quiet = Kept(Size({name: 1}), [outcome(name)])
    assert "was not flagged" in campaign.summary(quiet).problems[0]
    flagged = Kept(Size({name: 1}), [outcome(name, violations=["agreement: broken"])])
    told = campaign.summary(flagged)
    assert (told.problems, told.controls) == ([], {name: 0})


@pytest.mark.scenario("EQ6", "AC2")
@pytest.mark.parametrize("name", CONTROLS)
def test_every_control_is_flagged_soon(name: str) -> None:
    assert any(CONTROLS[name].flags(campaign.judge(Case(name, index))) for index in range(3))


def test_a_failed_run_is_kept_as_a_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(index: int) -> Plan:
        return replace(draw(index, 4, 0), traitors={0: "silent", 1: "silent"}, operations=6)

    monkeypatch.setitem(families.FAMILIES, "seeds", Family(stopped, 9))
    assert campaign.judge(Case("seeds", 2), tmp_path / "kept").bad
    (kept,) = (tmp_path / "kept").glob("seeds-2-*.json")
    assert load(kept).plan == explicit(plan_of("seeds", 2))
