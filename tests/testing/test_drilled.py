"""What is kept of a drill that did not hold: the file, its page, and the commands that read it."""

import json
from pathlib import Path

import msgspec
import pytest

from pbft.cli.main import main
from pbft.core.service import OK
from pbft.testing import planfiles
from pbft.testing.cluster.drill import Drilled, Witnessed, _Drill
from pbft.testing.cluster.drilled import DrillFile, decoded, keep, recording
from pbft.testing.cluster.records import problems_in
from pbft.testing.kept import load_kept, replay_kept
from pbft.testing.planfiles import PlanFileError
from tests.testing.breakable import LastToken
from tests.testing.test_records import ABOUT, changed, recorded, told_of

SERVICE = f"{LastToken.__module__}:LastToken"
RECORD = recorded()
DIFFERS = [RECORD, changed(RECORD, 2, result=OK + msgspec.msgpack.encode("</script>"))]
LOGS = [["one </script>"], []]


def kept(directory: Path) -> tuple[Path, Path]:
    _, problems = problems_in(DIFFERS, told_of(RECORD), ABOUT)
    return keep(SERVICE, problems, DIFFERS, told_of(RECORD), LOGS, directory)


def test_what_replicas_computed_differently_is_kept_up_to_there_replayed_and_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, page = kept(tmp_path)
    file = load_kept(path)
    assert isinstance(file, DrillFile)
    assert [len(each) for each in file.executed] == [3, 3]
    drawn = recording("d", file)
    assert [each.name for each in drawn.lanes] == [
        *("caller", "replica 0", "replica 1", "a single machine"),
    ]
    assert len(drawn.arrows) == 2 * 3 * 3
    assert "replica 0: one </script>" in [line.text for line in drawn.story]
    assert "one </script>" not in page.read_text("utf-8")
    assert replay_kept(file) == ("agreement", file.violations)
    assert main(["replay", str(path), "--timeline", str(tmp_path / "p.html")]) == 1
    assert "violated again: agreement" in capsys.readouterr().out.splitlines()
    assert (tmp_path / "p.html").stat().st_size == page.stat().st_size
    assert main(["replay", str(path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["same_trace"]
    assert main(["timeline", str(path), "-o", str(tmp_path / "q.html")]) == 0


def test_what_a_run_alone_could_show_stands_and_what_was_mended_does_not(tmp_path: Path) -> None:
    silent = ["termination: the cluster did not recover: replica 2 ended by itself"]
    path, _ = keep(SERVICE, silent, [RECORD, RECORD[:1]], told_of(RECORD), LOGS, tmp_path)
    assert replay_kept(load_kept(path)) == ("termination", silent)
    mended = msgspec.structs.replace(load_kept(path), violations=["results: something else"])
    assert replay_kept(mended) == (None, [])


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    path, _ = kept(tmp_path)
    loose = json.loads(path.read_bytes())
    for changes, said in (
        ({"format": 2}, "format 2 with 1 complaint"),
        ({"violations": []}, "format 1 with 0 complaint"),
        ({"executed": 7}, "not a plan file"),
        ({"service": "no_such:Service"}, "no_such"),
    ):
        path.write_text(json.dumps(loose | changes))
        with pytest.raises(PlanFileError, match=said):
            replay_kept(load_kept(path))
        assert main(["timeline", str(path), "-o", str(tmp_path / "p.html")]) == 2
    with pytest.raises(msgspec.MsgspecError):
        decoded(path, b"{}")


def test_what_cannot_be_kept_is_told_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planfiles, "MAX_PLAN_BYTES", 100)
    found = Drilled(1.0, 1, 0, 0, 1, {}, ["loss: of a call"])
    with Witnessed(tmp_path / "c", SERVICE) as cluster:
        for replica in range(4):
            (tmp_path / "c" / f"replica-{replica}.log").touch()
        told = _Drill(cluster, ABOUT, 0).kept(SERVICE, found, tmp_path)
    assert told.file is None
    assert told.problems[0] == "loss: of a call"
    assert told.problems[1].startswith("nothing is kept of it: it has ")
