"""A verdict is yes only where every claim holds, and says which does not."""

from pbft.cli.demonstration.load import Load
from pbft.cli.demonstration.verdict import Run, as_json, claims
from pbft.cli.demonstration.watch import Watch
from tests.cli.demonstration.reports import report


def finished(*, behaviour: str = "corrupt", view: int = 0, at: int | None = 16) -> Run:
    """A run in which everything held."""
    load = Load(2, asked=2, answered=2, began=10.0, answered_at=[10.5, 10.6])
    load.latencies = [0.5, 0.1]
    watch = Watch(4, 0)
    for replica in range(4):
        watch.see(report(replica, view=view, acted=5))
    return Run(load, watch, behaviour, at, {})


def broken(run: Run) -> list[str]:
    """The claims that do not hold."""
    return [claim for holds, claim in claims(run) if not holds]


def test_all_holds() -> None:
    assert broken(finished()) == []
    assert as_json(finished())["ok"] is True


def test_a_request_without_an_answer() -> None:
    run = finished()
    run.load.answered = 1
    assert "1 of 2" in broken(run)[0]
    assert as_json(run)["ok"] is False


def test_no_request_at_all() -> None:
    run = finished()
    run.load.asked = run.load.answered = 0
    assert len(broken(run)) == 1


def test_a_wrong_answer() -> None:
    run = finished()
    run.load.wrong = 1
    assert "1 were" in broken(run)[0]


def test_different_digests() -> None:
    run = finished()
    run.watch.see(report(2, checkpoints={16: b"z" * 32}))
    assert not run.agreement
    assert len(broken(run)) == 1


def test_a_lying_core_of_the_traitor_is_no_disagreement() -> None:
    run = finished()
    run.watch.see(report(0, checkpoints={16: b"z" * 32}))
    assert run.agreement


def test_a_conflict_that_is_no_longer_visible() -> None:
    run = finished()
    run.watch.conflicts.add(8)
    assert not run.agreement


def test_nothing_to_compare() -> None:
    run = finished(at=None)
    assert not run.agreement
    assert "no checkpoint was common" in broken(run)[0]
    assert as_json(run)["state_digests"] == {}


def test_an_accused_correct_replica() -> None:
    run = finished()
    run.watch.see(report(2, evidence={1: ["two votes"]}))
    assert "accused" in broken(run)[0]


def test_a_traitor_that_did_nothing() -> None:
    run = finished()
    run.watch.acted = 0
    assert "really attacked" in broken(run)[0]


def test_a_silent_primary_must_be_replaced() -> None:
    assert "replaced" in broken(finished(behaviour="silent"))[0]
    assert broken(finished(behaviour="silent", view=1)) == []
    assert "replaced" in broken(finished(behaviour="equivocate", view=4))[0]


def test_the_figures() -> None:
    figures = as_json(finished(view=1))
    assert (figures["n"], figures["f"], figures["view"], figures["view_changes"]) == (4, 1, 1, 1)
    assert figures["recovery_seconds"] == 0.5
    assert figures["latency_ms"] == {"p50": 100.0, "p99": 500.0}
    assert figures["ops_per_second"] == 3.3
    assert set(figures["state_digests"]) == {"0", "1", "2", "3"}
    assert figures["byzantine"]["acted"] == 5
