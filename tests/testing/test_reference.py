"""The reference tells wrong answers from right ones; a run's own answers are right."""

from dataclasses import replace

import msgspec
import pytest

from pbft.core.service import OK
from pbft.testing.plan import draw
from pbft.testing.reference import check_answers
from pbft.testing.simulator import Simulation

WRONG = OK + msgspec.msgpack.encode(b"something else")
SEED = 5
"""With fast reads; without faulty clients."""


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    made = Simulation(draw(SEED, 4, 0))
    assert made.run().finished
    return made


def complaints(simulation: Simulation) -> list[str]:
    """Of a fresh look."""
    simulation.checkers.complaints.clear()
    check_answers(simulation.checkers, simulation.workloads, simulation.plan)
    found = list(simulation.checkers.complaints)
    simulation.checkers.complaints.clear()
    return found


def test_the_answers_of_a_run_are_those_of_one_machine(simulation: Simulation) -> None:
    assert complaints(simulation) == []


def test_a_changed_answer_is_noticed(simulation: Simulation) -> None:
    work = simulation.workloads["client-0"]
    call = next(iter(work.answers.keys() - work.read_at.keys()))
    told, work.answers[call] = work.answers[call], WRONG
    assert any(each.startswith("results") for each in complaints(simulation))
    work.answers[call] = told


def test_a_changed_fast_read_is_noticed(simulation: Simulation) -> None:
    work = next(w for w in simulation.workloads.values() if w.read_at)
    call = next(iter(work.read_at))
    told, work.answers[call] = work.answers[call], WRONG
    assert any(each.startswith("reads") for each in complaints(simulation))
    work.answers[call] = told


def test_an_answer_that_nobody_executed_is_a_loss(simulation: Simulation) -> None:
    work = simulation.workloads["client-0"]
    calls = [10**6 + i for i in range(200)]
    for call in calls:
        work.answers[call], work.operations[call] = b"\0", b"?"
    assert any(each.startswith("loss") for each in complaints(simulation))
    for call in calls:
        del work.answers[call], work.operations[call]


def test_an_order_against_real_time_is_noticed() -> None:
    made = Simulation(replace(draw(4, 4, 0), loss=0.0, faulty_clients=0))
    assert made.run().violations == []
    work = made.workloads["client-0"]
    last = max(work.asked)
    work.asked[last] = work.answered_at[last] = -1
    assert any("ordered at" in each for each in complaints(made))
