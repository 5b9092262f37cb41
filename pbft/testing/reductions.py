"""What can be taken out of a plan, or made simpler in it.

The *events* of a plan are what somebody does in it: calls, what faulty clients say, traitors, and
faults of every kind. Each list in a plan is one of events, and so is each of its tables: a new kind
of fault needs nothing here. What lasts, as a network that loses, is one event more, each.
"""

from collections.abc import Hashable, Iterable, Iterator, Set
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeAlias

import msgspec

from pbft.core.ids import MILLISECOND, SECOND
from pbft.core.quorum import faults
from pbft.testing.network import MIN_DELAY_NS
from pbft.testing.plan import Plan
from pbft.testing.scripts import Script

SCRIPTS = "scripts"
LASTING = ("loss", "duplicates", "core", "power_cycle")
"""What a plan has or has not, for as long as it runs: an event each."""
TIMES = ("begin", "end", "recovered", "at")
"""Fields of events that hold a time of the run."""
REPLICAS = ("replica", "group", "to")
"""Fields of events that name replicas."""


@dataclass(frozen=True, slots=True)
class Part:
    """One event: the field that holds it, whose it is where it is one of several of somebody's (a
    client's calls), and where it stands."""

    field: str
    owner: Hashable
    key: Hashable


Reduction: TypeAlias = tuple[str, Plan]
"""What was done, in words, and what is left."""


def parts(plan: Plan) -> list[Part]:
    """The events of an explicit plan that can be taken out one by one, calls last."""
    found = [
        part for field in fields(plan) for part in _parts(field.name, getattr(plan, field.name))
    ]
    return sorted(found, key=lambda part: part.field == SCRIPTS)


def _parts(name: str, value: Any) -> Iterator[Part]:
    if isinstance(value, list | tuple):
        yield from (Part(name, None, at) for at in range(len(value)))
    for key, each in value.items() if isinstance(value, dict) else ():
        several = _several(each)
        if several is None:
            yield Part(name, None, key)
        else:
            yield from (Part(name, key, at) for at in range(len(several)))


def _several(value: Any) -> tuple[Any, ...] | None:
    """The events in one entry of a table; none where it is one itself."""
    if isinstance(value, Script):
        return value.calls
    return value if isinstance(value, tuple) else None


def events(plan: Plan) -> int:
    """How many there are in an explicit plan."""
    return sum(tally(plan).values())


def tally(plan: Plan) -> dict[str, int]:
    """The same by kind, in words."""
    found: dict[str, int] = {}
    for part in parts(plan):
        name = "calls" if part.field == SCRIPTS else part.field
        found[name] = found.get(name, 0) + 1
    return found | {name: 1 for name in LASTING if getattr(plan, name)}


def summary(plan: Plan) -> str:
    """How many, and of which kinds."""
    kinds = ", ".join(f"{kind} {count}" for kind, count in tally(plan).items())
    return f"{events(plan)} events ({kinds or 'none'})"


def without(plan: Plan, gone: Set[Part]) -> Plan:
    """The plan with those events taken out, and with them who then does nothing more."""
    changes: dict[str, Any] = {}
    for name in {part.field for part in gone}:
        value = getattr(plan, name)
        if isinstance(value, dict):
            left = {key: _left(name, key, each, gone) for key, each in value.items()}
            changes[name] = {key: each for key, each in left.items() if each is not None}
        else:
            kept = (each for at, each in enumerate(value) if Part(name, None, at) not in gone)
            changes[name] = type(value)(kept)
    return _counted(replace(plan, **changes))


def _left(name: str, key: Hashable, each: Any, gone: Set[Part]) -> Any:
    """What is left of one entry of a table; none where nothing is."""
    several = _several(each)
    if several is None:
        return None if Part(name, None, key) in gone else each
    kept = tuple(one for at, one in enumerate(several) if Part(name, key, at) not in gone)
    if not kept:
        return None
    return replace(each, calls=kept) if isinstance(each, Script) else kept


def _counted(plan: Plan) -> Plan:
    """What an explicit plan says in numbers follows from what is in it."""
    scripts, said = plan.scripts or {}, plan.outbursts or []
    return replace(
        plan,
        clients=len(scripts),
        faulty_clients=len({each.client for each in said}),
        operations=sum(len(each.calls) for each in scripts.values()),
    )


def groups(plan: Plan) -> list[list[Part]]:
    """Events that are worth taking out together: a whole kind, a whole client."""
    found: dict[tuple[str, Hashable], list[Part]] = {}
    for part in parts(plan):
        found.setdefault((part.field, part.owner), []).append(part)
    return sorted(found.values(), key=len, reverse=True)


# -- simpler values -------------------------------------------------------------------------------


def simpler(plan: Plan) -> Iterator[Reduction]:
    """Plans with as many events, each simpler in one value."""
    changes: tuple[tuple[str, Any], ...] = (
        ("per_link", True),
        ("power_cycle", False),
        ("core", None),
        ("loss", 0.0),
        ("duplicates", 0.0),
        ("disk_delay_ns", 0),
        ("delay_ns", MIN_DELAY_NS),
        ("delay_ns", 2 * MILLISECOND),
        ("calm_delay_ns", 2 * MIN_DELAY_NS),
        ("real_keys", False),
    )
    for name, value in changes:
        if getattr(plan, name) != value and (name != "delay_ns" or value < plan.delay_ns):
            yield f"{name} {value}", replace(plan, **{name: value})
    yield from _calmer(plan)
    yield from _configured(plan)
    yield from _scripted(plan)
    yield from _stopped(plan)


