"""`pbft check` as a library: a user's service under simulated misfortune, and what came of it.

First the service runs in several processes that differ in what must not matter (`determinism`), as
one process can never see its own hash seed. Then come drawn runs on all cores, under every oracle;
what fails is made smaller and kept as a plan file and a page.

    found = check("bank:Bank", seeds=50)
    print(found.problems or "it held")
"""

import os
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

from msgspec import Struct

from pbft.core.errors import InvalidArgumentsError, ServiceError
from pbft.testing import determinism, differing
from pbft.testing.determinism import UnfinishedError, imported
from pbft.testing.exercise import Calls, Exercised, command_of, shares, summed, untested
from pbft.testing.patience import (
    ENDLESS,
    PROCESS,
    RUN_SECONDS,
    UNRETURNED,
    apart,
    bounded,
    limited,
)
from pbft.testing.plan import Plan, explicit
from pbft.testing.planfiles import DIRECTORY, check_writable, keep, violated
from pbft.testing.reductions import events
from pbft.testing.replaying import ENDED, contained, judge_of
from pbft.testing.shrinking import shrink
from pbft.testing.simulator import Report, run
from pbft.testing.situations import Situations
from pbft.testing.subjects import Subject, shown_call, subject
from pbft.testing.swarm import swarm
from pbft.testing.timeline.observer import Recorder
from pbft.testing.timeline.page import write as write_page
from pbft.typed.methods import methods_of

SEEDS = 50
CALLS = 200
"""Of the check for determinism."""
SHRINK_SECONDS = 60.0
AGAIN = 3
"""So often a failure is looked for again: what is not deterministic may hold now and then."""
NOT_AGAIN = "run again, the same plan holds: the service depends on more than its calls"
FEWER_SECONDS = 20.0
"""For leaving out calls that the difference between processes does not need."""
ENOUGH = 8
"""So many failed runs show what is wrong: no more are begun."""
MOST_TOLD = 2
"""Failures, of different properties, that are made smaller and kept."""
HOUR_NS = 3600 * 10**9


class Run(Struct, frozen=True):
    """What one seed showed. `oracle`: the property that it violated, if any; `events`: how many
    its plan has."""

    seed: int
    events: int
    oracle: str | None
    violations: list[str]
    calls: dict[str, Calls]
    situations: list[str]
    faults: list[str]
    virtual_ns: int


class Finding(Struct, frozen=True):
    """What is wrong: the property and the complaint in words; how many events of the plan are
    left, whether certainly none of them can go, and where it is kept. What several processes
    compute differently has no seed."""

    oracle: str
    text: str
    seed: int | None = None
    events: int | None = None
    least: bool = False
    file: str | None = None
    page: str | None = None

    @property
    def again(self) -> str | None:
        """The command that shows it again."""
        return None if self.file is None else f"pbft replay {self.file}"


class Checked(Struct, frozen=True):
    """All that `check` found and did. `untested`: what no call got through to, in words."""

    service: str
    runs: int
    failed: int
    calls: dict[str, Calls]
    situations: dict[str, float]
    faults: dict[str, float]
    virtual_hours: float
    findings: list[Finding]
    untested: list[str]

    @property
    def problems(self) -> list[str]:
        """Empty where it held and every command was really called."""
        return [f"{each.oracle}: {each.text}" for each in self.findings] + self.untested


Progress = Callable[[str, int, int], None]
"""Told what goes on, how many runs are done, and of how many."""


