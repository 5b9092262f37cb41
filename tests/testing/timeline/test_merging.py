"""Files of replicas become one picture: what was said here and heard there is one arrow."""

from pathlib import Path

import msgspec
import pytest

from pbft.core.messages import Status
from pbft.core.wire import encode_link
from pbft.recording import Full, Header, Heard, Said, Turned
from pbft.testing.planfiles import PlanFileError
from pbft.testing.timeline.merging import merge
from pbft.testing.timeline.recording import Arrow, Recording

MS = 1_000_000
DATA = encode_link(Status(0, True, 0, 0, False))


def header(replica: int, at: int, **changes: object) -> Header:
    plain = Header(1, at, 0, replica, 4, "ab", "pbft.services.kv:KeyValueService", 0, True)
    return msgspec.structs.replace(plain, **changes)


def said(at: int, *to: int | str, digest: str = "d") -> Turned:
    return Turned(at, said=[Said(to, digest, len(DATA), DATA)])


def heard(at: int, peer: int | str, digest: str = "d", data: bytes | None = None) -> Turned:
    return Turned(at, heard=[Heard(peer, digest, len(DATA), data)])


def recording(directory: Path, *lives: list[Header | Turned | Full]) -> Recording:
    for number, entries in enumerate(lives):
        lines = [msgspec.json.encode(each) for each in entries]
        (directory / f"replica-{number}.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    return merge([directory], "real")


def ends(arrow: Arrow) -> tuple[int, int, int, int | None, str]:
    return arrow.source, arrow.target, arrow.sent // MS, at_ms(arrow.arrived), arrow.fate


def at_ms(at: int | None) -> int | None:
    return None if at is None else at // MS


def test_who_said_and_who_heard_is_one_arrow(tmp_path: Path) -> None:
    found = recording(
        tmp_path,
        [header(0, 0), said(10 * MS, 1, 2), said(20 * MS, 1), said(99 * MS, 1)],
        [header(1, 0), heard(12 * MS, 0), heard(25 * MS, 0), said(60 * MS, 2, digest="e")],
        [header(2, 0), heard(70 * MS, 1, "f")],
    )
    assert [ends(arrow) for arrow in found.arrows] == [
        (0, 1, 10, 12, "arrived"),
        (0, 2, 10, None, "lost"),
        (0, 1, 20, 25, "arrived"),
        (1, 2, 60, None, "lost"),
        (0, 1, 99, None, "unseen"),
    ]
    assert found.kinds == ["Status"]
    assert found.end == 99 * MS


def test_what_clients_send_is_known_from_who_heard_it(tmp_path: Path) -> None:
    found = recording(
        tmp_path, [header(0, 0), heard(5 * MS, "ann", data=DATA), said(9 * MS, "ann")]
    )
    assert [lane.name for lane in found.lanes][4:] == ["ann"]
    assert [ends(arrow) for arrow in found.arrows] == [
        (4, 0, 5, 5, "arrived"),
        (0, 4, 9, None, "unseen"),
    ]


def test_between_two_lives_a_replica_is_down(tmp_path: Path) -> None:
    found = recording(
        tmp_path,
        [header(0, 0), said(50 * MS, 1)],
        [header(1, 0), said(30 * MS, 0), header(1, 80 * MS, view=3, active=False)],
    )
    own = [(s.kind, s.text, s.begin // MS, s.end // MS) for s in found.spans if s.lane == 1]
    assert own == [
        ("view", "view 0", 0, 30),
        ("down", "until it was started again", 30, 80),
        ("moving", "to view 3", 80, 80),
    ]
    assert ends(found.arrows[-1]) == (0, 1, 50, None, "down")


def test_events_evidence_and_notes_are_told(tmp_path: Path) -> None:
    turn = Turned(
        5 * MS,
        events=[
            ("Executed", {"sequence": 1, "digest": b"d" * 32, "requests": [], "operations": 0}),
            ("EnteredView", {"view": 1}),
            ("SomethingNew", {"x": 1}),
        ],
        evidence=[("conflicting commits", 3)],
    )
    full = Full(6 * MS)
    found = recording(tmp_path, [header(0, 0, note="equivocate"), turn, full])
    kinds = [mark.kind for mark in found.marks]
    assert kinds == ["executed", "entered", "evidence", "fault"]
    assert found.lanes[0].note == "equivocate"
    story = " ".join(line.text for line in found.story)
    assert "evidence against replica 3: conflicting commits" in story
    assert "the recordings of replicas 0 are full" in story


def test_a_line_that_a_crash_has_cut_is_left_out(tmp_path: Path) -> None:
    recording(tmp_path, [header(0, 0), said(1 * MS, 1)])
    path = tmp_path / "replica-0.jsonl"
    path.write_bytes(path.read_bytes()[:-20] + b"\n" + msgspec.json.encode(header(0, 9 * MS)))
    assert merge([path], "real").end == 9 * MS


def test_a_file_that_is_named_twice_is_drawn_once(tmp_path: Path) -> None:
    once = recording(tmp_path, [header(0, 0), said(1 * MS, 1)])
    assert merge([tmp_path, tmp_path / "replica-0.jsonl"], "real") == once


def test_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanFileError, match="no recording in"):
        merge([tmp_path], "none")
    (tmp_path / "x.jsonl").write_bytes(b"{}\n")
    with pytest.raises(PlanFileError, match="is no recording"):
        merge([tmp_path], "none")
    (tmp_path / "x.jsonl").write_bytes(msgspec.json.encode(header(1, 0, cluster="cd")))
    with pytest.raises(PlanFileError, match="different clusters"):
        recording(tmp_path, [header(0, 0)])
    (tmp_path / "x.jsonl").write_bytes(msgspec.json.encode(header(1, 0, format=9)))
    with pytest.raises(PlanFileError, match="newer pbft"):
        merge([tmp_path / "x.jsonl"], "none")
    with pytest.raises(PlanFileError, match="cannot be read"):
        merge([tmp_path / "y.jsonl"], "none")
