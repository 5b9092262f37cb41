"""A few faults in the first rounds: made where they should be, and survived."""

import pytest

from pbft.core.messages import Commit, Prepare, Status, ViewChange
from pbft.testing.byzzfuzz import ROUNDS, SMALL, byzzfuzz, cells
from pbft.testing.rounds import RoundCut, Rounds
from pbft.testing.simulator import run

DIGEST = bytes(32)


def test_a_round_is_a_step_in_the_order_of_first_sight() -> None:
    rounds = Rounds()
    first, second = Prepare(0, 1, DIGEST, 1), Prepare(0, 1, DIGEST, 2)
    vote, move = Commit(0, 1, DIGEST, 1), ViewChange(1, 0, (), (), 2)
    assert [rounds.of(each) for each in (first, vote, second, move, first)] == [0, 1, 0, 2, 0]
    assert rounds.of(Status(0, True, 0, 0, False)) is None


def test_a_cut_stands_between_its_groups_in_its_round_alone() -> None:
    rounds, cuts = Rounds(), (RoundCut(0, frozenset({0, 1})),)
    vote, later = Prepare(0, 1, DIGEST, 1), Commit(0, 1, DIGEST, 1)
    assert not rounds.are_cut(cuts, 1, 2, vote)
    assert [rounds.of(vote), rounds.of(later)] == [0, 1]
    assert rounds.are_cut(cuts, 1, 2, vote)
    assert rounds.are_cut(cuts, 2, 1, vote)
    assert not rounds.are_cut(cuts, 1, 0, vote)
    assert not rounds.are_cut(cuts, 1, 2, later)


def test_a_cell_has_as_many_faults_as_it_says() -> None:
    assert len(cells()) == 9
    for d, c in cells():
        plan = byzzfuzz(d, c, 5)
        assert len(plan.round_cuts) == d
        assert sum(map(len, plan.attacks.values())) == c
        assert byzzfuzz(d, c, 5) == plan
    drawn = [byzzfuzz(0, 2, seed) for seed in range(200)]
    attacks = [each for plan in drawn for some in plan.attacks.values() for each in some]
    assert {each.act for each in attacks} == set(SMALL)
    assert {each.target.rounds for each in attacks} == {(r, r + 1) for r in range(ROUNDS)}


@pytest.mark.parametrize(("d", "c"), cells())
def test_the_cells_hold(d: int, c: int) -> None:
    made = cut = 0
    for seed in range(6):
        report = run(byzzfuzz(d, c, seed))
        assert (report.finished, report.violations) == (True, []), seed
        made += sum(n for name, n in report.faults.items() if name.startswith("attack"))
        cut += report.faults.get("cut in a round", 0)
    assert (made > 0, cut > 0) == (c > 0, d > 0)
