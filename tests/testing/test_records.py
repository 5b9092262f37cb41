"""What the records of a drill are judged by, on records with one thing wrong each."""

from collections.abc import Sequence

import msgspec
import pytest

from pbft.core.service import OK, Context
from pbft.core.state.machine import Machine
from pbft.testing.cluster.records import Told, problems_in
from pbft.testing.cluster.witness import Entry, Watched
from pbft.testing.subjects import subject
from pbft.typed.methods import methods_of
from tests.testing.breakable import LastToken

ABOUT = subject(f"{LastToken.__module__}:LastToken")
TOKENS = ("a", "a", "b", "c")


def pay(token: str) -> bytes:
    return methods_of(LastToken)["pay"][0].pack((token,), {})


def recorded(tokens: Sequence[str] = TOKENS) -> list[Entry]:
    """Each of a client of its own, in the order."""
    watched, found = Watched(ABOUT.make()), []
    machine = Machine(watched)
    for number, token in enumerate(tokens, 1):
        machine.execute(pay(token), Context(f"client-{number % 2}", number, number, number))
        assert watched.entry is not None
        found.append(watched.entry)
    return found


def told_of(record: Sequence[Entry]) -> dict[str, list[Told]]:
    told: dict[str, list[Told]] = {}
    for each in record:
        told.setdefault(each.context.client, []).append(Told(each.operation, each.result))
    return told


def changed(record: list[Entry], at: int, **changes: object) -> list[Entry]:
    return [*record[:at], msgspec.structs.replace(record[at], **changes), *record[at + 1 :]]


def test_equal_records_and_what_callers_were_told_hold() -> None:
    record = recorded()
    behind, restarted = record[:2], [*record[:3], *record[1:]]
    assert problems_in([record, behind, restarted, []], told_of(record), ABOUT) == (4, [])
    unheard = told_of(record[:1])
    assert problems_in([record], unheard, ABOUT) == (4, [])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"result": OK + b"\x07"}, "agreement: replica 1 gives"),
        ({"writes": b"otherwise"}, "agreement: replica 1 changes the state otherwise"),
    ],
)
def test_what_replicas_compute_differently_is_named(changes: dict[str, object], said: str) -> None:
    record = recorded()
    _, (text,) = problems_in([record, changed(record, 2, **changes)], told_of(record), ABOUT)
    assert text.startswith(said)
    assert "pay('b')" in text


def test_what_all_compute_alike_and_one_machine_does_not_is_named() -> None:
    record = changed(recorded(), 1, writes=b"from a hidden place")
    _, (text,) = problems_in([record, record], told_of(record), ABOUT)
    assert text == "results: a single machine computes something else for pay('a')"


def test_an_answer_that_is_not_in_the_order_is_a_loss() -> None:
    record = recorded()
    told = told_of(record) | {"client-9": [Told(pay("z"), OK + b"\x09")]}
    _, (text,) = problems_in([record], told, ABOUT)
    assert text.startswith("loss: client-9 was told that pay('z') gave")


def test_what_is_ordered_twice_is_named() -> None:
    record = recorded()
    twice = [
        *record,
        msgspec.structs.replace(
            record[3], context=msgspec.structs.replace(record[3].context, sequence=9)
        ),
    ]
    _, problems = problems_in([twice], told_of(record), ABOUT)
    assert "exactly-once: pay('c') was ordered twice" in problems


def test_the_services_own_invariant_is_judged() -> None:
    record = recorded(("a", "b", "a"))
    _, problems = problems_in([record], told_of(record), ABOUT)
    assert problems == [
        "invariant: after pay('a'): ValueError: 2 were paid and 3 are counted",
    ]
