"""What users get wrong is found, made small and kept; what was not exercised is not green."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from pbft.core.errors import InvalidArgumentsError, ServiceError
from pbft.testing import checking, determinism
from pbft.testing.checking import Checked, check, differences, judge
from pbft.testing.differing import Difference
from pbft.testing.kept import load_kept, replay_kept
from pbft.testing.planfiles import PlanFileError, load
from pbft.testing.replaying import replay
from pbft.testing.shrinking import shrink
from pbft.testing.subjects import subject
from tests.testing.breakable import SETTLED

SERVICES = "tests.testing.breakable"


@pytest.mark.parametrize(
    ("name", "seed", "oracle"),
    [
        ("Counter", 1, None),
        ("LastToken", 1, "invariant"),
        ("Forgetful", 1, "exactly-once"),
        ("OfTheClass", 1, "exactly-once"),
        ("Clock", 0, "exactly-once"),
        ("Dice", 0, "exactly-once"),
        ("Names", 0, "exactly-once"),
        ("Address", 0, "exactly-once"),
        ("Leaves", 0, None),
        ("LostUpdate", 0, "invariant"),
    ],
)
def test_a_run_shows_what_users_get_wrong(name: str, seed: int, oracle: str | None) -> None:
    assert judge(f"{SERVICES}:{name}", seed).oracle == oracle


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"limit": 0}, "limit .* between 0 and 86400 seconds, and 0 is not"),
        ({"limit": -1.0}, "limit .* between 0 and 86400 seconds"),
        ({"limit": float("nan")}, "and nan is not"),
        ({"limit": float("inf")}, "and inf is not"),
        ({"seeds": 0}, "seeds has to be 1 or more, and 0 is not: it would check nothing"),
        ({"jobs": 0}, "jobs has to be 1 or more, and 0 is not"),
    ],
)
def test_what_could_check_nothing_is_refused_in_a_sentence(
    tmp_path: Path, wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidArgumentsError, match=said):
        check(f"{SERVICES}:Counter", directory=tmp_path, **wrong)


def test_one_process_cannot_see_its_own_hash_seed_but_several_do(tmp_path: Path) -> None:
    name = f"{SERVICES}:SetOrder"
    assert judge(name, 0).oracle is None
    (found,) = differences(name, subject(name), 0, tmp_path)
    assert (found.oracle, found.events) == ("determinism", 1)
    assert "first(" in found.text
    assert "sorted(...)" in found.text
    assert found.again == f"pbft replay {found.file}"
    file = load_kept(Path(found.file or ""))
    assert isinstance(file, Difference)
    assert replay_kept(file) == ("determinism", [found.text])
    page = Path(found.page or "").read_text("utf-8")
    assert "first([" in page
    assert "it uses the order of a set" in page
    with pytest.raises(PlanFileError, match="no plan, but calls"):
        load(Path(found.file or ""))
    with pytest.raises(PlanFileError, match="in the directory that has the module"):
        replay_kept(msgspec.structs.replace(file, service="no.such:Thing"))


def test_a_difference_is_told_with_few_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes one call that remembers and a later one that asks."""

    def differs(
        runs: str,
        operations: int = 0,
        seed: int = 0,
        calls: list[determinism.Operation] | None = None,
        seconds: float = 0.0,
    ) -> determinism.Report | None:
        names = [each.name for each in calls or ()]
        last = len(names) - 1 - names[::-1].index("read") if "read" in names else 0
        if "add" not in names[:last]:
            return None
        return determinism.Report(last + 1, "read", None, f"{len(names)} calls")

    monkeypatch.setattr(determinism, "check", differs)
    name = f"{SERVICES}:Counter"
    (found,) = differences(name, subject(name), 0, Path())
    assert (found.events, found.file) == (2, None)


def test_what_breaks_is_made_small_kept_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        checking, "shrink", lambda plan, judge, report, seconds: shrink(plan, judge, runs=30)
    )
    found = check(f"{SERVICES}:LostUpdate", seeds=1, directory=tmp_path)
    assert (found.service, found.runs, found.failed) == (f"{SERVICES}:LostUpdate", 1, 1)
    assert found.untested == ["add was never called", "read was never called"]
    (finding,) = found.findings
    assert finding.oracle == "invariant"
    assert finding.events is not None
    assert finding.events <= 15
    assert finding.again == f"pbft replay {finding.file}"
    again = replay(load(Path(finding.file or "")))
    assert (again.same_violation, again.same_trace) == (True, True)
    page = Path(finding.page or "").read_text("utf-8")
    assert "were added, and the value is" in page


def test_what_breaks_once_and_holds_afterwards_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with the clock: there is nothing to make smaller, and something is wrong all the same."""
    monkeypatch.chdir(tmp_path)
    name = f"{SERVICES}:Settles"
    failed = judge(name, 0)
    assert failed.oracle is not None
    (tmp_path / "calls").write_text("x" * SETTLED)
    found = checking.reduced(name, failed, tmp_path, 60.0)
    assert (found.oracle, found.seed, found.file, found.page) == (failed.oracle, 0, None, None)
    assert failed.violations[0].partition(": ")[2] in found.text
    assert found.text.endswith(checking.NOT_AGAIN)


def test_a_service_that_holds_is_told_with_what_was_exercised(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    found = check(
        f"{SERVICES}:Counter",
        seeds=2,
        directory=tmp_path,
        progress=lambda *told: seen.append(told),
    )
    assert found.problems == []
    assert set(found.calls) == {"add", "read"}
    assert all(each.answered and not each.refused for each in found.calls.values())
    assert found.virtual_hours > 0
    assert 0 < max(found.situations.values()) <= 1
    assert seen[0] == ("determinism", 0, 2)
    assert ("simulation", 2, 2) in seen
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "call"), [("Spends", "spend"), ("Peeks", "peek")])
def test_a_query_that_is_always_refused_is_named(name: str, call: str, tmp_path: Path) -> None:
    found = check(f"{SERVICES}:{name}", seeds=2, directory=tmp_path)
    assert found.findings == []
    (text,) = found.problems
    assert text.startswith(f"{call} was refused every time")
    assert "make it a command" in text


def test_no_run_begins_when_the_time_is_over(tmp_path: Path) -> None:
    found: Checked = check(f"{SERVICES}:Counter", seeds=50, seconds=0.0, directory=tmp_path)
    assert found.runs < 50
    assert found.problems or found.runs


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no.such:Thing", "cannot be imported"),
        (f"{SERVICES}:Nothing", "cannot be imported"),
        (f"{SERVICES}:Map", "Map has no @command"),
        (f"{SERVICES}:CannotBegin", r"CannotBegin\(\) fails: OSError: no such disk"),
        (
            f"{SERVICES}:WorkloadFails",
            "workload of WorkloadFails fails: ZeroDivisionError: no calls",
        ),
    ],
)
def test_what_cannot_be_checked_is_one_sentence(name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=said):
        check(name, seeds=1, directory=tmp_path)
