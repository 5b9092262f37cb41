"""Which mutants are hunted by chance, and that no round is done twice."""

import sys

import pytest

from pbft.testing.moods import MOODS
from pbft.testing.swarm import mood_of
from tests.mutants import chance
from tests.mutants.catalogue import MUTANTS
from tests.mutants.chance import BESIDE, Hunt


def test_the_firsts_are_one_of_each_trap_that_a_simulation_reaches() -> None:
    chosen = chance.firsts()
    traps = [each.trap for each in chosen if each.name not in BESIDE]
    reached = {m.trap for m in MUTANTS if chance.reached(m) and chance.TRAP.fullmatch(m.trap)}
    assert len(traps) == len(set(traps)) >= 40
    assert set(traps) == reached
    assert {each.name for each in chosen} >= set(BESIDE)


@pytest.mark.parametrize(
    ("before", "first"),
    [
        (None, 0),
        (Hunt("m", "x", 32, None, generator="g"), 32),
        (Hunt("m", "x", 32, None, generator="another"), 0),
        (Hunt("m", "x", 32, 5, generator="another"), sys.maxsize),
    ],
)
def test_a_hunt_goes_on_where_it_was_left_with_the_same_generator(
    before: Hunt | None, first: int
) -> None:
    assert chance._next(before, "g") == first


def test_the_seeds_of_each_mood_have_their_turn() -> None:
    seeds = chance.order(400)
    assert sorted(seeds) == list(range(400))
    early = {mood_of(seed) for seed in seeds[:15]}
    assert {mood.__name__ for mood in MOODS} | {""} == early


def test_the_table_says_the_seed_and_the_generator_that_drew_it() -> None:
    mutant = chance.firsts()[0]
    text = chance.table([Hunt(mutant.name, mutant.new, 32, 5, "why", "g")], MUTANTS)
    row = next(line for line in text.splitlines() if line.startswith(f"| {mutant.name} |"))
    assert row.endswith("| after 6: why | `g` |")
    assert f"Of {len(chance.firsts())} firsts 1 were tried, 1 noticed by chance." in text
