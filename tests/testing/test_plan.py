"""A seed's plan keeps within what the promise covers."""

from dataclasses import replace

import msgspec

from pbft.testing.failpoints import Boundary
from pbft.testing.plan import Plan, draw, explicit

PLANS = [draw(seed, replicas) for seed in range(300) for replicas in (4, 7)]


def test_a_seed_is_one_plan() -> None:
    assert draw(11) == draw(11)
    assert draw(11) != draw(12)


def test_traitors_and_damaged_disks_are_at_most_f() -> None:
    for plan in PLANS:
        harmed = {damage.replica for damage in plan.damages}
        assert not harmed & plan.traitors.keys()
        assert len(harmed) + len(plan.traitors) <= plan.config.f


def test_every_fault_ends_with_the_bad_time() -> None:
    for plan in PLANS:
        assert all(each.end <= plan.gst_ns for each in plan.partitions)
        drawn = [c for c in plan.crashes if c.replica not in {d.replica for d in plan.damages}]
        assert all(crash.begin < crash.end <= plan.gst_ns for crash in drawn)


def test_a_disk_is_harmed_while_its_replica_is_down() -> None:
    harmed = [(plan, damage) for plan in PLANS for damage in plan.damages]
    assert harmed
    for plan, damage in harmed:
        mine = [crash for crash in plan.crashes if crash.replica == damage.replica]
        assert any(crash.begin <= damage.begin < crash.end for crash in mine)


def test_every_kind_of_fault_is_drawn() -> None:
    def some(plans: list[Plan]) -> bool:
        return 20 < len(plans) < len(PLANS)

    assert some([plan for plan in PLANS if plan.stops])
    assert some([plan for plan in PLANS if plan.crashes])
    assert some([plan for plan in PLANS if plan.damages])
    assert some([plan for plan in PLANS if plan.partitions])
    boundaries = {stop.point.boundary for plan in PLANS for stop in plan.stops}
    assert boundaries == set(Boundary)
    names = {name for plan in PLANS for name in plan.traitors.values()}
    assert {"equivocate", "propose-again", "silent"} <= names


def test_the_control_has_more_than_f_and_no_other_faults() -> None:
    plan = draw(3, 4, 2)
    assert plan.twins
    assert len(plan.traitors) == 2
    assert [plan.crashes, plan.partitions, plan.stops, plan.damages] == [[]] * 4


def test_a_plan_is_json_and_back_with_every_call_in_it() -> None:
    for plan in map(explicit, PLANS[:60]):
        assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan
        calls = sum(len(script.calls) for script in (plan.scripts or {}).values())
        assert plan.operations - plan.clients < calls <= plan.operations


def test_an_explicit_plan_stays_as_it_is() -> None:
    plan = explicit(draw(5))
    assert explicit(replace(plan, operations=7, faulty_clients=2)).scripts == plan.scripts