def check(
    service: str,
    *,
    seeds: int = SEEDS,
    seconds: float | None = None,
    seed: int = 0,
    limit: float = RUN_SECONDS,
    jobs: int | None = None,
    directory: Path = DIRECTORY,
    progress: Progress = lambda what, done, total: None,
) -> Checked:
    """Check `module:Class` with so many seeds from `seed` on, each run within `limit` seconds, and
    no new ones after `seconds`. Raises `ServiceError` where it cannot be imported or called,
    `PlanFileError` where nothing can be kept in `directory`, and `InvalidArgumentsError` where
    that would check nothing."""
    check_writable(directory)
    _judge(seeds, jobs)
    with limited(limit):
        about = subject(service)
        about.make()
        about.operation(random.Random(seed))
    progress("determinism", 0, seeds)
    findings = list(differences(service, about, seed, directory, limit))
    jobs = jobs or os.cpu_count() or 1
    runs: list[Run] = []
    for each in _judged(service, range(seed, seed + seeds), seconds, limit, jobs):
        runs.append(each)
        progress("simulation", len(runs), seeds)
    failed = sorted((each for each in runs if each.oracle), key=lambda each: -each.events)
    least = {each.oracle: each for each in failed}
    told = sorted(least.values(), key=lambda each: each.events)[:MOST_TOLD]
    progress("making failures smaller", len(runs), seeds)
    with ProcessPoolExecutor(jobs) as pool:
        smaller = [pool.submit(reduced, service, each, directory, limit) for each in told]
        broken = sorted((each.result() for each in smaller), key=lambda each: each.events or 0)
    return _summary(service, runs, len(failed), findings + broken)


def _judge(seeds: int, jobs: int | None) -> None:
    for name, number in (("seeds", seeds), ("jobs", jobs)):
        if number is not None and number < 1:
            raise InvalidArgumentsError(
                f"{name} has to be 1 or more, and {number} is not: it would check nothing"
            )


def differences(
    service: str, about: Subject, seed: int, directory: Path, limit: float = RUN_SECONDS
) -> Iterator[Finding]:
    """What a service with commands computes differently in several processes, kept in `directory`:
    the one call, where it is enough, or all up to it; or the call that ends a process, or does not
    return."""
    if not methods_of(imported(service)):
        return
    dice = random.Random(f"determinism {seed}")
    made = [about.operation(dice) for _ in range(CALLS)]
    calls = [determinism.Operation(command_of(op), shown_call(op), op) for op in made]
    try:
        report = determinism.check(service, calls=calls, seconds=limit)
        if report is not None:
            report, calls = _fewer(service, calls, report)
            yield _difference(service, calls, report, directory)
    except UnfinishedError as error:
        yield Finding(ENDLESS if error.late else PROCESS, str(error), events=error.number)


def _fewer(
    service: str, calls: list[determinism.Operation], report: determinism.Report
) -> tuple[determinism.Report, list[determinism.Operation]]:
    """A difference that takes few calls, and these: the last alone, or as many as could not be
    left out in the time."""
    until = time.monotonic() + FEWER_SECONDS
    calls = calls[: report.number]
    alone = determinism.check(service, calls=calls[-1:])
    if alone is not None:
        return alone, calls[-1:]
    size = len(calls) // 2
    while size and time.monotonic() < until:
        end = len(calls) - 1
        while end > 0 and time.monotonic() < until:
            shorter = calls[: max(0, end - size)] + calls[end:]
            found = determinism.check(service, calls=shorter)
            if found is not None:
                report, calls = found, shorter[: found.number]
            end = min(end - size, len(calls) - 1)
        size //= 2
    return report, calls


def _difference(
    service: str, calls: list[determinism.Operation], report: determinism.Report, directory: Path
) -> Finding:
    """Kept, if it comes once more; what depends on the clock may not."""
    kept = differing.keep(service, calls, directory)
    if kept is None:
        return Finding(differing.ORACLE, report.text, events=len(calls))
    report, file, page = kept
    return Finding(
        differing.ORACLE, report.text, events=report.number, file=str(file), page=str(page)
    )


def _judged(
    service: str, seeds: Iterable[int], seconds: float | None, limit: float, jobs: int
) -> Iterator[Run]:
    """As many seeds as there is time for; after enough failures no new ones."""
    until = None if seconds is None else time.monotonic() + seconds
    left, failed = iter(seeds), 0
    running: dict[Future[Run], int] = {}
    with ProcessPoolExecutor(jobs) as pool:
        while True:
            spent = until is not None and time.monotonic() > until
            for number in left if failed < ENOUGH and not spent else ():
                running[pool.submit(bounded, limit, judge, service, number, limit)] = number
                if len(running) > jobs:
                    break
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            if any(isinstance(each.exception(), BrokenProcessPool) for each in done):
                break
            for each in done:
                del running[each]
                outcome = each.result()
                failed += ENOUGH if outcome.oracle == ENDLESS else outcome.oracle is not None
                yield outcome
    yield _ended(service, sorted(running.values()), limit)


