"""Any service can be what a run is about, with calls of its own or made-up ones."""

import random
from contextlib import suppress
from dataclasses import replace

import pytest

from pbft import command
from pbft.core.errors import Refusal, ServiceError
from pbft.core.service import Context
from pbft.core.state.machine import Machine
from pbft.testing.plan import draw
from pbft.testing.simulator import run
from pbft.testing.subjects import KEY_VALUE, subject
from pbft.typed.methods import parse_operation
from tests.typed.bank import Bank

MODULE = __name__


class OwnCalls(Bank):
    """Says itself which calls are worth making."""

    @staticmethod
    def workload(rng: random.Random) -> tuple[object, ...]:
        return ("deposit", "ann", rng.randrange(1, 5))


class WrongCalls(OwnCalls):
    @staticmethod
    def workload(rng: random.Random) -> tuple[object, ...]:
        return ("steal", 1)


def test_the_key_value_service_is_the_one_without_a_name() -> None:
    assert subject(None) is KEY_VALUE


def test_calls_of_a_class_are_made_up() -> None:
    about, rng = subject("pbft.services.counters:Counters"), random.Random(1)
    operations = [about.operation(rng) for _ in range(100)]
    assert {parse_operation(each)[0] for each in operations} == {"add", "reset", "value"}
    assert 0 < sum(map(about.reads, operations)) < 100
    assert not about.reads(b"\x01what a faulty client asks")


def test_a_class_may_name_its_own_calls() -> None:
    about = subject(f"{MODULE}:OwnCalls")
    operation = about.operation(random.Random(1))
    assert parse_operation(operation)[0] == "deposit"
    assert not about.reads(operation)


class Second(Bank):
    """What is new in version 2 is executed once somebody has switched."""

    version = 2

    @command(since=2)
    def close(self, owner: str, why: bool) -> str:
        return f"{owner}, {why}"


class SecondWithCalls(Second):
    @staticmethod
    def workload(rng: random.Random) -> tuple[object, ...]:
        return ("close", "ann", True)


@pytest.mark.parametrize("name", ["Second", "SecondWithCalls"])
def test_a_later_version_is_switched_to_on_the_way(name: str) -> None:
    about, rng = subject(f"{MODULE}:{name}"), random.Random(1)
    machine, closed = Machine(about.make()), 0
    for number in range(200):
        operation = about.operation(rng)
        with suppress(Refusal):
            machine.execute(operation, Context("ann", number + 1, 0))
            closed += parse_operation(operation)[0] == "close"
    assert 0 < closed < 200


def test_calls_that_the_class_has_not_are_refused() -> None:
    about = subject(f"{MODULE}:WrongCalls")
    with pytest.raises(ServiceError, match="names 'steal'"):
        about.operation(random.Random(1))


@pytest.mark.parametrize("name", ["no.such:Thing", "pbft.testing.subjects:Nothing"])
def test_what_cannot_be_imported_is_said(name: str) -> None:
    with pytest.raises(ServiceError, match="cannot be imported"):
        subject(name)


@pytest.mark.parametrize("name", ["counters:Counters", "locks:Locks", "databases:Database"])
def test_a_run_is_about_any_service(name: str) -> None:
    report = run(replace(draw(5), service=f"pbft.services.{name}"))
    assert (report.finished, report.violations) == (True, [])
    assert report.operations > 30
