"""What a drill has shown, as a file and as a page: what each replica executed, what each caller was
told, and the last words of each process.

No run of real processes comes again bit for bit. What was recorded of it does: `pbft replay` judges
the records anew, and has a single machine execute the agreed order once more.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

import msgspec
from msgspec import Struct

from pbft.core.errors import ServiceError
from pbft.core.service import OK
from pbft.core.state.machine import Machine
from pbft.testing import planfiles
from pbft.testing.cluster.records import Told, key_of, order_of, problems_in
from pbft.testing.cluster.witness import Entry
from pbft.testing.determinism import ENCODED
from pbft.testing.planfiles import PlanFileError
from pbft.testing.reference import outcome_of
from pbft.testing.subjects import Subject, shown_call, subject
from pbft.testing.timeline.page import write as write_page
from pbft.testing.timeline.processes import Calls, line_of, recording_of
from pbft.testing.timeline.recording import Recording

FORMAT = 1
MACHINE = "a single machine"
NOTHING = line_of("nothing: it was not executed there")
LAST_LINES = 50
"""Of each process's log."""


class DrillFile(Struct, frozen=True):
    """`violations`: what was wrong, the first first. `executed`: by replica."""

    format: int
    version: str
    violations: list[str]
    service: str
    executed: list[list[Entry]]
    told: dict[str, list[Told]]
    logs: list[list[str]]

    @property
    def oracle(self) -> str:
        """What stands before the colon of the first complaint."""
        return self.violations[0].partition(":")[0]


def keep(
    service: str,
    violations: Sequence[str],
    executed: list[list[Entry]],
    told: Mapping[str, list[Told]],
    logs: list[list[str]],
    directory: Path,
) -> tuple[Path, Path]:
    """Write the file, without what was ordered after replicas have begun to differ, and its page,
    into `directory`; both paths. Raises `PlanFileError` where that cannot be."""
    file = DrillFile(FORMAT, version("pbft"), list(violations), service, executed, dict(told), logs)
    file = _cut(file, subject(service))
    path = planfiles.put(file, directory, f"{service} drill {file.oracle}")
    page = path.with_suffix(".html")
    write_page(page, recording(path.name, file))
    return path, page


def _cut(file: DrillFile, about: Subject) -> DrillFile:
    """Replicas that differ do so at some number, whatever came later."""
    first = problems_in(file.executed, file.told, about)[1][:1]
    if not first or not first[0].startswith("agreement"):
        return file
    low, high = 0, max((e.context.sequence for each in file.executed for e in each), default=0)
    while low < high:
        middle = (low + high) // 2
        if problems_in(_until(file.executed, middle), {}, about)[1][:1] == first:
            high = middle
        else:
            low = middle + 1
    return msgspec.structs.replace(file, executed=_until(file.executed, high), told={})


def _until(executed: Sequence[Sequence[Entry]], last: int) -> list[list[Entry]]:
    return [[each for each in entries if each.context.sequence <= last] for entries in executed]


def judged(file: DrillFile) -> list[str]:
    """What is wrong with the records, and what only the run could show. Raises `PlanFileError`
    where the service is not there."""
    found = problems_in(file.executed, file.told, _about(file))[1]
    return [each for each in file.violations if each.startswith("termination:")] + found


def _about(file: DrillFile) -> Subject:
    try:
        return subject(file.service)
    except ServiceError as error:
        text = f"{error}; replay it in the directory that has the module of its service"
        raise PlanFileError(text) from None


def decoded(path: Path, data: bytes) -> DrillFile:
    """What a kept file of this kind holds. Raises `PlanFileError`, and msgspec's errors."""
    file = msgspec.json.decode(data, type=DrillFile)
    if file.format != FORMAT or not file.violations:
        raise PlanFileError(
            f"{path}: format {file.format} with {len(file.violations)} complaint(s), and this pbft"
            f" ({version('pbft')}) knows format {FORMAT} with one or more"
        )
    return file


def recording(title: str, file: DrillFile) -> Recording:
    """A lane for each replica, and one for a machine that executes the agreed order now. Raises
    `PlanFileError`."""
    entries = order_of(file.executed)
    names = [f"replica {number}" for number in range(len(file.executed))]
    said = [_lines(executed, entries) for executed in file.executed]
    said.append(_alone(entries, _about(file)))
    shown = [(text.partition("(")[0], text) for text in (shown_call(e.operation) for e in entries)]
    about = f"{len(entries)} operations of {file.service}, in the agreed order"
    facts = [
        f"{name}: {line}" for name, lines in zip(names, file.logs, strict=True) for line in lines
    ]
    return recording_of(title, Calls(shown, [*names, MACHINE], said), file.violations, about, facts)


def _lines(executed: Sequence[Entry], entries: Sequence[Entry]) -> list[str]:
    """What one replica gave for each of `entries`."""
    gave = {(e.context.sequence, key_of(e)): e.result for e in executed}
    found = (gave.get((e.context.sequence, key_of(e))) for e in entries)
    return [NOTHING if result is None else _line(result) for result in found]


def _alone(entries: Sequence[Entry], about: Subject) -> list[str]:
    machine = Machine(about.make())
    return [_line(outcome_of(partial(machine.execute, e.operation, e.context))) for e in entries]


def _line(result: bytes) -> str:
    text = result[1:]
    return line_of(
        ENCODED + text.hex() if result.startswith(OK) else text.decode("utf-8", "replace")
    )
