"""What is kept for an audit: every decision and new view, in files of a bounded size that can be
read elsewhere, at no cost to the replica that cannot write them."""

from pathlib import Path

import pytest

from pbft import evidence
from pbft.core.effects import Committed, Effects, Evidence
from pbft.core.errors import ConfigurationError
from pbft.core.records import (
    Accepted,
    AnyRecord,
    Began,
    Prepared,
    Stabilised,
    ViewChanged,
    ViewEntered,
)
from pbft.core.wire import batch_digest
from pbft.evidence import EvidenceFolder, evidence_paths, in_records, read_evidence
from tests.core.lab import Lab

CLUSTER = bytes(range(16))


def decided(sequence: int, size: int = 4) -> Effects:
    certificate = tuple(b"%d %d" % (sequence, vote) + bytes(size) for vote in range(3))
    return Effects(events=[Committed(sequence, certificate)])


def folder(directory: Path) -> EvidenceFolder:
    return EvidenceFolder(directory, CLUSTER, 2)


def read(directory: Path) -> list[bytes]:
    return [each for path in evidence_paths(directory) for each in read_evidence(path, CLUSTER)]


def test_decisions_and_new_views_are_kept(tmp_path: Path) -> None:
    keeper = folder(tmp_path)
    keeper.report(Effects(records=[Began()]))
    assert list(tmp_path.iterdir()) == []
    keeper.report(decided(1))
    keeper.report(Effects(records=[ViewEntered(b"the new view")]))
    keeper.close()
    keeper = folder(tmp_path)
    keeper.report(decided(2))
    keeper.close()
    first, second = (effects.events[0] for effects in (decided(1), decided(2)))
    assert isinstance(first, Committed)
    assert isinstance(second, Committed)
    assert read(tmp_path) == [*first.certificate, b"the new view", *second.certificate]


def test_evidence_is_written_once_for_each_kind_and_culprit(tmp_path: Path) -> None:
    keeper = folder(tmp_path)
    for statement in (b"one", b"another"):
        for culprit in (1, 3):
            found = Evidence("conflicting commits", culprit, (statement, b"and against it"))
            keeper.report(Effects(evidence=[found]))
    names = sorted(path.name for path in evidence_paths(tmp_path))
    assert names == [f"replica-2-conflicting-commits-{culprit}.jsonl" for culprit in (1, 3)]
    assert read(tmp_path) == [b"one", b"and against it"] * 2


def test_two_files_of_a_bounded_size_keep_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "MAX_KEPT_BYTES", 10_000)
    keeper = folder(tmp_path)
    for sequence in range(100):
        keeper.report(decided(sequence, 200))
    keeper.close()
    paths = list(evidence_paths(tmp_path))
    assert [path.name for path in paths] == ["replica-2.jsonl", "replica-2.old.jsonl"]
    assert all(path.stat().st_size <= 10_000 for path in paths)
    numbers = sorted({int(each.split()[0]) for each in read(tmp_path)})
    assert numbers == list(range(numbers[0], 100))
    assert len(numbers) >= 10


def test_a_line_that_was_cut_off_costs_itself_alone(tmp_path: Path) -> None:
    keeper = folder(tmp_path)
    keeper.report(decided(1))
    keeper.report(decided(2))
    keeper.close()
    path = tmp_path / "evidence" / "replica-2.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    assert len(read(tmp_path)) == 3
    keeper = folder(tmp_path)
    keeper.report(decided(3))
    keeper.close()
    assert {each.split()[0] for each in read(tmp_path)} == {b"1", b"3"}


def test_who_cannot_write_says_so_once_and_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "evidence").write_text("in the way")
    keeper = folder(tmp_path)
    for sequence in range(3):
        keeper.report(decided(sequence))
    assert caplog.text.count("nothing more is kept for an audit") == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{}\n", "this is no evidence"),
        (b"\xff\xfe\n", "this is no evidence"),
        (b'{"format":1,"cluster":"00","by":1,"kind":"x","statements":["?"]}\n', "no evidence"),
        (b'{"format":2,"cluster":"00","by":1,"kind":"x","statements":[]}\n', "format 2"),
        (b'{"format":1,"cluster":"00","by":1,"kind":"x","statements":[]}\n', "another cluster"),
        (b"[" * 100_000 + b"\n", "this is no evidence"),
        (b"x" * (evidence.MAX_LINE_BYTES + 1), "too long"),
    ],
    ids=range(7),
)
def test_what_is_no_evidence_is_refused_with_its_place(
    tmp_path: Path, line: bytes, words: str
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(line)
    with pytest.raises(ConfigurationError, match=words):
        list(read_evidence(path, CLUSTER))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        list(read_evidence(tmp_path / "absent", CLUSTER))


def test_a_journal_holds_statements_too() -> None:
    lab = Lab()
    batch = lab.batch(lab.request(1))
    certificate = lab.certificate(0, 1, batch, (1, 2, 3))
    move, new_view = lab.view_change(1, 1), lab.new_view(1, [], {})
    proof = lab.proof(8, batch_digest(batch), (0, 1, 2))
    records: list[AnyRecord] = [
        Began(),
        Accepted(certificate.pre_prepare, batch),
        Prepared(1, certificate),
        ViewChanged(move.raw),
        ViewEntered(new_view.raw),
        Stabilised(8, proof),
    ]
    assert list(in_records(records)) == [
        *(certificate.pre_prepare, batch),
        *(certificate.pre_prepare, *certificate.prepares),
        *(move.raw, new_view.raw, *proof),
    ]
