"""Each mood leads where it is meant to, within the promise, and is drawn."""

import random
from collections.abc import Callable

import msgspec
import pytest

from pbft.testing import moods, ordeals
from pbft.testing.plan import Plan, draw, explicit
from pbft.testing.simulator import run
from pbft.testing.situations import Situations

Mood = Callable[[random.Random, Plan], Plan]

LEADS_TO: dict[Mood, str] = {
    moods.usurped: "invalid new view",
    moods.two_faced: "two view changes of one replica",
    moods.caught_fetching: "crash in a transfer",
    moods.long_away: "outcome forgotten",
    moods.forged: "view change",
    moods.lied_to: "reply starvation",
    moods.contradicted: "recovered",
    moods.overasked: "greedy client",
    ordeals.misled: "two proposals for one number",
    ordeals.outvoted: "new view with prepared numbers",
    ordeals.pestered: "large request",
    ordeals.misfed: "transfer",
    ordeals.rotten: "disk harmed",
    ordeals.backlog: "view change",
}
SEEDS = range(3)


def plan_in(mood: Mood, seed: int) -> Plan:
    return mood(random.Random(f"test {seed}"), draw(seed, (4, 4, 7)[seed % 3]))


def test_every_mood_is_known_here_and_drawn() -> None:
    assert set(moods.MOODS) == set(LEADS_TO)
    plan = draw(0)
    found = [moods.in_a_mood(random.Random(seed), plan) for seed in range(300)]
    assert 120 < found.count(plan) < 230
    assert {each.gst_ns >= plan.gst_ns for each in found} == {True}


@pytest.mark.parametrize("mood", LEADS_TO, ids=lambda mood: mood.__name__)
def test_a_mood_stays_within_the_promise_and_is_plain_data(mood: Mood) -> None:
    for seed in range(40):
        plan = plan_in(mood, seed)
        broken = {each.replica for each in plan.damages} | {each.replica for each in plan.losses}
        assert len(broken | plan.traitors.keys()) <= plan.config.f
        assert plan.attacks.keys() <= plan.traitors.keys()
        crashes = [each for each in plan.crashes if each.replica not in broken]
        assert all(each.end <= plan.gst_ns for each in crashes)
        whole = explicit(plan)
        assert msgspec.json.decode(msgspec.json.encode(whole), type=Plan) == whole


@pytest.mark.parametrize("mood", LEADS_TO, ids=lambda mood: mood.__name__)
def test_a_mood_leads_to_its_situation_more_often_than_not_at_all(mood: Mood) -> None:
    for seed in SEEDS:
        watching = Situations()
        report = run(plan_in(mood, seed), [watching])
        assert (report.finished, report.violations) == (True, [])
        if LEADS_TO[mood] in watching.seen:
            return
    pytest.fail(f"{LEADS_TO[mood]}: in none of {len(SEEDS)}")