def _calmer(plan: Plan) -> Iterator[Reduction]:
    """The bad time as short as its faults allow, or half as long."""
    last = max((at for event in _events(plan) for at in _times(event)), default=0)
    for gst in dict.fromkeys((max(last, SECOND), max(last, plan.gst_ns // 2))):
        if gst < plan.gst_ns:
            yield f"calm after {gst / SECOND:.2f} s", replace(plan, gst_ns=gst)


def _configured(plan: Plan) -> Iterator[Reduction]:
    changes: tuple[dict[str, Any], ...] = (
        {"pipeline": 1},
        {"batch_max_requests": 1},
        {"fast_reads": False},
        {"inline_max_bytes": 8192},
        {"checkpoint_interval": 4, "window": 8},
    )
    for change in changes:
        config = replace(plan.config, **change)
        if config != plan.config:
            yield f"{change}", replace(plan, config=config)


def _scripted(plan: Plan) -> Iterator[Reduction]:
    """Everybody calls one thing at a time, at once; faulty clients say one thing each time."""
    scripts, said = plan.scripts or {}, plan.outbursts or []
    one = {name: replace(each, at_once=1) for name, each in scripts.items()}
    if one != scripts:
        yield "one call at a time", replace(plan, scripts=one)
    quick = {
        name: replace(each, calls=tuple(replace(c, pause_ns=0) for c in each.calls), begin_ns=0)
        for name, each in scripts.items()
    }
    if quick != scripts:
        yield "no pauses", replace(plan, scripts=quick)
    brief = [replace(each, says=each.says[:1]) for each in said]
    if brief != said:
        yield "one saying each", replace(plan, outbursts=brief)


def _stopped(plan: Plan) -> Iterator[Reduction]:
    """Stops that come sooner, so that fewer calls need to come before."""
    for at, stop in enumerate(plan.stops):
        for occurrence in dict.fromkeys((1, stop.occurrence // 2, stop.occurrence - 1)):
            if 1 <= occurrence < stop.occurrence:
                sooner = msgspec.structs.replace(stop, occurrence=occurrence)
                stops = [*plan.stops[:at], sooner, *plan.stops[at + 1 :]]
                yield f"stop {at} at {occurrence}", replace(plan, stops=stops)


# -- fewer replicas -------------------------------------------------------------------------------


def smaller(plan: Plan) -> Iterator[Reduction]:
    """Plans with fewer replicas, f refitted: what is about a replica that is gone goes with it."""
    for n in dict.fromkeys((4, (4 + plan.config.n) // 2, plan.config.n - 1)):
        if not 4 <= n < plan.config.n:
            continue
        left = {name: _within(getattr(plan, name), n) for name in (*_lists(plan), *_tables(plan))}
        left["core"] = None if plan.core is None else plan.core & set(range(n))
        here = {each: name for each, name in plan.traitors.items() if each < n}
        config = replace(plan.config, n=n)
        for count in dict.fromkeys((len(here), min(len(here), faults(n)))):
            traitors = dict(list(here.items())[:count])
            yield f"{n} replicas", _counted(replace(plan, config=config, traitors=traitors, **left))


def excess(plan: Plan) -> int:
    """How many more are faulty than the promise allows: a reduction must not add to that."""
    damaged = {each.replica for each in plan.damages}
    lost = {each.replica for each in plan.losses}
    return max(0, len(damaged | lost | plan.traitors.keys()) - plan.config.f)


def _lists(plan: Plan) -> list[str]:
    return [
        each.name for each in fields(plan) if isinstance(getattr(plan, each.name), list | tuple)
    ]


def _tables(plan: Plan) -> list[str]:
    """By replica, traitors apart: of them there may be too many afterwards."""
    names = (each.name for each in fields(plan) if isinstance(getattr(plan, each.name), dict))
    return [name for name in names if name not in (SCRIPTS, "traitors")]


def _events(plan: Plan) -> Iterator[object]:
    for name in _lists(plan):
        if name != "outbursts":
            yield from getattr(plan, name)


def _times(event: object) -> Iterable[int]:
    found = (getattr(event, name, None) for name in TIMES)
    return [each for each in found if isinstance(each, int)]


def _within(found: Any, n: int) -> Any:
    """The events as far as they are about replicas below `n`; of a table, by replica, those."""
    if isinstance(found, dict):
        return {key: each for key, each in found.items() if key < n}
    return type(found)(left for each in found if (left := _cut(each, n)) is not None)


def _cut(event: Any, n: int) -> Any:
    """`event` without replicas from `n` on; none where it is about nothing else."""
    changes: dict[str, Any] = {}
    for name in names_of(event):
        value = getattr(event, name)
        if name in REPLICAS and isinstance(value, int):
            if value >= n:
                return None
        elif name in REPLICAS and isinstance(value, tuple | frozenset):
            changes[name] = type(value)(each for each in value if each < n)
            if value and not changes[name]:
                return None
        elif isinstance(value, tuple) and value and names_of(value[0]):
            changes[name] = _within(value, n)
            if not changes[name]:
                return None
    change = replace if is_dataclass(event) else msgspec.structs.replace
    return change(event, **changes) if changes else event


def names_of(event: Any) -> tuple[str, ...]:
    """Of its fields, where it has some."""
    if is_dataclass(event):
        return tuple(field.name for field in fields(event))
    return event.__struct_fields__ if isinstance(event, msgspec.Struct) else ()
