"""Fixed seeds at every size, the control, and one trace whatever the hash seed."""

import json
import os
import subprocess
import sys

import pytest

from pbft.core.quorum import quorum
from pbft.testing.plan import Plan, draw, termination_bound_ns
from pbft.testing.simulator import simulate

SEEDS = [(4, range(0, 24)), (5, range(0, 4)), (6, range(0, 4)), (7, range(0, 5))]


@pytest.mark.parametrize(("replicas", "seed"), [(n, seed) for n, seeds in SEEDS for seed in seeds])
def test_seeds_finish_without_a_violation(replicas: int, seed: int) -> None:
    report = simulate(seed, replicas)
    assert report.violations == []
    assert report.finished
    assert report.operations > 30


@pytest.mark.parametrize(("replicas", "seed"), [(4, 1936), (7, 2044), (4, 5155)])
def test_seeds_that_once_failed(replicas: int, seed: int) -> None:
    """5155: who lost its disk may vote again where a quorum knows no vote of it; it is blamed."""
    report = simulate(seed, replicas)
    assert (report.finished, report.violations) == (True, [])


@pytest.mark.scenario("EQ6", "AC2")
@pytest.mark.parametrize(("replicas", "seed"), [(4, 0), (4, 1), (7, 0), (5, 0), (6, 0)])
def test_the_control_breaks_agreement_and_is_caught(replicas: int, seed: int) -> None:
    """Two quorums meet in 2q - n replicas: f+1 of them, or one more where n has room to spare."""
    report = simulate(seed, replicas, 2 * quorum(replicas) - replicas)
    assert any(each.startswith("agreement") for each in report.violations)


def test_where_f_plus_1_cannot_fork_they_can_still_stop_everything() -> None:
    report = simulate(0, 5, 2)
    assert not report.finished
    assert not any(each.startswith("agreement") for each in report.violations)


def test_some_seeds_read_outside_the_order_and_some_name_large_requests() -> None:
    reports = {seed: simulate(seed) for seed in (1, 2, 3)}
    assert [s for s, report in reports.items() if report.faults.get("fast read", 0) > 5] == [1]
    assert [s for s, report in reports.items() if report.faults["named request"] > 5] == [2]


def test_without_faults_a_run_is_quiet() -> None:
    plan = next(p for p in map(_calm, range(200)) if p is not None)
    report = simulate(plan.seed, 4, 0)
    assert report.view_changes == 0
    assert report.faults["lost"] == report.faults["cut by partition"] == 0
    assert report.finished


def _calm(seed: int) -> Plan | None:
    plan = draw(seed, 4, 0)
    calm = not (plan.loss or plan.partitions or plan.crashes or plan.faulty_clients)
    return plan if calm and plan.delay_ns < 20_000_000 else None


def test_the_bound_is_f_plus_1_capped_timeouts_and_stated_round_trips() -> None:
    plan = draw(0)
    config = plan.config
    views = (config.f + 1) * (config.timeout_max_ns + config.request_timeout_ns)
    trips = termination_bound_ns(plan) - views - config.request_timeout_ns
    round_trip = 2 * (plan.calm_delay_ns + plan.disk_delay_ns) + 2 * config.status_interval_ns
    assert trips == 40 * round_trip


def test_one_seed_is_one_trace_whatever_the_hash_seed() -> None:
    def trace(hash_seed: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "pbft", "simulate", "--seed", "7", "--json"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        )
        return str(json.loads(done.stdout.splitlines()[-1])["trace_digest"])

    assert len({trace(seed) for seed in ("0", "4711")}) == 1


def test_different_seeds_are_different_runs() -> None:
    assert simulate(3).trace_digest != simulate(4).trace_digest
