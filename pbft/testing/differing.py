"""What several processes compute differently, as a file and as a page: the calls that it takes, and
what each process gave.

No plan of a simulated run shows it, since all replicas there share one process. So this is a file
of another kind, and `pbft replay` executes its calls anew in such processes.
"""

from importlib.metadata import version
from pathlib import Path

import msgspec
from msgspec import Struct

from pbft.core.errors import ServiceError
from pbft.testing import determinism, planfiles
from pbft.testing.determinism import Operation, Report, UnfinishedError
from pbft.testing.patience import RUN_SECONDS
from pbft.testing.planfiles import PlanFileError
from pbft.testing.surroundings import SURROUNDINGS
from pbft.testing.timeline.page import write as write_page
from pbft.testing.timeline.processes import Calls, recording_of
from pbft.testing.timeline.recording import Recording

FORMAT = 1
ORACLE = "determinism"
MAX_CALLS = 10_000


class Difference(Struct, frozen=True):
    """`violation`: what was different, in words, after all `calls` of a service."""

    format: int
    version: str
    oracle: str
    violation: str
    service: str
    calls: list[Operation]


class Again(Struct, frozen=True):
    """What its calls gave now: the difference, if any, and every line of each process."""

    report: Report | None
    lives: list[list[str]]


def keep(service: str, calls: list[Operation], directory: Path) -> tuple[Report, Path, Path] | None:
    """Execute `calls` once more and put what differs into `directory`: the file and its page. None
    where all is the same now. Raises `PlanFileError` where that cannot be written."""
    lives = determinism.lives(service, calls)
    report = determinism.compared(service, calls, lives)
    if report is None:
        return None
    calls = calls[: report.number]
    file = Difference(FORMAT, version("pbft"), ORACLE, report.text, service, calls)
    path = planfiles.put(file, directory, f"{service} {ORACLE}")
    page = path.with_suffix(".html")
    write_page(page, recording(path.name, file, Again(report, lives)))
    return report, path, page


def decoded(path: Path, data: bytes) -> Difference:
    """What a kept file of this kind holds. Raises `PlanFileError`, and msgspec's errors."""
    file = msgspec.json.decode(data, type=Difference)
    if file.format != FORMAT or not 1 <= len(file.calls) <= MAX_CALLS:
        raise PlanFileError(
            f"{path}: format {file.format} with {len(file.calls)} calls, and this pbft"
            f" ({version('pbft')}) knows format {FORMAT} with 1 to {MAX_CALLS}"
        )
    return file


def again(file: Difference, seconds: float = RUN_SECONDS) -> Again:
    """Execute the calls once more, in processes that may each take so many `seconds`. Raises
    `PlanFileError` where the service is not there, and `UnfinishedError` where a call ends its
    process or takes longer."""
    try:
        lives = determinism.lives(file.service, file.calls, seconds)
    except UnfinishedError:
        raise
    except ServiceError as error:
        text = f"{error}; replay it in the directory that has the module of its service"
        raise PlanFileError(text) from None
    return Again(determinism.compared(file.service, file.calls, lives), lives)


# -- the page ---------------------------------------------------------------------------------


def recording(title: str, file: Difference, found: Again) -> Recording:
    """A lane for each process; what each is called with, and what it gives."""
    number = len(file.calls) if found.report is None else found.report.number
    complaints = [] if found.report is None else [f"{ORACLE}: {found.report.text}"]
    shown = [(call.name, call.shown) for call in file.calls[:number]]
    about = f"{number} calls of {file.service}, the same in each process"
    names = [f"process {at}" for at in range(len(found.lives))]
    facts = [f"{name}: {_surroundings(at)}" for at, name in enumerate(names)]
    return recording_of(title, Calls(shown, names, found.lives), complaints, about, facts)


def _surroundings(number: int) -> str:
    around = SURROUNDINGS[number % len(SURROUNDINGS)].items()
    return ", ".join(f"{key}={value}" for key, value in around)
