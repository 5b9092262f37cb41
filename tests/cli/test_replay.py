"""From a seed that fails to a page that tells it: simulate, replay, shrink, timeline."""

import json
import shlex
from pathlib import Path

import pytest

from pbft.cli.main import main
from pbft.testing.plan import draw
from pbft.testing.planfiles import encode, keep, load, told
from pbft.testing.simulator import run
from tests.testing.planted_plans import brief

CONTROL = brief(draw(3, 4, 2), 3)
"""Two traitors of four fork the cluster."""


@pytest.fixture
def failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return keep(CONTROL, run(CONTROL), Path("kept"))


def test_a_seed_that_fails_is_kept_and_the_command_that_is_told_replays_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", "--seed", "3", "--traitors", "2", "--jobs", "1"]) == 1
    line = next(each for each in capsys.readouterr().out.splitlines() if "again:" in each)
    command = shlex.split(line.partition("again: ")[2])
    assert command[:2] == ["pbft", "replay"]
    assert command[2].startswith("pbft-failures/seed-3-agreement-")
    assert main(command[1:]) == 1
    out = capsys.readouterr().out
    assert "violated again: agreement" in out
    assert "the trace is the same, bit for bit" in out


def test_replay_as_json_and_as_a_page(failing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(failing), "--json", "--timeline", "run.html"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["oracle"], told["expected"]) == ("agreement", "agreement")
    assert (told["same_violation"], told["same_trace"]) == (True, True)
    assert told["by_kind"] == {"traitors": 2, "calls": 3, **noise()}
    assert "<canvas" in Path("run.html").read_text("utf-8")


def noise() -> dict[str, int]:
    return {name: 1 for name in ("loss", "duplicates") if getattr(CONTROL, name)}


def test_what_holds_now_ends_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = brief(draw(4))
    path = tmp_path / "plan.json"
    data = encode(told(plan, run(plan))).replace(b'"oracle": null', b'"oracle": "agreement"')
    path.write_bytes(data)
    assert main(["replay", str(path)]) == 0
    assert "it holds now" in capsys.readouterr().out
    assert main(["shrink", str(path)]) == 1
    assert "violates nothing" in capsys.readouterr().err


def test_shrink_writes_a_smaller_plan_that_fails_alike(
    failing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["shrink", str(failing), "--runs", "6"]) == 0
    out = capsys.readouterr().out
    assert "the budget is used up" in out
    small = failing.with_suffix(".small.json")
    assert f"again: pbft replay {small}" in out
    assert load(small).oracle == "agreement"
    assert len(small.read_bytes()) <= len(failing.read_bytes())


def test_a_plan_is_drawn(failing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["timeline", str(failing), "-o", "out.html"]) == 0
    assert "messages: out.html" in capsys.readouterr().out
    assert failing.name in Path("out.html").read_text("utf-8")


@pytest.mark.parametrize(
    "arguments",
    [
        ["replay", "none.json"],
        ["replay", "bad.json"],
        ["shrink", "bad.json"],
        ["timeline", "bad.json"],
        ["timeline", "bad.json", "none.jsonl"],
        ["timeline", "none.jsonl"],
        ["timeline", "."],
    ],
    ids=" ".join,
)
def test_a_bad_file_is_one_sentence_and_status_2(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.json").write_text('{"format": 1}')
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("pbft: ")
    assert err.count("\n") == 1
