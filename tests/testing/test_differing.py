"""What processes compute differently: the file, its page, and the commands that read it."""

import json
from pathlib import Path

import msgspec
import pytest

from pbft.cli import replay, timeline
from pbft.cli.main import main
from pbft.testing.determinism import Operation, Report
from pbft.testing.differing import FORMAT, ORACLE, Again, Difference, recording
from pbft.testing.kept import load_kept
from pbft.testing.planfiles import PlanFileError

EVIL = "</script>"
CALLS = [Operation("put", "put('a')", b"a"), Operation("put", f"put({EVIL!r})", b"b")]
FILE = Difference(FORMAT, "0", ORACLE, "operation 2 is not the same:\n  it gives 1", "a:B", CALLS)
SAME, OTHER = (json.dumps({"result": word, "changed": {"self.x": None}}) for word in ("one", "two"))
FOUND = Again(Report(2, "put", None, FILE.violation), [[SAME, SAME], [SAME, OTHER]])


def kept(directory: Path, **changes: object) -> Path:
    path = directory / "d.json"
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(FILE, **changes)))
    return path


def test_the_page_has_a_lane_for_each_process_and_what_each_gave() -> None:
    drawn = recording("d", FILE, FOUND)
    assert [lane.name for lane in drawn.lanes] == ["caller", "process 0", "process 1"]
    assert drawn.kinds == ["put", "reply"]
    assert len(drawn.arrows) == 2 * 2 * 2
    assert [mark.text for mark in drawn.marks] == [f"{ORACLE}: operation 2 is not the same:"]
    last = drawn.contents[drawn.arrows[-1].content]
    assert last == f"put({EVIL!r})\ngives two\nself.x becomes None"
    assert drawn.story[0].kind == "violation"


def test_it_is_replayed_and_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, page = kept(tmp_path), tmp_path / "d.html"
    monkeypatch.setattr(replay, "again", lambda file, seconds: FOUND)
    monkeypatch.setattr(timeline, "again", lambda file: FOUND)
    assert main(["replay", str(path), "--timeline", str(page)]) == 1
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "2 calls of a:B, in 3 processes"
    assert "violated again: determinism" in told
    assert "the difference is the same, word for word" in told
    assert f"put('{EVIL}')" not in page.read_text("utf-8")
    assert main(["replay", str(path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["same_trace"]
    assert main(["timeline", str(path), "-o", str(page)]) == 0
    assert "8 messages" in capsys.readouterr().out
    monkeypatch.setattr(replay, "again", lambda file, seconds: Again(None, FOUND.lives[:1] * 2))
    assert main(["replay", str(path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "it holds now"


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"format": 2}, "format 2 with 2 calls"), ({"calls": []}, "format 1 with 0 calls")],
)
def test_a_file_that_cannot_be_run_is_refused(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(PlanFileError, match=said):
        load_kept(kept(tmp_path, **changes))


def test_what_is_no_file_of_ours_is_said(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    for data in (b"", b"[1]", b'{"calls": 5}', b"\xff"):
        path.write_bytes(data)
        with pytest.raises(PlanFileError, match="not a plan file"):
            load_kept(path)
