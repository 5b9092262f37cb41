"""A plan file is the whole plan; what is not one is refused, and it is said what to do."""

from pathlib import Path

import msgspec
import pytest

from pbft.testing import planfiles
from pbft.testing.plan import draw, explicit
from pbft.testing.planfiles import PlanFileError, decode, encode, keep, load, told, violated
from pbft.testing.simulator import Report, run
from tests.testing.planted_plans import brief

PLAN = brief(draw(3, 4, 2), 6)
"""The control: two traitors fork a cluster of four."""


@pytest.fixture(scope="module")
def report() -> Report:
    return run(PLAN)


def loose(report: Report) -> dict[str, object]:
    """A file, as a person would edit it."""
    file: dict[str, object] = msgspec.json.decode(encode(told(PLAN, report)))
    return file


def test_a_kept_plan_is_found_again_whole(report: Report, tmp_path: Path) -> None:
    path = keep(PLAN, report, tmp_path / "new" / "failures")
    assert path.name.startswith("seed-3-agreement-")
    file = load(path)
    assert file.plan == explicit(PLAN)
    assert (file.oracle, file.violation) == ("agreement", report.violations[0])
    assert run(file.plan).trace_digest == file.trace_digest == report.trace_digest
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_what_is_violated_is_told_by_the_property(report: Report) -> None:
    def other(finished: bool, *violations: str) -> Report:
        return msgspec.structs.replace(report, finished=finished, violations=list(violations))

    assert violated(other(True)) is None
    assert violated(other(False)) == "unfinished"
    assert violated(other(False, "views: a", "agreement: b")) == "views"
    assert told(PLAN, other(False)).violation == "unfinished: the run did not end in time"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2, "version": "9.0"}, "newer pbft .9.0.*install that one"),
        ({"plan": {"moon": 1}}, r"newer pbft.*\['moon'\]"),
        ({"format": None}, "no format or no plan"),
        ({"plan": []}, "no format or no plan"),
        ({"plan": {"seed": "x"}}, "not a plan that can be run"),
        ({"trace_digest": 7}, "not a plan that can be run"),
    ],
)
def test_what_is_no_plan_is_refused(change: dict[str, object], words: str, report: Report) -> None:
    with pytest.raises(PlanFileError, match=words):
        decode(msgspec.json.encode(loose(report) | change))


def test_a_configuration_that_no_replica_may_have_is_refused(report: Report) -> None:
    data = encode(told(PLAN, report)).replace(b'"n": 4', b'"n": 3')
    with pytest.raises(PlanFileError, match="n = 3"):
        decode(data)


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b"[" * 100_000, b"{}"])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(PlanFileError, match="not a plan file"):
        decode(data)


def test_files_are_bounded(monkeypatch: pytest.MonkeyPatch, report: Report, tmp_path: Path) -> None:
    path = keep(PLAN, report, tmp_path)
    monkeypatch.setattr(planfiles, "MAX_PLAN_BYTES", 100)
    with pytest.raises(PlanFileError, match=f"{path}: this is above 100 bytes"):
        load(path)


def test_a_disk_that_refuses_is_told(report: Report, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PlanFileError, match="cannot be written"):
        keep(PLAN, report, tmp_path / "file")
    with pytest.raises(PlanFileError, match="cannot be read"):
        load(tmp_path / "none.json")
