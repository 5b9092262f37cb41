"""Every act and every form is made, harms nothing that up to f may not harm, and is plain data."""

from dataclasses import replace

import msgspec
import pytest

from pbft.core.errors import ConfigurationError
from pbft.core.ids import MILLISECOND, SECOND
from pbft.testing.byzantine.attacks import (
    AnyAct,
    Attack,
    Change,
    Delay,
    Duplicate,
    Flip,
    Forge,
    Fork,
    Form,
    Fuzz,
    Ignore,
    Imitate,
    Mutate,
    Omit,
    Repeat,
    Target,
    within,
)
from pbft.testing.byzantine.composed import COMPOSED
from pbft.testing.byzantine.imitating import IMITATED
from pbft.testing.plan import Partition, Plan, draw
from pbft.testing.scripts import Outburst, Saying
from pbft.testing.simulator import Report, run

T = SECOND
CUT = Partition(SECOND, 3 * SECOND, frozenset({1}), one_way=True)
"""Replica 1 is not heard: it lags, and moves to later views alone."""


def plan(*attacks: Attack, n: int = 4, traitors: tuple[int, ...] = (0,)) -> Plan:
    """A short run with a partition, so that there are view changes and laggards to lie to."""
    return replace(
        draw(6, n, 0),
        traitors=dict.fromkeys(traitors, COMPOSED),
        attacks=dict.fromkeys(traitors, attacks),
        loss=0.0,
        duplicates=0.0,
        gst_ns=3 * SECOND,
        operations=24,
        faulty_clients=1,
        partitions=[CUT],
        crashes=[],
        stops=[],
        per_link=True,
    )


def made(report: Report) -> int:
    assert (report.finished, report.violations) == (True, [])
    return sum(count for name, count in report.faults.items() if name.startswith("attack: "))


SIMPLE: tuple[AnyAct, ...] = (
    Omit(),
    Delay(19 * T // 20),
    Duplicate(3),
    Flip(2),
    Repeat(),
    Ignore(),
    Fuzz(),
    Fork((1,)),
    *(Mutate("", change) for change in Change),
)


@pytest.mark.parametrize("act", SIMPLE, ids=str)
def test_an_act_is_made_and_harms_nothing(act: AnyAct) -> None:
    assert made(run(plan(Attack(act)))) > 0


def test_acts_compose_and_the_run_is_its_plans_wherever_that_has_been() -> None:
    several = plan(
        Attack(Mutate("digest", Change.OTHER), Target(("Prepare", "Commit"), (1, 2), chance=0.5)),
        Attack(Duplicate(), Target(("Commit",))),
        Attack(Delay(T // 2), Target(("Proposal",), numbers=(2, 9))),
        Attack(Imitate("lie-to-clients"), Target(times=(2 * SECOND, 3 * SECOND))),
    )
    again = msgspec.json.decode(msgspec.json.encode(several), type=Plan)
    assert again == several
    first, second = run(several), run(again)
    assert made(first) > 0
    assert first.trace_digest == second.trace_digest
    assert {"attack: mutate", "attack: duplicate", "attack: delay"} <= set(first.faults)


def test_chances_come_from_the_plan_and_stay_when_another_attack_goes() -> None:
    lossy = Attack(Omit(), Target(("Prepare",), chance=0.5))
    alone, other = run(plan(lossy)), run(replace(plan(lossy), seed=7))
    beside = run(plan(Attack(Omit(), Target(("Receipt",))), lossy))
    assert alone.trace_digest == beside.trace_digest
    assert alone.trace_digest != other.trace_digest


APART = SECOND + 3_700_000
"""By then PREPAREs are on their way and no COMMIT is."""


@pytest.mark.parametrize("form", Form, ids=lambda form: form.name)
def test_forged_view_changes_and_new_views_are_made_and_harm_nothing(form: Form) -> None:
    """Three numbers are prepared and not committed when all are cut from each other; then replica 1
    is away, so that the traitor leads view 2 and has seen what was said about view 1."""
    forged = plan(Attack(Forge(form), Target(("ViewChange", "NewView"))), traitors=(2,))
    report = run(
        replace(
            forged,
            config=replace(forged.config, pipeline=4, batch_max_requests=1),
            delay_ns=2 * MILLISECOND,
            disk_delay_ns=0,
            gst_ns=8 * SECOND,
            operations=3,
            outbursts=[],
            partitions=[
                *(Partition(APART, 5 * SECOND // 2, frozenset({r}), False) for r in range(3)),
                Partition(5 * SECOND // 2, 8 * SECOND, frozenset({1}), one_way=False),
            ],
        )
    )
    assert report.view_changes > 0
    assert made(report) > 0


@pytest.mark.parametrize("name", ["equivocate", "lie-to-clients", "mixed"])
def test_a_named_behaviour_is_a_part_and_draws_from_the_plan(name: str) -> None:
    traces = {
        run(replace(plan(Attack(Imitate(name))), seed=seed)).faults[f"attack: {name}"]
        for seed in (6, 8)
    }
    assert 0 not in traces
    assert "slow" in IMITATED


@pytest.mark.parametrize("name", ["vote-as-primary", "misdate", "wrong-body", "reword"])
def test_what_a_primary_may_lie_about_is_made_and_harms_nothing(name: str) -> None:
    assert made(run(plan(Attack(Imitate(name))))) > 0


def test_colluders_fork_alike_and_f_of_them_break_nothing() -> None:
    fork = Attack(Fork((2, 4)))
    assert made(run(plan(fork, n=7, traitors=(0, 1)))) == 2


def test_f_plus_1_that_fork_alike_break_agreement_and_are_caught() -> None:
    report = run(replace(plan(Attack(Fork((2,))), traitors=(0, 1)), partitions=[], seed=3))
    assert any(each.startswith("agreement") for each in report.violations)


def test_bounds_are_half_open_and_what_has_no_value_is_in_none() -> None:
    assert [within(value, (1, 3)) for value in (0, 1, 2, 3, None)] == [
        False,
        True,
        True,
        False,
        False,
    ]
    assert within(None, None)


def test_what_others_garble_is_repeated_by_nobody_and_harms_no_traitor() -> None:
    """A faulty client's damaged request comes in, and lies in the archive of what was seen."""
    garbled = Saying((0, 1, 2, 3), 1, (b"",), flipped=67)
    outbursts = [Outburst("mallory-0", SECOND + at * SECOND // 50, (garbled,)) for at in range(40)]
    report = run(replace(plan(Attack(Repeat(3))), outbursts=outbursts))
    assert made(report) > 0


@pytest.mark.parametrize("kind", ["Preprare", "PrePrepare", ""])
def test_what_attacks_no_kind_of_message_is_refused(kind: str) -> None:
    """It would do nothing, and every oracle would be content."""
    with pytest.raises(ConfigurationError, match=f"no message is a {kind}; .* Commit, "):
        Target(("Prepare", kind))
