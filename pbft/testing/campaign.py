"""Thousands of runs as one thing: which there are, what is done already, and what they showed.

A campaign is a list of cases, each a family of plans and a number in it. Its progress file holds a
line for the campaign and one for each case that is done, so that it goes on where it was stopped,
and so that shards of one campaign, run by different machines, are merged into one. A run that
violates anything is kept as a plan.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import msgspec
from msgspec import Struct

from pbft.core.errors import ConfigurationError
from pbft.testing.families import CONTROLS, FAMILIES, plan_of
from pbft.testing.observers import Observer
from pbft.testing.planfiles import PlanFileError, keep
from pbft.testing.planfiles import write as write_file
from pbft.testing.simulator import run
from pbft.testing.situations import SITUATIONS, Situations

HOUR_NS = 3600 * 10**9
RARE = 0.01
"""A declared situation that occurs in a smaller part of the drawn runs has not been tested."""
JUDGED_FROM = 1000
"""Shares are judged in campaigns of at least so many runs."""
CHUNK = 8
MAX_LINE = 1 << 20
FORMAT = 1


class Size(Struct, frozen=True):
    """How many runs of each family; `shard` of `shards`, from 1."""

    runs: dict[str, int]
    shard: int = 1
    shards: int = 1
    format: int = FORMAT


class Case(Struct, frozen=True):
    """One run."""

    family: str
    index: int


class Outcome(Struct, frozen=True):
    """What one run showed, as far as the campaign wants to know it."""

    family: str
    index: int
    finished: bool
    violations: list[str]
    situations: list[str]
    faults: dict[str, int]
    operations: int
    virtual_ns: int

    @property
    def bad(self) -> bool:
        """Whether a run that should have held did not, or a control was not noticed."""
        return bool(self.violations) or not self.finished


def cases(size: Size) -> list[Case]:
    """Those of the shard, families in turn, so that a part of a campaign is a small campaign."""
    every = [Case(name, i) for name, count in size.runs.items() for i in range(count)]
    every.sort(key=lambda case: (case.index / size.runs[case.family], case.family))
    return every[size.shard - 1 :: size.shards]


def judge(case: Case, directory: Path | None = None) -> Outcome:
    """Run one case; where it is bad, keep its plan in `directory`."""
    watching = Situations()
    observers: list[Observer] = [watching]
    report = run(plan_of(case.family, case.index), observers)
    outcome = Outcome(
        case.family,
        case.index,
        report.finished,
        report.violations,
        sorted(watching.seen),
        {name: count for name, count in report.faults.items() if count},
        report.operations,
        report.virtual_ns,
    )
    if directory is not None and outcome.bad and case.family not in CONTROLS:
        keep(plan_of(case.family, case.index), report, directory, f"{case.family}-{case.index}")
    return outcome


def judged(left: Sequence[Case], jobs: int, directory: Path | None) -> Iterator[Outcome]:
    """The outcomes of all cases, in as many processes as asked for."""
    if jobs == 1:
        yield from (judge(case, directory) for case in left)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(partial(judge, directory=directory), left, chunksize=CHUNK)


class Progress:
    """The progress file of one campaign, or of one shard. Raises `ConfigurationError` where it is
    that of another one."""

    def __init__(self, path: Path, size: Size) -> None:
        self.size = size
        self.done: list[Outcome] = []
        known = read(path) if path.exists() else None
        if known is not None and known.size != size:
            raise ConfigurationError(
                f"{path} is the progress of another campaign: go on with the same sizes, or name"
                " another file with --progress"
            )
        if known is not None:
            self.done = known.outcomes
            write(path, known)
        else:
            write(path, Kept(size, []))
        self._path = path
        self._file = path.open("ab", buffering=0)

    def left(self) -> list[Case]:
        """What is still to be run."""
        done = {(each.family, each.index) for each in self.done}
        return [case for case in cases(self.size) if (case.family, case.index) not in done]

    def add(self, outcome: Outcome) -> None:
        """One more case is done; a process that dies now has kept it. Raises
        `ConfigurationError`."""
        self.done.append(outcome)
        line = msgspec.json.encode(outcome) + b"\n"
        try:
            whole = self._file.write(line) == len(line)
        except OSError:
            whole = False
        if not whole:
            text = "make room, and run this again: what is done is kept"
            raise ConfigurationError(f"{self._path} cannot be written: {text}")

    def close(self) -> None:
        """Of the file."""
        self._file.close()


class Kept(Struct, frozen=True):
    """What a progress file holds."""

    size: Size
    outcomes: list[Outcome]


def read(path: Path) -> Kept:
    """A progress file; a last line that was not finished is left out. Raises `ConfigurationError`
    for anything else."""
    outcomes: list[Outcome] = []
    try:
        with path.open("rb") as file:
            size = msgspec.json.decode(file.readline(MAX_LINE), type=Size)
            while line := file.readline(MAX_LINE):
                if line.endswith(b"\n"):
                    outcomes.append(msgspec.json.decode(line, type=Outcome))
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigurationError(f"{path} is not the progress of a campaign: {error}") from None
    if size.format != FORMAT or not size.runs.keys() <= FAMILIES.keys() | CONTROLS.keys():
        raise ConfigurationError(f"{path} was written by another version of pbft")
    if not 1 <= size.shard <= size.shards:
        raise ConfigurationError(f"{path} is shard {size.shard} of {size.shards}: there is none")
    own = {(case.family, case.index) for case in cases(size)}
    for each in outcomes:
        if (each.family, each.index) not in own:
            raise ConfigurationError(f"{path} has a run that is not in it: {_name(each)}")
    return Kept(size, outcomes)


def _name(outcome: Outcome) -> str:
    return f"{outcome.family} {outcome.index}"


def write(path: Path, kept: Kept) -> None:
    """A progress file in the place of what was there. Raises `ConfigurationError`."""
    lines = [msgspec.json.encode(each) for each in (kept.size, *kept.outcomes)]
    try:
        write_file(path, b"".join(line + b"\n" for line in lines))
    except PlanFileError as error:
        raise ConfigurationError(str(error)) from None


def merged(parts: Iterable[Kept]) -> Kept:
    """The whole of several shards. Raises `ConfigurationError` where they are not of one
    campaign, or where one run held in one of them and not in another: the sources differ."""
    found: dict[tuple[str, int], Outcome] = {}
    sizes: set[bytes] = set()
    for part in parts:
        whole = Size(part.size.runs)
        sizes.add(msgspec.json.encode(whole))
        for each in part.outcomes:
            known = found.setdefault((each.family, each.index), each)
            if (known.finished, known.violations) != (each.finished, each.violations):
                raise ConfigurationError(
                    f"these are shards by different versions of pbft: {_name(each)} is not the"
                    " same in two of them"
                )
    if len(sizes) != 1:
        raise ConfigurationError("these are not shards of one campaign: their sizes differ")
    return Kept(msgspec.json.decode(sizes.pop(), type=Size), list(found.values()))


class Summary(Struct, frozen=True):
    """What a campaign showed. `problems` is empty where it held."""

    runs: dict[str, int]
    missing: int
    operations: int
    simulated_hours: float
    faults_per_run: dict[str, float]
    situations: dict[str, float]
    """The part of the drawn runs in which each occurred."""
    controls: dict[str, int | None]
    """The first case of each control that was flagged; none where no case was."""
    problems: list[str]


def summary(kept: Kept) -> Summary:
    """Of all that is done."""
    plain = [each for each in kept.outcomes if each.family not in CONTROLS]
    drawn = [each for each in plain if FAMILIES[each.family].drawn]
    faults: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for outcome in drawn:
        faults.update(outcome.faults)
        seen.update(outcome.situations)
    count = max(len(drawn), 1)
    shares = {name: seen[name] / count for name in SITUATIONS}
    controls = {name: _flagged(kept, name) for name in CONTROLS if kept.size.runs.get(name)}
    done = {(each.family, each.index) for each in kept.outcomes}
    missing = sum((case.family, case.index) not in done for case in cases(kept.size))
    return Summary(
        dict(sorted(Counter(each.family for each in kept.outcomes).items())),
        missing,
        sum(each.operations for each in plain),
        sum(each.virtual_ns for each in plain) / HOUR_NS,
        {name: total / count for name, total in sorted(faults.items())},
        shares,
        controls,
        [*_bad(plain), *_not_shown(kept.size, shares, controls, len(drawn), missing)],
    )


def _bad(plain: list[Outcome]) -> Iterator[str]:
    for each in plain:
        if each.bad:
            what = each.violations[0] if each.violations else "did not finish"
            yield f"{_name(each)}: {what}"


def _not_shown(
    size: Size,
    shares: dict[str, float],
    controls: dict[str, int | None],
    drawn: int,
    missing: int,
) -> Iterator[str]:
    """What keeps a campaign from showing that all holds. A shard has its part of the cases of a
    control alone, so controls and shares are judged of the whole."""
    if missing:
        yield f"{missing} runs are missing: go on with them, or merge the other shards as well"
    if size.shards > 1:
        return
    for name, first in controls.items():
        if first is None and not missing:
            yield f"the control {name!r} was not flagged in {size.runs[name]} cases"
    for name, share in shares.items():
        if drawn >= JUDGED_FROM and share < RARE:
            yield f"the situation {name!r} occurred in {share:.2%} of the drawn runs"


def _flagged(kept: Kept, control: str) -> int | None:
    how: Callable[[Outcome], bool] = CONTROLS[control].flags
    found = [each.index for each in kept.outcomes if each.family == control and how(each)]
    return min(found, default=None)
