"""The families of plans that a campaign is made of, and the controls that must be flagged.

A control breaks the promise's only condition, at most f faulty, or the protocol itself: oracles
that say nothing about it would say nothing about a defect.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from pbft.core.config import Configuration
from pbft.core.quorum import quorum
from pbft.testing.byzzfuzz import byzzfuzz, cells
from pbft.testing.plan import Plan, draw
from pbft.testing.swarm import swarm
from pbft.testing.twins import count, twins

FLAGGED_WITHIN = 100


class Judged(Protocol):
    """A run, as a control is judged by it."""

    @property
    def violations(self) -> list[str]: ...
    @property
    def finished(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Family:
    """`plan(index)`, for each index below `count`; `drawn`: at random, so that the shares of
    situations say something."""

    plan: Callable[[int], Plan]
    count: int
    drawn: bool = False


@dataclass(frozen=True, slots=True)
class Control:
    """Plans of which at least one has to be flagged, within the first `FLAGGED_WITHIN`."""

    plan: Callable[[int], Plan]
    flags: Callable[[Judged], bool]


SIZES = (4, 4, 4, 5, 6, 7)
"""Numbers of replicas, in turn."""


def _seed(index: int) -> Plan:
    return draw(index, SIZES[index % len(SIZES)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowered(Configuration):
    """A cluster whose quorum is one too small: two of them may share no correct replica."""

    @property
    def quorum(self) -> int:
        return quorum(self.n) - 1


def _lowered(index: int) -> Plan:
    plan = draw(index, 4)
    fields = {name: getattr(plan.config, name) for name in Configuration.__slots__}
    return replace(plan, config=Lowered(**fields))


def _silent(index: int) -> Plan:
    plan = draw(index, 4, 0)
    return replace(plan, traitors={0: "silent", 1: "silent"})


def disagrees(judged: Judged) -> bool:
    """Agreement is broken, and said to be."""
    return any(each.startswith("agreement") for each in judged.violations)


def _rounds(index: int) -> Plan:
    """Each (d, c) in turn."""
    every = cells()
    d, c = every[index % len(every)]
    return byzzfuzz(d, c, index // len(every))


FAMILIES: dict[str, Family] = {
    "seeds": Family(_seed, 10**6, drawn=True),
    "swarm": Family(swarm, 10**6, drawn=True),
    "twins": Family(twins, count()),
    "byzzfuzz": Family(_rounds, 10**6),
}

CONTROLS: dict[str, Control] = {
    "f+1 traitors stop": Control(_silent, lambda judged: not judged.finished),
    "f+1 twins fork": Control(lambda index: draw(index, 4, 2), disagrees),
    "f+1 twins, enumerated": Control(partial(twins, beyond=True), disagrees),
    "a swarm in which too many fork": Control(partial(swarm, beyond=True), disagrees),
    "a quorum too small": Control(_lowered, lambda judged: bool(judged.violations)),
}


def plan_of(family: str, index: int) -> Plan:
    """One plan."""
    known: Family | Control = FAMILIES.get(family) or CONTROLS[family]
    return known.plan(index)
