"""Is a history of key-value operations linearizable? Wing and Gong's search, key by key.

A history is linearizable if its operations can be put into one order that gives every answer and
in which nothing comes before what had ended before it began (Herlihy and Wing; checking keys apart
is enough, since linearizability is local). An operation without an answer may have taken effect
at any time after it began, or never. The search remembers which sets of operations with which
value led nowhere (Lowe), so that a history of hundreds of operations takes milliseconds.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from pbft.core.service import OK
from pbft.services.kv import CompareAndSwap, Delete, Get, Operation, Put, Scan

_operations: "msgspec.msgpack.Decoder[Operation]" = msgspec.msgpack.Decoder(Operation)
NEVER = float("inf")
UNTIL_THE_END = 10**6
"""Steps of one key's search: beyond, the history says nothing."""

Value = bytes | None


@dataclass(frozen=True, slots=True)
class Call:
    """One call: times in any unit; without an answer `ended` is `NEVER` and `result` none."""

    began: float
    ended: float
    operation: bytes
    result: bytes | None


@dataclass(frozen=True, slots=True)
class _Step:
    """What one call says about one key."""

    began: float
    ended: float
    operation: Operation
    answer: object


def unlinearizable(history: Iterable[Call]) -> list[bytes]:
    """The keys whose part of the history fits no order."""
    calls = list(history)
    keys = sorted({key for each in calls for key in _keys(each)})
    return [key for key in keys if not _fits(list(_steps(calls, key)))]


def _decoded(call: Call) -> tuple[Operation, object] | None:
    """The operation and its answer; none for what is refused, which changes and tells nothing."""
    try:
        operation = _operations.decode(call.operation)
    except msgspec.MsgspecError:
        return None
    if call.result is None:
        return operation, None
    return (operation, msgspec.msgpack.decode(call.result[1:])) if call.result[:1] == OK else None


def _keys(call: Call) -> Iterator[bytes]:
    found = _decoded(call)
    if found is not None and not isinstance(found[0], Scan):
        yield found[0].key


def _steps(calls: list[Call], key: bytes) -> Iterator[_Step]:
    for call in calls:
        found = _decoded(call)
        if found is None:
            continue
        operation, answer = found
        if isinstance(operation, Scan):
            covered = key.startswith(operation.prefix) and key >= operation.start
            if not covered or not isinstance(answer, list) or len(answer) == operation.limit:
                continue
            answer = next((value for name, value in answer if name == key), None)
            yield _Step(call.began, call.ended, Get(key), answer)
        elif operation.key == key:
            yield _Step(call.began, call.ended, operation, answer)


def _apply(operation: Operation, value: Value) -> tuple[object, Value]:
    """(answer, value afterwards) on one key."""
    match operation:
        case Put(_, new):
            return None, new
        case Delete():
            return value is not None, None
        case CompareAndSwap(_, expected, new):
            return (True, new) if value == expected else (False, value)
    return value, value


def _fits(steps: list[_Step]) -> bool:
    must = sum(1 << i for i, step in enumerate(steps) if step.ended != NEVER)
    stack: list[tuple[int, Value]] = [(0, None)]
    seen = {stack[0]}
    waiting: dict[int, list[int]] = defaultdict(list)
    while stack and len(seen) < UNTIL_THE_END:
        done, value = stack.pop()
        if done & must == must:
            return True
        if done not in waiting:
            waiting[done] = _next(steps, done)
        for index in waiting[done]:
            answer, after = _apply(steps[index].operation, value)
            place = (done | 1 << index, after)
            known = steps[index].ended != NEVER
            if (not known or answer == steps[index].answer) and place not in seen:
                seen.add(place)
                stack.append(place)
    return bool(stack)


def _next(steps: list[_Step], done: int) -> list[int]:
    """What may come next: began before anything else that is not done yet had ended."""
    left = [i for i in range(len(steps)) if not done >> i & 1]
    first_end = min((steps[i].ended for i in left), default=NEVER)
    return [i for i in left if steps[i].began <= first_end]