def _ended(service: str, seeds: Sequence[int], limit: float) -> Run:
    """The first of `seeds` whose run ends its process. Raises `ServiceError` where none does by
    itself."""
    for seed in seeds:
        if apart(bounded, limit, judge, service, seed, limit) is None:
            plan = explicit(swarm(seed, service))
            return Run(seed, events(plan), PROCESS, [ENDED], {}, [], [], 0)
    raise ServiceError(f"a process ended that ran {service}, and none does alone: try --jobs 1")


def judge(service: str, seed: int, limit: float = RUN_SECONDS) -> Run:
    """One run."""
    return judged(swarm(seed, service), limit)


def judged(plan: Plan, limit: float = RUN_SECONDS) -> Run:
    """One run of a plan."""
    exercised, situations = Exercised(), Situations()
    report = run(plan, [exercised, situations], seconds=limit)
    return Run(
        plan.seed,
        events(explicit(plan)),
        violated(report),
        report.violations,
        exercised.calls,
        sorted(situations.seen),
        sorted(name for name, count in report.faults.items() if count),
        report.virtual_ns,
    )


def reduced(service: str, failed: Run, directory: Path, limit: float) -> Finding:
    """The failure of a run made smaller, and kept as a file and, where a process can see it to
    its end, a page. One that does not come again is told, and there is nothing to keep."""
    oracle = failed.oracle or ""
    look = partial(contained if oracle in UNRETURNED else run, seconds=limit)
    plan = swarm(failed.seed, service)
    seen = _again(look, plan, oracle)
    if seen is None:
        text = f"{_words(failed.violations, oracle)}; {NOT_AGAIN}"
        return Finding(oracle, text, failed.seed, failed.events)
    small = shrink(plan, judge_of(oracle, limit), report=seen, seconds=SHRINK_SECONDS)
    report = look(small.plan) if oracle in UNRETURNED else small.report
    recorder = None
    if violated(report) != PROCESS:
        report, recorder = _recorded(small.plan, report, limit)
    oracle = violated(report) or oracle
    file = keep(small.plan, report, directory, f"{service.replace(':', '-')}-{failed.seed}")
    page = None if recorder is None else file.with_suffix(".html")
    if page is not None and recorder is not None:
        write_page(page, recorder.recording(file.name))
    return Finding(
        oracle,
        _words(report.violations, oracle),
        failed.seed,
        events(small.plan),
        small.complete,
        str(file),
        None if page is None else str(page),
    )


def _again(look: Callable[[Plan], Report], plan: Plan, oracle: str) -> Report | None:
    """The failure of a plan once more; another one where that does not come."""
    seen = None
    for _ in range(AGAIN):
        report = look(plan)
        if violated(report) == oracle:
            return report
        seen = report if violated(report) else seen
    return seen


def _recorded(plan: Plan, report: Report, limit: float) -> tuple[Report, Recorder | None]:
    """What a page shows of it; nothing, and what was seen before, where the failure does not come
    again."""
    for _ in range(AGAIN):
        recorder = Recorder()
        again = run(plan, [recorder], seconds=limit)
        if violated(again) is not None:
            return again, recorder
    return report, None


def _words(violations: Sequence[str], oracle: str) -> str:
    text = violations[0] if violations else "the run did not end in time"
    return text.removeprefix(f"{oracle}: ")


def _summary(service: str, runs: list[Run], failed: int, findings: list[Finding]) -> Checked:
    calls = summed(each.calls for each in runs)
    return Checked(
        service,
        len(runs),
        failed,
        calls,
        shares((each.situations for each in runs), len(runs)),
        shares((each.faults for each in runs), len(runs)),
        sum(each.virtual_ns for each in runs) / HOUR_NS,
        findings,
        untested(service, calls),
    )
