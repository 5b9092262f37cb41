"""The two properties that every quorum argument rests on, for every size."""

import pytest

from pbft.core.quorum import faults, primary, quorum, weak_quorum

SIZES = range(4, 60)


@pytest.mark.parametrize("n", SIZES)
def test_two_quorums_meet_in_a_correct_replica(n: int) -> None:
    assert 2 * quorum(n) - n >= faults(n) + 1


@pytest.mark.parametrize("n", SIZES)
def test_the_correct_replicas_alone_are_a_quorum_and_no_smaller_one_would_do(n: int) -> None:
    assert quorum(n) <= n - faults(n)
    assert 2 * (quorum(n) - 1) - n < faults(n) + 1


@pytest.mark.parametrize("n", SIZES)
def test_f_is_the_most_that_n_can_bear(n: int) -> None:
    assert 3 * faults(n) < n <= 3 * (faults(n) + 1)
    assert weak_quorum(n) == faults(n) + 1


def test_where_n_is_3f_plus_1_a_quorum_is_2f_plus_1_and_elsewhere_more() -> None:
    assert [quorum(n) for n in (4, 5, 6, 7, 10)] == [3, 4, 4, 5, 7]


def test_views_take_turns() -> None:
    assert [primary(view, 4) for view in range(9)] == [0, 1, 2, 3, 0, 1, 2, 3, 0]
