"""What may stand in a plan that somebody else has written: numbers beyond these are a mistake, or
would keep whoever replays it busy for days."""

from collections.abc import Iterator
from typing import Any

from pbft.core.config import MAX_REQUEST_BYTES
from pbft.core.ids import MAX_GUESTS, MILLISECOND, SECOND
from pbft.testing.plan import Plan
from pbft.testing.reductions import REPLICAS, TIMES, names_of

MAX_NS = 24 * 3600 * SECOND
BESIDE_BYTES = 1024
"""What a request holds besides one operation, at most."""
MAX_NAME = 64
NAMES = ("client", "names", "repeats", "shows")
PARTS = {"loss", "duplicates", "chance"}
"""Of one."""
COUNTS: dict[str, tuple[int, int]] = {
    "clients": (0, 1000),
    "faulty_clients": (0, 1000),
    "operations": (0, 100_000),
    "at_once": (1, 10_000),
    "says.times": (1, 10_000),
    "act.times": (1, 10_000),
    "occurrence": (1, 10**9),
    "timestamp": (0, 2**64 - 1),
    "number": (0, 10**6),
    "flipped": (0, 2 * MAX_REQUEST_BYTES),
    "status_interval_ns": (MILLISECOND, MAX_NS),
}


def fault(plan: Plan) -> str | None:
    """What no run can be made of, in words; none where nothing is wrong."""
    if plan.scripts is None and plan.clients < 1:
        return "there are no clients: give it scripts, or at least one of them"
    if plan.core is not None and not plan.core:
        return "nobody is in its core, so that it never ends: leave that out, or name a quorum"
    for key in (*plan.traitors, *plan.attacks):
        if not 0 <= key < plan.config.n:
            return f"there is no replica {key} of {plan.config.n}"
    most = plan.config.request_max_bytes - BESIDE_BYTES
    for script in (plan.scripts or {}).values():
        if any(len(call.operation) > most for call in script.calls):
            return f"an operation has more than {most} bytes, which no client sends"
    return next(_faults("plan", plan, 2 * plan.config.n), None)


def _faults(name: str, value: Any, nodes: int) -> Iterator[str]:
    """`nodes`: replicas, and their second copies."""
    own = name.rpartition(".")[2]
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield from _wrong(name, own, value, nodes)
    elif isinstance(value, str) and own in NAMES:
        yield from _misnamed(name, value)
    elif isinstance(value, dict):
        for key, each in value.items():
            if isinstance(key, str):
                yield from _misnamed(name, key)
            yield from _faults(name, each, nodes)
    elif isinstance(value, list | tuple | frozenset):
        for each in value:
            yield from _faults(name, each, nodes)
    for field in names_of(value):
        yield from _faults(f"{name}.{field}", getattr(value, field), nodes)


def _wrong(name: str, own: str, value: float, nodes: int) -> Iterator[str]:
    low, high = 0.0, float("inf")
    place = ".".join(name.split(".")[-2:])
    if place in COUNTS or own in COUNTS:
        low, high = COUNTS.get(place, COUNTS.get(own, (low, high)))
    elif own in PARTS:
        high = 1
    elif own.endswith("_ns") or own in (*TIMES, "copied"):
        high = MAX_NS
    elif own in (*REPLICAS, "through", "core"):
        high = nodes - 1
    else:
        return
    if not low <= value <= high:
        yield f"{name} is {value}, and not between {low:.0f} and {high:.0f}"


def _misnamed(name: str, value: str) -> Iterator[str]:
    if not 1 <= len(value) <= MAX_NAME:
        yield f"{name} names a client by {len(value)} characters, and not by 1 to {MAX_NAME}"
    slot = value.partition("/")[2]
    if "/" in value and not (slot.isascii() and slot.isdecimal() and int(slot) < MAX_GUESTS):
        yield f"{name} names a guest {value!r}, and not admitter/slot up to {MAX_GUESTS - 1}"
