"""`make mutants`: apply each mutant to a copy of the sources and show which tests turn red.

Every mutant has a copy of its own in a temporary folder, two at a time. First the named tests run
on an unchanged copy: a test that is red without a mutant proves nothing. One of the tests that the
catalogue names must turn red, and each that claims to kill the mutant (`tests/scenarios`). Names as
arguments pick mutants. The exit status is 0 only if every one was killed.
"""

import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant
from tests.scenarios.claims import collect

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("pbft", "crypto", "tests", "examples", "pyproject.toml")
WORKERS = 2
SECONDS_PER_RUN = 300
PASSED, FAILED, NOTHING_COLLECTED = 0, 1, 5
HANGS = -1
"""In place of an exit status: the tests did not end in time."""


def copy_sources(target: Path) -> None:
    """The sources as they lie in the checkout, the link `pbft/crypto` kept a link."""
    ignore = shutil.ignore_patterns("__pycache__")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, symlinks=True, ignore=ignore)
        else:
            shutil.copy2(source, target / name)


def pytest_in(copy: Path, tests: Sequence[str]) -> tuple[int, str]:
    """Run `tests` against the sources in `copy`: exit status, or `HANGS`, and output.

    PYTHONPATH comes before the editable install, which therefore does not hide the copy.
    """
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-header", "--tb=no"]
    command = [sys.executable, "-m", "pytest", *options, *tests]
    try:
        done = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, timeout=SECONDS_PER_RUN
        )
    except subprocess.TimeoutExpired:
        return HANGS, f"no end after {SECONDS_PER_RUN} s"
    return done.returncode, done.stdout.decode(errors="replace")


def verdict(status: int, output: str) -> tuple[bool, str]:
    """Whether the mutant was killed, and what by. Only a red test or a hang kills: a mutant that
    keeps pytest from starting, or that names no test, has shown nothing."""
    if status == HANGS:
        return True, output
    if status == FAILED:
        red = [line.split()[1] for line in output.splitlines() if line.startswith("FAILED ")]
        return bool(red), red[0] if red else "errors, but no red test: " + _last_line(output)
    if status == PASSED:
        return False, "SURVIVED: its tests stay green"
    if status == NOTHING_COLLECTED:
        return False, "its tests do not exist"
    return False, f"pytest could not run (status {status}): {_last_line(output)}"


def _last_line(output: str) -> str:
    return (output.strip().splitlines() or ["no output"])[-1]


def judge(mutant: Mutant) -> tuple[bool, str]:
    """Apply `mutant` to a copy of its own and run its tests."""
    with tempfile.TemporaryDirectory(prefix="pbft-mutant-") as folder:
        copy = Path(folder)
        copy_sources(copy)
        mutant.apply(copy)
        status, output = pytest_in(copy, mutant.tests)
    return held_to_claims(mutant, status, output)


def held_to_claims(mutant: Mutant, status: int, output: str) -> tuple[bool, str]:
    """The verdict, where every test that claims to kill the mutant is red."""
    dead, by = verdict(status, output)
    green = [test for test in mutant.claimed if not _is_red(test, output)]
    if dead and green and status != HANGS:
        return False, f"stays green, and claims to kill it: {', '.join(green)}"
    return dead, by


def _is_red(test: str, output: str) -> bool:
    """Whether `test` failed, with one of its parameters at least."""
    red = [line.split()[1] for line in output.splitlines() if line.startswith("FAILED ")]
    return any(each.partition("[")[0] == test for each in red)


def claimed(mutants: Sequence[Mutant]) -> list[Mutant]:
    """`mutants`, each with the tests that claim to kill it."""
    found = collect().claims
    return [
        dataclasses.replace(
            mutant,
            tests=tuple(dict.fromkeys((*mutant.tests, *claims))),
            claimed=claims,
        )
        for mutant in mutants
        for claims in [tuple(each.test for each in found if mutant.name in each.kills)]
    ]


def unmutated_problem(mutants: Sequence[Mutant]) -> str | None:
    """Why the tests of `mutants` prove nothing as they are, none where all are green."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    with tempfile.TemporaryDirectory(prefix="pbft-mutant-") as folder:
        copy_sources(Path(folder))
        status, output = pytest_in(Path(folder), tests)
    return None if status == PASSED else f"the named tests are not green unmutated:\n{output}"


def select(names: Sequence[str]) -> list[Mutant]:
    """The mutants called `names`, all without any. Raises `SystemExit` on a name that is none."""
    unknown = set(names) - {mutant.name for mutant in MUTANTS}
    if unknown:
        raise SystemExit(f"no mutant is called {', '.join(sorted(unknown))}")
    return claimed([mutant for mutant in MUTANTS if not names or mutant.name in names])


def main(names: Sequence[str]) -> int:
    """Run them, print the table, give the exit status."""
    mutants = select(names)
    problems = [text for mutant in mutants if (text := mutant.problem(ROOT))]
    if mutants and not problems and (red := unmutated_problem(mutants)):
        problems = [red]
    if problems:
        print(*problems, sep="\n", file=sys.stderr)
        return 1
    killed = 0
    with ThreadPoolExecutor(WORKERS) as pool:
        for mutant, (dead, by) in zip(mutants, pool.map(judge, mutants), strict=True):
            killed += dead
            mark = "killed  " if dead else "SURVIVED"
            print(f"{mark} {mutant.trap:<5} {mutant.name:<40} {by}", flush=True)
    print(f"{killed} of {len(mutants)} mutants killed")
    return 0 if killed == len(mutants) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
