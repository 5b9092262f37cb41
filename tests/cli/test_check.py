"""`pbft check` from the command line: its words, its JSON and its exit status."""

import json
from pathlib import Path

import pytest

from pbft.cli import check as command
from pbft.cli.main import main
from pbft.testing.checking import Checked, Finding
from pbft.testing.cluster.drill import Drilled
from pbft.testing.exercise import Calls

SERVICES = "tests.testing.breakable"


FINDING = Finding("invariant", "after pay('a'): ValueError: 3", 7, 2, False, "f/x.json", "f/x.html")
ALONE = Finding(
    "determinism",
    "operation 1, first([]), is not the same",
    events=1,
    file="f/y.json",
    page="f/y.html",
)
CALLS = {"pay": Calls(5, 1, 2), "add": Calls(0, 3, 0, "ValueError: no")}


def test_what_breaks_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shares, bad = {f"s{n}": 0.5 for n in range(7)}, ["add was refused every time"]
    found = Checked("bank:Bank", 9, 4, CALLS, shares, {}, 0.25, [FINDING, ALONE], bad)
    monkeypatch.setattr(command, "check", lambda service, **options: found)
    drilled = Drilled(8.0, 5, 1, 0, 6, {"primary killed": 2}, ["loss: pay('a')"])
    monkeypatch.setattr(command, "drill", lambda service, seconds, **options: drilled)
    assert main(["check", "bank:Bank", "--cluster", "8"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "9 runs of bank:Bank, 0.25 simulated hours, 4 failed",
        "  pay: 5 answered, 1 refused, 2 unanswered",
        "  add: 0 answered, 3 refused",
        "situations: s0 50%, s1 50%, s2 50%, s3 50%, s4 50%, and 2 more",
        "faults: none",
        "broken: invariant: after pay('a'): ValueError: 3",
        "  seed 7, made smaller: 2 events; the story: f/x.html",
        "  again: pbft replay f/x.json",
        "  it may become smaller yet: pbft shrink f/x.json",
        "broken: determinism: operation 1, first([]), is not the same",
        "  one call is enough, in processes of their own, before the runs; the story: f/y.html",
        "  again: pbft replay f/y.json",
        "not tested: add was refused every time; say in workload(rng) which calls are worth making",
        "four processes, 8 s: 5 calls answered, 1 refused, 0 unanswered; 6 in the agreed order",
        "  2 primary killed",
        "broken on real processes: loss: pay('a')",
        "it did not hold",
    ]


def test_a_service_that_holds_is_figures_for_a_program(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--seeds", "2", "--jobs", "1", "--keep", str(tmp_path), "--json"]
    assert main(["check", f"{SERVICES}:Counter", *arguments]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["held"], figures["runs"], figures["findings"]) == (True, 2, [])
    assert figures["calls"]["add"]["answered"] > 0
    assert figures["cluster"] is None


@pytest.mark.parametrize("name", ["no.such:Thing", f"{SERVICES}:WorkloadFails"])
def test_what_cannot_be_checked_is_a_wrong_command_line(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", name]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_where_nothing_can_be_kept_nothing_is_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pbft.testing.checking.differences", lambda *given: pytest.fail("it ran"))
    taken = tmp_path / "taken"
    taken.write_text("a file")
    assert main(["check", f"{SERVICES}:Counter", "--keep", str(taken / "here")]) == 2
    assert "cannot be written" in capsys.readouterr().err
