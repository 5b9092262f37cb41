"""Counting view changes: exactly for a quorum, at least for a join."""

from pbft.core.ingress import GENESIS
from pbft.core.state.views import Views
from pbft.core.verified import ProvenViewChange
from tests.core.lab import Lab


def with_view_changes(views: dict[int, int]) -> Views:
    lab, found = Lab(), Views()
    for by, view in views.items():
        found.view_changes[by] = ProvenViewChange(lab.view_change(by, view), GENESIS, {})
    return found


def test_only_view_changes_to_exactly_this_view_support_it() -> None:
    found = with_view_changes({0: 2, 1: 3, 2: 2})
    assert {each.signed.message.replica for each in found.supporters(2)} == {0, 2}
    assert found.supporters(1) == []


def test_who_is_further_is_moving_here_too() -> None:
    found = with_view_changes({0: 2, 1: 3, 2: 5})
    assert [found.moving(view) for view in (1, 2, 3, 4, 5, 6)] == [3, 3, 2, 1, 1, 0]


def test_the_back_off_counts_views_since_the_last_progress() -> None:
    found = Views(view=7)
    assert found.backoff == 7
    found.progressed = 5
    assert found.backoff == 2


def test_a_replica_begins_active_in_view_0() -> None:
    assert (Views().view, Views().active, Views().accepted) == (0, True, None)
