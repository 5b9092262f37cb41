"""A swarm's plans keep within the promise, differ in which faults they have, and hold."""

import msgspec
import pytest

from pbft.core.quorum import quorum
from pbft.testing.byzantine import PACING
from pbft.testing.byzantine.attacks import Fork
from pbft.testing.plan import Plan, explicit
from pbft.testing.simulator import run
from pbft.testing.swarm import SIZES, swarm

PLANS = [swarm(seed) for seed in range(300)]


def test_a_seed_is_one_plan_and_plain_data() -> None:
    assert swarm(7) == swarm(7)
    assert swarm(7) != swarm(8)
    for plan in PLANS[:20]:
        whole = explicit(plan)
        assert msgspec.json.decode(msgspec.json.encode(whole), type=Plan) == whole


def test_at_most_f_are_faulty_in_any_way() -> None:
    for plan in PLANS:
        broken = {each.replica for each in plan.damages} | {each.replica for each in plan.losses}
        assert not broken & plan.traitors.keys()
        assert len(broken) + len(plan.traitors) <= plan.config.f
        composed = {r for r, name in plan.traitors.items() if name not in PACING}
        assert plan.attacks.keys() == composed


def test_every_fault_ends_with_the_bad_time() -> None:
    for plan in PLANS:
        assert all(each.end <= plan.gst_ns for each in plan.partitions)
        broken = {each.replica for each in plan.damages}
        healed = [c for c in plan.crashes if plan.is_core(c.replica)]
        assert all(c.end <= plan.gst_ns for c in healed if c.replica not in broken)


def test_a_core_that_heals_alone_is_a_quorum_of_sound_replicas() -> None:
    cores = [plan for plan in PLANS if plan.core is not None]
    assert 10 < len(cores) < 100
    for plan in cores:
        core = plan.core or frozenset()
        faulty = {*plan.traitors, *(each.replica for each in plan.damages)}
        assert len(core) == quorum(plan.config.n)
        assert not core & faulty
        assert not plan.losses


def test_each_class_of_faults_is_there_and_is_not() -> None:
    def share(have: list[bool]) -> float:
        return sum(have) / len(have)

    shares = {
        "loss": share([plan.loss > 0 for plan in PLANS]),
        "duplicates": share([plan.duplicates > 0 for plan in PLANS]),
        "partitions": share([bool(plan.partitions) for plan in PLANS]),
        "crashes": share([bool(plan.crashes) for plan in PLANS]),
        "stops": share([bool(plan.stops) for plan in PLANS]),
        "traitors": share([bool(plan.traitors) for plan in PLANS]),
        "disks": share([bool(plan.losses or plan.damages) for plan in PLANS]),
        "faulty clients": share([plan.faulty_clients > 0 for plan in PLANS]),
        "fast reads": share([plan.config.fast_reads for plan in PLANS]),
        "power cycles": share([plan.power_cycle for plan in PLANS]),
    }
    assert all(0.1 < each < 0.9 for each in shares.values()), shares
    assert {plan.config.n for plan in PLANS} == set(SIZES)


def test_every_act_is_drawn() -> None:
    acts = {type(each.act) for plan in PLANS for some in plan.attacks.values() for each in some}
    assert len(acts) == 11


@pytest.mark.parametrize("seed", range(8))
def test_seeds_hold(seed: int) -> None:
    report = run(swarm(seed))
    assert (report.finished, report.violations) == (True, [])


@pytest.mark.parametrize("seed", range(3))
def test_the_control_breaks_agreement_and_is_caught(seed: int) -> None:
    plan = swarm(seed, beyond=True)
    assert len(plan.traitors) == 2 * quorum(plan.config.n) - plan.config.n
    assert all(isinstance(each.act, Fork) for some in plan.attacks.values() for each in some)
    assert any(each.startswith("agreement") for each in run(plan).violations)


def test_a_service_of_ones_own_is_swarmed_over() -> None:
    plan = swarm(1, "pbft.services.counters:Counters", replicas=4)
    assert (plan.service, plan.config.n) == ("pbft.services.counters:Counters", 4)
    report = run(plan)
    assert (report.finished, report.violations) == (True, [])
