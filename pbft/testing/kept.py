"""Whatever was kept of a failure, read again: the plan of a run, calls that processes compute
differently, or the records of real processes.
"""

from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from pbft.testing import differing, planfiles
from pbft.testing.cluster import drilled
from pbft.testing.cluster.drilled import DrillFile
from pbft.testing.differing import Difference
from pbft.testing.patience import RUN_SECONDS
from pbft.testing.planfiles import PlanFile, PlanFileError
from pbft.testing.replaying import replay

Kept: TypeAlias = PlanFile | Difference | DrillFile


def load_kept(path: Path) -> Kept:
    """Whichever of them is in a file. Raises `PlanFileError`."""
    data = planfiles.read(path)
    try:
        loose = msgspec.json.decode(data, type=dict[str, Any])
        if "executed" in loose:
            return drilled.decoded(path, data)
        if "calls" in loose and "plan" not in loose:
            return differing.decoded(path, data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PlanFileError(f"{path}: not a plan file: {error}") from None
    return planfiles.load(path)


def replay_kept(file: Kept, seconds: float = RUN_SECONDS) -> tuple[str | None, list[str]]:
    """The property that is violated now, if any, and the complaints; a run, or a process, may
    take so many `seconds`. Raises `ServiceError` and `PlanFileError`."""
    if isinstance(file, PlanFile):
        found = replay(file, seconds=seconds)
        return found.oracle, found.violations
    if isinstance(file, DrillFile):
        complaints = drilled.judged(file)
        return (complaints[0].partition(":")[0] if complaints else None), complaints
    report = differing.again(file, seconds).report
    return (None, []) if report is None else (file.oracle, [report.text])
