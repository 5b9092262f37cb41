"""`pbft scenario` from a shell: its example, a transcript that changed, and what is refused."""

import json
import shlex
from pathlib import Path

from pbft.cli.examples import EXAMPLES
from tests.cli.command import ROOT, assert_refused, pbft_command

FILE = "client-0 puts a=1\nthen: view 0, 1 executed\n"


def test_the_example_runs_as_it_stands() -> None:
    done = pbft_command(*shlex.split(EXAMPLES["scenario"])[1:], cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert "R2 blames R0: conflicting pre-prepares" in done.stdout
    assert done.stdout.endswith("it held\n")


def test_a_transcript_is_recorded_compared_and_recorded_again(tmp_path: Path) -> None:
    (tmp_path / "x.scenario").write_text(FILE)
    recorded = tmp_path / "x.transcript"
    assert pbft_command("scenario", "x.scenario", "--record", cwd=tmp_path).returncode == 0
    whole = recorded.read_text()
    recorded.write_text(whole.replace("client-0 has answer 1", "client-0 has answer 2"))
    done = pbft_command("scenario", "x.scenario", "--json", cwd=tmp_path)
    (told,) = json.loads(done.stdout)["scenarios"]
    assert (done.returncode, told["file"]) == (1, "x.scenario")
    assert "+   1.0" in told["faults"][0]
    assert "client-0 has answer 1" in told["faults"][0]
    assert pbft_command("scenario", "x.scenario", "--record", cwd=tmp_path).returncode == 0
    assert recorded.read_text() == whole


def test_what_does_not_hold_is_not_recorded(tmp_path: Path) -> None:
    (tmp_path / "x.scenario").write_text(FILE.replace("view 0", "view 3"))
    done = pbft_command("scenario", "x.scenario", "--record", cwd=tmp_path)
    assert done.returncode == 1
    assert "expected 'view 3'" in done.stderr
    assert not (tmp_path / "x.transcript").exists()


def test_a_sentence_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.scenario").write_text("R0 dances\n")
    assert_refused(pbft_command("scenario", "x.scenario", cwd=tmp_path), "x.scenario:1", "expected")
