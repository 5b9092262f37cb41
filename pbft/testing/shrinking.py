"""A failing plan made smaller until the same oracle only just still fails.

Each step runs a smaller plan and keeps it where the *same* property is violated first: a plan that
fails in another way is another finding. Coarse steps come first, since they save most: all but the
calls, whole kinds of events, whole clients, fewer replicas; then halves, quarters and single events
(delta debugging), and simpler values, again and again until nothing more can go.

What the network does to one message depends on those before it, so that a step may lose the failure
by chance alone. Coarse steps are therefore tried under a few seeds.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import msgspec

from pbft.core.errors import PbftError
from pbft.testing.plan import Plan, explicit
from pbft.testing.planfiles import violated
from pbft.testing.reductions import (
    SCRIPTS,
    Part,
    events,
    excess,
    groups,
    parts,
    simpler,
    smaller,
    without,
)
from pbft.testing.simulator import Report, run

RUNS = 600
SEEDS = 3
"""A coarse step is tried under so many seeds."""

Judge: TypeAlias = Callable[[Plan], Report]
Progress: TypeAlias = Callable[[int, int], None]


class ShrinkingError(PbftError):
    """There is no failure to make smaller."""


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The smallest plan found, its report, how many runs that took, and whether it is certain that
    no single event can go (the budget was not used up)."""

    plan: Plan
    report: Report
    runs: int
    complete: bool


class BudgetSpent(Exception):
    """No more runs, or no more time."""


def shrink(
    plan: Plan,
    judge: Judge = run,
    *,
    report: Report | None = None,
    runs: int = RUNS,
    seconds: float | None = None,
    progress: Progress = lambda runs, events: None,
) -> Shrunk:
    """Make `plan` smaller, in at most so many `runs` and, where that is given, `seconds`: with
    runs alone the same plan always ends the same. `report`: what it shows, where that is known; a
    judge in a hurry would see something else. `progress(runs, events)` is told of every run.
    Raises `ShrinkingError` where nothing is wrong with it."""
    report = judge(plan) if report is None else report
    oracle = violated(report)
    if oracle is None:
        raise ShrinkingError("this plan violates nothing: there is nothing to make smaller")
    until = None if seconds is None else time.monotonic() + seconds
    search = Search(explicit(plan), report, oracle, judge, runs, until, progress)
    try:
        search.go()
    except BudgetSpent:
        return Shrunk(search.plan, search.report, search.runs, False)
    return Shrunk(search.plan, search.report, search.runs, True)


class Search:
    """For the smallest plan; `plan` and `report` are the best so far."""

    def __init__(
        self,
        plan: Plan,
        report: Report,
        oracle: str,
        judge: Judge,
        runs: int,
        until: float | None,
        progress: Progress,
    ) -> None:
        self.plan = plan
        self.report = report
        self.runs = 1
        self._oracle = oracle
        self._excess = excess(plan)
        self._judge = judge
        self._most = runs
        self._until = until
        self._progress = progress
        self._tried: set[bytes] = set()

    def go(self) -> None:
        """Until a whole round changes nothing. Raises `BudgetSpent`."""
        self._bare()
        changed = True
        while changed:
            before = self.plan
            self._coarse()
            self._fewer_replicas()
            self._fine()
            self._values()
            changed = self.plan != before

    # -- steps --------------------------------------------------------------------------------

    def _bare(self) -> None:
        """A bug of a service takes calls alone; and runs without signatures, of four replicas, are
        the quickest, so that more of them fit into the time."""
        done = {part for part in parts(self.plan) if part.field != SCRIPTS}
        quick = replace(self.plan, real_keys=False)
        self._try(without(quick, done), SEEDS) or self._try(quick, 1)

    def _coarse(self) -> None:
        for group in groups(self.plan):
            still = set(parts(self.plan))
            if still.issuperset(group):
                self._drop(group, SEEDS)

    def _values(self, seeds: int = 1) -> None:
        """Each value by itself: what is simpler stays, and the rest is tried on that."""
        done: set[str] = set()
        while True:
            left = ((what, plan) for what, plan in simpler(self.plan) if what not in done)
            what, candidate = next(left, ("", None))
            if candidate is None:
                return
            done.add(what)
            self._try(candidate, seeds)

    def _fewer_replicas(self) -> None:
        for _, candidate in smaller(self.plan):
            if self._try(candidate, SEEDS):
                return self._fewer_replicas()

    def _fine(self) -> None:
        """Chunks of events, from the end, half as long each time."""
        size = len(parts(self.plan)) // 2
        while size:
            end = len(parts(self.plan))
            while end > 0:
                self._drop(parts(self.plan)[max(0, end - size) : end], SEEDS if size > 2 else 1)
                end = min(end - size, len(parts(self.plan)))
            size //= 2

    def _drop(self, gone: Sequence[Part], seeds: int) -> bool:
        return self._try(without(self.plan, set(gone)), seeds)

    # -- one candidate ------------------------------------------------------------------------

    def _try(self, candidate: Plan, seeds: int) -> bool:
        """Whether it fails alike, under its own seed or one of the next; it is the best then."""
        if excess(candidate) > self._excess:
            return False
        return any(self._fails(each) for each in _reseeded(candidate, seeds))

    def _fails(self, candidate: Plan) -> bool:
        key = msgspec.msgpack.encode(candidate)
        if key in self._tried:
            return False
        if self.runs >= self._most or (self._until is not None and time.monotonic() > self._until):
            raise BudgetSpent
        self._tried.add(key)
        self.runs += 1
        report = self._judged(candidate)
        if report is not None and violated(report) == self._oracle:
            self.plan, self.report = candidate, report
        self._progress(self.runs, events(self.plan))
        return self.plan is candidate

    def _judged(self, candidate: Plan) -> Report | None:
        """None for what is no plan any more: something in it names what has been taken out."""
        try:
            return self._judge(candidate)
        except (LookupError, ValueError, PbftError):
            return None


def _reseeded(plan: Plan, count: int) -> Iterator[Plan]:
    for step in range(count):
        yield replace(plan, seed=plan.seed + step)
