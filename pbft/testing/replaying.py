"""A stored plan run again, and whether what it shows now is what it showed then."""

from collections.abc import Sequence

from msgspec import Struct

from pbft.core.errors import ServiceError
from pbft.testing.observers import Observer
from pbft.testing.planfiles import PlanFile, PlanFileError, violated
from pbft.testing.simulator import Report, run


class Replay(Struct, frozen=True):
    """`oracle`, `violation`: now; none where it holds. `same_violation`: the property of the file
    is violated again, or, where the file names none, nothing is. `same_trace`: bit for bit."""

    oracle: str | None
    violations: list[str]
    same_violation: bool
    same_trace: bool
    report: Report


def replay(file: PlanFile, observers: Sequence[Observer] = ()) -> Replay:
    """Run it. Raises `PlanFileError` where it names a service that is not there, or a replica,
    client or behaviour that does not exist."""
    try:
        report = run(file.plan, observers)
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
