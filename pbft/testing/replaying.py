"""A stored plan run again, and whether what it shows now is what it showed then."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from msgspec import Struct

from pbft.core.errors import ServiceError
from pbft.testing.observers import Observer
from pbft.testing.patience import PROCESS, RUN_SECONDS, UNRETURNED, apart, bounded
from pbft.testing.plan import Plan
from pbft.testing.planfiles import PlanFile, PlanFileError, violated
from pbft.testing.shrinking import Judge
from pbft.testing.simulator import Report, run

ENDED = (
    "the run ended its process, or did not give it back: look for os._exit, for too little memory,"
    " or for a call that no signal interrupts"
)
HURRY_SECONDS = 3.0
"""While a run that does not return is made smaller, each attempt may take so long."""


class Replay(Struct, frozen=True):
    """`oracle`, `violation`: now; none where it holds. `same_violation`: the property of the file
    is violated again, or, where the file names none, nothing is. `same_trace`: bit for bit."""

    oracle: str | None
    violations: list[str]
    same_violation: bool
    same_trace: bool
    report: Report


def replay(
    file: PlanFile, observers: Sequence[Observer] = (), *, seconds: float = RUN_SECONDS
) -> Replay:
    """Run it, within `seconds`. Raises `PlanFileError` where it names a service that is not there,
    or a replica, client or behaviour that does not exist; and where there is nothing to observe,
    since it ends its process."""
    try:
        alone = contained(file.plan, seconds) if file.oracle in UNRETURNED else None
        if alone is None or (observers and violated(alone) != PROCESS):
            report = run(file.plan, observers, seconds=seconds)
        elif observers:
            raise PlanFileError(f"there is nothing to look at: {ENDED}")
        else:
            report = alone
    except ServiceError as error:
        text = f"{error}; replay it in the directory that has the module of its service"
        raise PlanFileError(text) from None
    except (LookupError, ValueError, TypeError) as error:
        text = f"the plan names what there is not: {type(error).__name__}: {error}"
        raise PlanFileError(text) from None
    oracle = violated(report)
    return Replay(
        oracle,
        report.violations,
        oracle == file.oracle,
        report.trace_digest == file.trace_digest,
        report,
    )


def contained(plan: Plan, seconds: float = RUN_SECONDS) -> Report:
    """As `run`, in a process of its own: that it ends is a violation, too."""
    tried: Any = apart(bounded, seconds, run, plan, seconds=seconds)
    if isinstance(tried, Report):
        return tried
    return Report(plan.seed, False, [f"{PROCESS}: {ENDED}"], 0, {}, "", 0, 0, 0, 0)


def judge_of(oracle: str | None, seconds: float = RUN_SECONDS) -> Judge:
    """What judges plans that are made smaller until only just `oracle` still fails."""
    if oracle in UNRETURNED:
        return partial(contained, seconds=min(seconds, HURRY_SECONDS))
    return partial(run, seconds=seconds)
