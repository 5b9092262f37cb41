"""A recording of a simulation has everybody in it, what was said, and what went wrong."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from pbft.core.ids import SECOND
from pbft.testing.plan import Crash, Partition, Plan, draw
from pbft.testing.simulator import Report, run
from pbft.testing.timeline import collecting
from pbft.testing.timeline.observer import Recorder
from pbft.testing.timeline.recording import EVERYBODY, Recording
from tests.testing.planted_plans import brief

PLAN = brief(
    draw(6),
    traitors={2: "equivocate"},
    faulty_clients=1,
    loss=0.1,
    partitions=[Partition(0, 2 * SECOND, frozenset({0}), True)],
    crashes=[Crash(SECOND, 2 * SECOND, 1)],
)
CONTROL = replace(draw(3, 4, 2), operations=3)


def recorded(plan: Plan) -> tuple[Report, Recording]:
    recorder = Recorder()
    report = run(plan, [recorder])
    return report, recorder.recording("a run")


@pytest.fixture(scope="module")
def seen() -> tuple[Report, Recording]:
    return recorded(PLAN)


def test_everybody_has_a_lane_and_the_faulty_are_marked(seen: tuple[Report, Recording]) -> None:
    names = [lane.name for lane in seen[1].lanes]
    assert names[:4] == ["replica 0", "replica 1", "replica 2", "replica 3"]
    assert names[4:] == ["client-0", "client-1", "client-2", "mallory-0"]
    assert [lane.note for lane in seen[1].lanes if lane.note] == ["equivocate", "a faulty client"]


def test_every_message_is_an_arrow_and_its_fate_is_told(seen: tuple[Report, Recording]) -> None:
    report, recording = seen
    fates = Counter(arrow.fate for arrow in recording.arrows)
    assert fates["lost"] == report.faults["lost"]
    assert fates["cut"] == report.faults["cut by partition"]
    assert fates["down"] > 0
    for arrow in recording.arrows:
        assert (arrow.arrived is None) == (arrow.fate in ("lost", "cut"))
        text = recording.contents[arrow.content]
        assert text.startswith(recording.kinds[arrow.kind])
    assert {"Request", "Proposal", "Prepare", "Commit", "Reply"} <= set(recording.kinds)


def test_lives_and_views_are_spans_without_a_gap(seen: tuple[Report, Recording]) -> None:
    _, recording = seen
    for lane in range(4):
        own = [span for span in recording.spans if span.lane == lane]
        assert own[0].begin == 0
        assert own[-1].end == recording.end
        assert all(a.end == b.begin for a, b in pairwise(own))
    crashed = [span for span in recording.spans if span.lane == 1 and span.kind == "down"]
    assert [(span.begin, span.end) for span in crashed] == [(SECOND, 2 * SECOND)]
    (cut,) = (span for span in recording.spans if span.lane == EVERYBODY)
    assert (cut.kind, cut.text) == ("partition", "nothing from {0} to the rest")


def test_calls_are_spans_of_their_client(seen: tuple[Report, Recording]) -> None:
    report, recording = seen
    calls = [span for span in recording.spans if span.kind == "call"]
    assert len(calls) == report.operations
    content = recording.contents[calls[0].content]
    assert "client-0, call" in content
    assert "→" in content


def test_the_story_begins_with_the_violation() -> None:
    report, recording = recorded(CONTROL)
    first = recording.story[0]
    assert (first.kind, first.text) == ("violation", report.violations[0])
    assert first.at is not None
    assert 0 < first.at < recording.end
    texts = " ".join(line.text for line in recording.story)
    assert "is a traitor: twins" in texts
    assert f"seed {CONTROL.seed}" in texts


def test_only_the_last_messages_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    _, whole = recorded(CONTROL)
    monkeypatch.setattr(collecting, "MAX_ARROWS", 50)
    _, recording = recorded(CONTROL)
    assert len(recording.arrows) == 50
    assert recording.left_out == len(whole.arrows) - 50
    assert recording.arrows[-1].sent == whole.arrows[-1].sent


def test_recording_changes_nothing(seen: tuple[Report, Recording]) -> None:
    assert run(PLAN) == seen[0]
