"""Failing plans as files: what anybody needs to see the same failure again, and to tell whether it
is the same.

A plan file holds the explicit plan, what it violated and the digest of its trace. It is JSON for
people to read and edit: an edited plan is a plan too. A file that names anything which this version
does not know is refused, since leaving that out would run another plan.
"""

import hashlib
import re
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from pbft.core.errors import ConfigurationError, PbftError
from pbft.testing.plan import Plan, explicit
from pbft.testing.plan_limits import fault
from pbft.testing.simulator import Report

FORMAT = 1
MAX_PLAN_BYTES = 16 * 1024 * 1024
DIRECTORY = Path("pbft-failures")
UNFINISHED = "unfinished"
"""What is violated where a run neither ends nor breaks a property."""


class PlanFileError(PbftError):
    """A file from which no plan can be run; the message says what to do."""


class PlanFile(Struct, frozen=True):
    """`oracle`: the property that the plan violates first, and `violation` the complaint in words;
    none where it holds. `trace_digest`: of its run. `version`: of the pbft that wrote it."""

    format: int
    version: str
    oracle: str | None
    violation: str | None
    trace_digest: str
    plan: Plan

    @property
    def service(self) -> str | None:
        """`module:Class`; none for the key-value service."""
        return self.plan.service


def violated(report: Report) -> str | None:
    """The property that a run violated first: what stands before the colon of a complaint."""
    if report.violations:
        return report.violations[0].partition(":")[0]
    return None if report.finished else UNFINISHED


def told(plan: Plan, report: Report) -> PlanFile:
    """What is kept of a run."""
    violation = report.violations[0] if report.violations else None
    if violation is None and not report.finished:
        violation = f"{UNFINISHED}: the run did not end in time"
    digest = report.trace_digest
    return PlanFile(FORMAT, version("pbft"), violated(report), violation, digest, explicit(plan))


def keep(plan: Plan, report: Report, directory: Path = DIRECTORY, name: str = "") -> Path:
    """Write the plan of a run into `directory`, under `name` (its seed, where that is none), its
    oracle and its content; the path. Raises `PlanFileError` where that cannot be written."""
    words = f"{name or f'seed-{plan.seed}'} {violated(report) or 'holds'}"
    return put(told(plan, report), directory, words)


def put(file: Struct, directory: Path, words: str) -> Path:
    """Write what is kept of a failure into `directory`, under `words` and its content; the path.
    Raises `PlanFileError` where that cannot be written, or not be read again."""
    data = encode(file)
    if len(data) > MAX_PLAN_BYTES:
        raise PlanFileError(f"it has {len(data)} bytes, and a file {MAX_PLAN_BYTES} at most")
    words = re.sub(r"[^A-Za-z0-9]+", "-", words)[:80]
    return write(directory / f"{words}-{hashlib.sha256(data).hexdigest()[:8]}.json", data)


def check_writable(directory: Path) -> None:
    """Before hours of runs: whether what fails can be kept there. Raises `PlanFileError`."""
    made = not directory.exists()
    write(directory / "writable", b"").unlink()
    if made:
        directory.rmdir()


def write(path: Path, data: bytes) -> Path:
    """Put `data` at `path`, all of it or nothing. Raises `PlanFileError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{path.name}.part")
        scratch.write_bytes(data)
        scratch.replace(path)
    except OSError as error:
        raise PlanFileError(f"{path} cannot be written: {error.strerror}") from None
    return path


def encode(file: Struct) -> bytes:
    """JSON with an entry per line."""
    return msgspec.json.format(msgspec.json.encode(file), indent=1) + b"\n"


def read(path: Path) -> bytes:
    """What is in a file, as far as a plan may go. Raises `PlanFileError`."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_PLAN_BYTES + 1)
    except OSError as error:
        raise PlanFileError(f"{path} cannot be read: {error.strerror}") from None


def load(path: Path) -> PlanFile:
    """Read a plan file. Raises `PlanFileError`."""
    data = read(path)
    try:
        return decode(data)
    except PlanFileError as error:
        raise PlanFileError(f"{path}: {error}") from None


def decode(data: bytes) -> PlanFile:
    """What `encode` wrote, or a person edited. Raises `PlanFileError`."""
    if len(data) > MAX_PLAN_BYTES:
        raise PlanFileError(f"this is above {MAX_PLAN_BYTES} bytes: no plan is that long")
    try:
        loose = msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PlanFileError(f"not a plan file: {error}") from None
    _check_version(loose)
    try:
        file = msgspec.json.decode(data, type=PlanFile)
    except (msgspec.MsgspecError, ConfigurationError, RecursionError) as error:
        raise PlanFileError(f"not a plan that can be run: {error}") from None
    wrong = fault(file.plan)
    if wrong is not None:
        raise PlanFileError(f"not a plan that can be run: {wrong}")
    return file


def _check_version(loose: dict[str, Any]) -> None:
    number, plan = loose.get("format"), loose.get("plan")
    if plan is None and "calls" in loose:
        raise PlanFileError(
            "no plan, but calls that processes answer differently: `pbft replay` makes them again"
        )
    if not isinstance(number, int) or number < 1 or not isinstance(plan, dict):
        raise PlanFileError(
            "not a plan file: it has no format or no plan; `pbft simulate` makes it"
        )
    unknown = sorted(plan.keys() - {field.name for field in fields(Plan)})
    if number > FORMAT or unknown:
        what = f"format {number}" if number > FORMAT else f"what this pbft does not know: {unknown}"
        by, own = loose.get("version", "unknown"), version("pbft")
        raise PlanFileError(
            f"written by a newer pbft ({by}; this is {own}), with {what}: install that one"
        )
