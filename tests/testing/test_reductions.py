"""Events are counted and taken out whatever their kind, and what is left is a plan that can run."""

from dataclasses import dataclass, field, fields, replace

import pytest

from pbft.core.ids import SECOND
from pbft.testing.disk import Harm
from pbft.testing.failpoints import Boundary, Point, Stop
from pbft.testing.losses import Loss
from pbft.testing.plan import Crash, Damage, Partition, Plan, draw, explicit
from pbft.testing.reductions import events, excess, groups, parts, simpler, smaller, tally, without
from pbft.testing.scripts import Call, Outburst, Saying, Script

CALL = Call(b"x", 7)
PLAN = replace(
    draw(1),
    config=replace(draw(1).config, n=7),
    traitors={0: "silent", 6: "replay"},
    loss=0.1,
    duplicates=0.0,
    gst_ns=4 * SECOND,
    partitions=[Partition(1, 2, frozenset({0, 6}), False), Partition(1, 3, frozenset({5}), True)],
    crashes=[Crash(SECOND, 2 * SECOND, 1), Crash(1, 2, 5)],
    stops=[Stop(Point(Boundary.SYNCED, "Began"), 9, False, 1)],
    damages=[],
    losses=[],
    scripts={"client-0": Script(4, (CALL, CALL)), "client-1": Script(1, (CALL,))},
    outbursts=[
        Outburst("mallory-0", 5, (Saying((1, 6), 1, (b"a",)), Saying((6,), 1, (b"b",)))),
        Outburst("mallory-0", 6, (Saying((5,), 1, (b"c",)),)),
    ],
)


def test_every_call_fault_and_traitor_is_an_event_and_so_is_a_network_that_loses() -> None:
    assert tally(PLAN) == {
        **{"traitors": 2, "partitions": 2, "crashes": 2, "stops": 1, "outbursts": 2},
        **{"calls": 3, "loss": 1},
    }
    assert events(PLAN) == 13
    assert len(parts(PLAN)) == 12


def test_what_is_taken_out_is_gone_and_nothing_else() -> None:
    for part in parts(PLAN):
        left = without(PLAN, {part})
        assert len(parts(left)) == len(parts(PLAN)) - 1
        assert sum(tally(left).values()) == events(PLAN) - 1
    client = next(group for group in groups(PLAN) if group[0].owner == "client-1")
    left = without(PLAN, set(client))
    assert (left.scripts or {}).keys() == {"client-0"}
    assert (left.clients, left.operations) == (1, 2)
    assert without(PLAN, set(parts(PLAN))).faulty_clients == 0


def test_groups_are_kinds_and_clients() -> None:
    assert [len(group) for group in groups(PLAN)] == [2, 2, 2, 2, 2, 1, 1]


def test_values_become_simpler_one_at_a_time() -> None:
    found = dict(simpler(PLAN))
    for plan in found.values():
        assert plan != PLAN
        assert len(parts(plan)) == len(parts(PLAN))
    assert found["loss 0.0"] == replace(PLAN, loss=0.0)
    assert found["calm after 2.00 s"].gst_ns == 2 * SECOND
    assert {stop.occurrence for plan in found.values() for stop in plan.stops} == {9, 1, 4, 8}


def test_what_is_simple_stays() -> None:
    plan = explicit(draw(1))
    for _ in range(100):
        step = next(simpler(plan), None)
        if step is None:
            return
        plan = step[1]
    pytest.fail("there is always something to make simpler")


def test_with_fewer_replicas_f_fits_and_nobody_is_named_who_is_gone() -> None:
    small = [plan for _, plan in smaller(PLAN)]
    assert [plan.config.n for plan in small] == [4, 5, 6]
    left = small[0]
    assert left.traitors == {0: "silent"}
    assert left.partitions == [Partition(1, 2, frozenset({0}), False)]
    assert left.crashes == [Crash(SECOND, 2 * SECOND, 1)]
    assert left.stops == PLAN.stops
    assert left.outbursts == [Outburst("mallory-0", 5, (Saying((1,), 1, (b"a",)),))]


def test_the_faulty_are_counted_once_each() -> None:
    def harmed(**changes: object) -> int:
        return excess(replace(PLAN, **changes))  # type: ignore[arg-type]

    assert harmed() == 0
    assert harmed(traitors={0: "silent", 1: "silent", 2: "silent"}) == 1
    damages, losses = [Damage(1, 2, Harm.ROT)], [Loss(2, None, 1, 2, 3)]
    assert harmed(damages=damages, losses=losses) == 1


@dataclass(frozen=True, slots=True)
class Newer(Plan):
    """With kinds of events that nobody has thought of yet: several of one replica, and a list."""

    plots: dict[int, tuple[str, ...]] = field(default_factory=dict)
    storms: tuple[Crash, ...] = ()


def test_kinds_of_events_that_are_new_are_taken_out_like_all_others() -> None:
    known = {each.name: getattr(PLAN, each.name) for each in fields(PLAN)}
    storms = (Crash(1, 2, 0), Crash(1, 2, 6))
    plan = Newer(**known, plots={0: ("a", "b"), 6: ("c",)}, storms=storms)
    assert events(plan) == events(PLAN) + 5
    (second,) = (part for part in parts(plan) if (part.owner, part.key) == (0, 1))
    left = without(plan, {second})
    assert isinstance(left, Newer)
    assert left.plots == {0: ("a",), 6: ("c",)}
    none = without(left, {part for part in parts(left) if part.field in ("plots", "storms")})
    assert isinstance(none, Newer)
    assert (none.plots, none.storms) == ({}, ())
    small = next(smaller(plan))[1]
    assert isinstance(small, Newer)
    assert (small.plots, small.storms) == ({0: ("a", "b")}, storms[:1])
