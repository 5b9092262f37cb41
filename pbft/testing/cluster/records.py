"""What the records of a drill must agree in: between replicas, with the callers, with one machine.

Replicas that compute the same have recorded the same results and the same writes, in the same
order; whatever a caller was told is there, once; and a single machine that is given the agreed
order computes it again.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from msgspec import Struct

from pbft.core.ids import RequestKey, SequenceNumber
from pbft.core.state.machine import Machine
from pbft.testing.cluster.witness import Entry, Watched
from pbft.testing.reference import outcome_of
from pbft.testing.subjects import Subject, shown_call

MOST_TOLD = 5
"""Problems of one kind; what differs once differs often."""
SHOWN = 60

Key = tuple[RequestKey, int]
"""A request, and which of its operations."""


class Told(Struct, frozen=True):
    """What a caller asked and was told; the result begins with OK or REFUSED."""

    operation: bytes
    result: bytes


def problems_in(
    records: Sequence[Sequence[Entry]], told: Mapping[str, Sequence[Told]], about: Subject
) -> tuple[int, list[str]]:
    """How many operations were ordered, and what is wrong, in words. Replicas that compute
    different things are all of it: whatever else is wrong then follows from that."""
    entries = order_of(records)
    found = list(_first(_differences(records)))
    if found:
        return len(entries), found
    found += _first(_repeated(entries))
    found += _first(_lost(entries, told))
    found += _first(_computed_otherwise(entries, about))
    return len(entries), found


def _first(texts: Iterator[str]) -> Iterator[str]:
    for _, text in zip(range(MOST_TOLD), texts, strict=False):
        yield text


def key_of(entry: Entry) -> Key:
    """What it executes."""
    context = entry.context
    return (context.client, context.timestamp), context.number


def _differences(records: Sequence[Sequence[Entry]]) -> Iterator[str]:
    """Between replicas, and between two lives of one."""
    known: dict[tuple[SequenceNumber, Key], tuple[int, Entry]] = {}
    for replica, record in enumerate(records):
        for entry in record:
            place = (entry.context.sequence, key_of(entry))
            other, first = known.setdefault(place, (replica, entry))
            if first == entry:
                continue
            whose = f"replica {replica}" if replica != other else f"replica {replica}, restarted,"
            if first.result != entry.result:
                what = f"gives {_result(entry)} where replica {other} gave {_result(first)}"
            else:
                what = f"changes the state otherwise than replica {other}"
            yield f"agreement: {whose} {what} for {shown_call(entry.operation)}"


def _result(entry: Entry) -> str:
    return f"{entry.result[1:]!r}"[:SHOWN]


def order_of(records: Sequence[Sequence[Entry]]) -> list[Entry]:
    """The agreed order: of each sequence number, what the replica has that knows most of it."""
    order: dict[SequenceNumber, list[Entry]] = {}
    for record in records:
        own: dict[SequenceNumber, dict[Key, Entry]] = {}
        for entry in record:
            own.setdefault(entry.context.sequence, {}).setdefault(key_of(entry), entry)
        for sequence, entries in own.items():
            if len(entries) > len(order.get(sequence, ())):
                order[sequence] = list(entries.values())
    return [each for sequence in sorted(order) for each in order[sequence]]


def _repeated(entries: Sequence[Entry]) -> Iterator[str]:
    counted = Counter(map(key_of, entries))
    for entry in entries:
        if counted.pop(key_of(entry), 1) > 1:
            yield f"exactly-once: {shown_call(entry.operation)} was ordered twice"


def _lost(entries: Sequence[Entry], told: Mapping[str, Sequence[Told]]) -> Iterator[str]:
    """Each caller's answers are among what was executed for it, in its order."""
    for client, answers in told.items():
        own = [each for each in entries if each.context.client == client]
        left = iter(sorted(own, key=key_of))
        for answer in answers:
            if not any(Told(each.operation, each.result) == answer for each in left):
                text = f"{shown_call(answer.operation)} gave {answer.result[1:]!r}"[:SHOWN]
                yield f"loss: {client} was told that {text}: the agreed order has it not"
                break


def _computed_otherwise(entries: Sequence[Entry], about: Subject) -> Iterator[str]:
    watched = Watched(about.make())
    machine = Machine(watched)
    for entry in entries:
        outcome_of(partial(machine.execute, entry.operation, entry.context))
        again = watched.entry
        if again is not None and again != entry:
            shown = shown_call(entry.operation)
            yield f"results: a single machine computes something else for {shown}"
        if about.judge is not None:
            yield from _judged(about, watched, entry)


def _judged(about: Subject, watched: Watched, entry: Entry) -> Iterator[str]:
    try:
        if about.judge is not None:
            about.judge(watched.service)
    except Exception as error:  # whatever the service's invariant raises
        text = f"{shown_call(entry.operation)}: {type(error).__name__}: {error}"
        yield f"invariant: after {text}"
