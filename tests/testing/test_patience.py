"""What never returns is a failure with a name, and with a plan that shows it again."""

import re
import signal
import threading
import time
from pathlib import Path

import pytest

from pbft.core.errors import ServiceError
from pbft.testing import determinism
from pbft.testing.checking import check, differences
from pbft.testing.patience import ENDLESS, PROCESS, apart, bounded, limited
from pbft.testing.planfiles import load, told, violated
from pbft.testing.replaying import replay
from pbft.testing.simulator import Report, run
from pbft.testing.subjects import subject
from pbft.testing.swarm import swarm

SERVICES = "tests.testing.breakable"
LIMIT = 3.0
"""Many times what a run takes up to the call that does not return: the machine has other work."""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "NeverReturns",
            r"endless: add\(-?\d+\), in NeverReturns.add \(breakable.py:\d+\), has not",
        ),
        ("NeverReturnsAndSwallows", r"endless: add\(-?\d+\), in NeverReturnsAndSwallows.add"),
        (
            "EndlessInvariant",
            r"endless: the run, in EndlessInvariant.invariant \(breakable.py:\d+\), has",
        ),
    ],
)
def test_a_run_that_does_not_return_is_a_violation_that_names_the_call(
    name: str, said: str
) -> None:
    plan = swarm(0, f"{SERVICES}:{name}")
    report = run(plan, seconds=LIMIT)
    assert violated(report) == ENDLESS
    assert not report.finished
    assert re.match(said, report.violations[0])
    again = replay(told(plan, report), seconds=LIMIT)
    assert again.same_violation
    assert again.same_trace or "Swallows" in name, "each time it goes on for a moment"


def test_a_run_that_returns_is_as_it_was() -> None:
    plan = swarm(0, f"{SERVICES}:Counter")
    assert run(plan, seconds=60.0) == run(plan)


def test_a_command_that_never_returns_is_found_made_small_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pbft.testing.checking.SHRINK_SECONDS", 5.0)
    monkeypatch.setattr("pbft.testing.replaying.HURRY_SECONDS", 0.5)
    found = check(f"{SERVICES}:NeverReturns", seeds=50, directory=tmp_path, limit=LIMIT)
    assert found.runs < 10, "one is enough"
    several, one = sorted(found.findings, key=lambda each: each.file or "")
    assert "operation 3, add(" in several.text or "add(" in several.text
    assert (several.oracle, one.oracle) == (ENDLESS, ENDLESS)
    assert "NeverReturns.add (breakable.py" in one.text
    assert one.events is not None
    assert one.events < 20
    again = replay(load(Path(one.file or "")), seconds=LIMIT)
    assert (again.same_violation, again.same_trace) == (True, True)
    assert "NeverReturns.add" in Path(one.page or "").read_text("utf-8")


@pytest.mark.parametrize("name", ["EndsTheProcess", "EndlessInC"])
def test_a_run_that_ends_its_process_is_kept_too(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what cannot be interrupted is ended with it."""
    monkeypatch.setattr("pbft.testing.checking.SHRINK_SECONDS", 1.0)
    monkeypatch.setattr("pbft.testing.replaying.HURRY_SECONDS", 0.5)
    found = check(f"{SERVICES}:{name}", seeds=1, directory=tmp_path, limit=LIMIT)
    (one,) = [each for each in found.findings if each.file is not None]
    assert one.oracle == PROCESS
    again = replay(load(Path(one.file or "")), seconds=LIMIT)
    assert (again.oracle, again.same_violation) == (PROCESS, True)


def test_what_once_could_be_interrupted_and_no_longer_can_comes_back() -> None:
    """As where the machine was slow when the plan was kept: the alarm rang before that call."""
    plan = swarm(0, f"{SERVICES}:EndlessInC")
    seen = Report(plan.seed, False, [f"{ENDLESS}: the run"], 0, {}, "", 0, 0, 0, 0)
    again = replay(told(plan, seen), seconds=1.5)
    assert (again.oracle, again.same_violation) == (PROCESS, False)


@pytest.mark.parametrize(
    ("name", "oracle", "said"),
    [
        ("NeverReturns", ENDLESS, r"add\(-?\d+\), has not returned after 3 s"),
        ("EndsTheProcess", PROCESS, r"operation 1, leave\(\), ended the process"),
    ],
)
def test_several_processes_name_it_as_well(name: str, oracle: str, said: str) -> None:
    (found,) = differences(f"{SERVICES}:{name}", subject(f"{SERVICES}:{name}"), 0, Path(), LIMIT)
    assert found.oracle == oracle
    assert re.search(said, found.text)


def test_a_service_that_never_begins_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        ServiceError, match=r"the run, in BeginsForEver.__init__ .* has not returned after 3 s"
    ):
        check(f"{SERVICES}:BeginsForEver", seeds=1, directory=tmp_path, limit=LIMIT)


def test_determinism_says_which_call_does_not_return(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(determinism.UnfinishedError, match=r"add\(") as caught:
        determinism.check(f"{SERVICES}:NeverReturns", operations=20, seconds=LIMIT)
    assert caught.value.number >= 3


def test_an_alarm_that_somebody_else_has_set_is_set_again() -> None:
    rung: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with limited(60.0):
            pass
        time.sleep(0.5)
        assert rung == [1]
    finally:
        signal.signal(signal.SIGALRM, before)


def test_in_another_thread_nothing_is_limited() -> None:
    done: list[str | None] = []

    def slow() -> None:
        with limited(0.05) as limit:
            time.sleep(0.2)
        done.append(limit.told)

    thread = threading.Thread(target=slow)
    thread.start()
    thread.join()
    assert done == [None]


def test_a_process_that_was_made_for_it_ends_in_the_end() -> None:
    assert apart(bounded, 0.2, time.sleep, 60.0) is None
    assert apart(bounded, 60.0, abs, -3) == 3
