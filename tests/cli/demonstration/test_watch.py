"""Disagreement is found wherever it shows, and the traitor's word counts for nothing."""

from pbft.cli.demonstration.watch import Watch
from tests.cli.demonstration.reports import report


def watched(**changes: dict[int, bytes]) -> Watch:
    """Four replicas, 0 the traitor; `r2={...}` gives replica 2 other checkpoints."""
    watch = Watch(4, 0)
    for replica in range(4):
        watch.see(report(replica, checkpoints=changes.get(f"r{replica}")))
    return watch


def test_equal_replicas_have_no_conflict() -> None:
    watch = watched()
    assert watch.conflicts == set()
    assert watch.common(0) == 16
    assert watch.common(17) is None
    assert watch.level()


def test_correct_replicas_that_differ_are_found() -> None:
    assert watched(r2={16: b"x" * 32}).conflicts == {16}
    assert watched(r1={8: b"x" * 32}).conflicts == {8}


def test_the_traitor_may_differ() -> None:
    assert watched(r0={16: b"x" * 32}).conflicts == set()


def test_a_replica_that_contradicts_itself_later_is_found() -> None:
    watch = watched()
    watch.see(report(3, checkpoints={16: b"y" * 32}))
    assert watch.conflicts == {16}


def test_nothing_is_common_before_all_have_it() -> None:
    assert watched(r3={8: b"a" * 32}).common(0) == 8
    assert watched(r3={}).common(0) is None
    lacking = Watch(4, 0)
    lacking.see(report(1))
    assert lacking.common(0) is None


def test_not_level_while_one_lags_or_changes_view() -> None:
    watch = watched()
    watch.see(report(2, executed=19))
    assert not watch.level()
    watch.see(report(2, view=1))
    assert not watch.level()
    watch.see(report(2))
    watch.see(report(0, executed=3, view=9))
    assert watch.level()


def test_the_view_is_one_that_a_correct_replica_works_in() -> None:
    watch = watched()
    watch.see(report(0, view=7))
    watch.see(report(1, view=5, active=False))
    watch.see(report(2, view=1))
    assert watch.view == 1


def test_what_was_noticed_is_about_the_traitor() -> None:
    watch = watched()
    watch.see(report(1, evidence={0: ["b", "a", "a"]}, drops={"malformed": 3}))
    assert watch.noticed()["1"] == {"evidence": ["a", "b"], "drops": {"malformed": 3}}
    assert set(watch.noticed()) == {"1", "2", "3"}
    assert watch.framed() == []
    watch.see(report(2, evidence={3: ["a"]}))
    assert watch.framed() == [3]


def test_attacks_are_counted_where_they_are_made() -> None:
    watch = watched()
    watch.see(report(0, acted=12))
    watch.see(report(1, acted=99))
    assert watch.acted == 12


def test_news() -> None:
    watch = watched()
    assert watch.see(report(1)) == []
    (suspects,) = watch.see(report(1, view=1, active=False))
    assert "suspects replica 0" in suspects
    works, proves = watch.see(report(1, view=1, evidence={0: ["two votes"]}))
    assert "works in view 1, under primary 1" in works
    assert "can prove against replica 0: two votes" in proves
    assert watch.see(report(0, view=3)) == []
