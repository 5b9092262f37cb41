"""The waiting set keeps arrival order, whatever is re-sent and whoever floods."""

from pbft.core.state.requests import Requests
from tests.core.lab import Lab


def test_oldest_is_by_arrival_and_others_load_does_not_evict_it() -> None:
    lab, requests = Lab(), Requests()
    assert requests.add(lab.request(9, client="bob"), 3)
    kept = [requests.add(lab.request(t), 3) for t in range(1, 9)]
    assert kept == [True, True, True] + [False] * 5
    assert requests.oldest() == ("bob", 9)
    requests.drop(("bob", 9))
    assert requests.oldest() == ("alice", 1)


def test_a_raised_floor_ends_waits_that_can_never_end() -> None:
    lab, requests = Lab(), Requests()
    for timestamp in (3, 4, 7):
        requests.add(lab.request(timestamp), 9)
    requests.drop_below("alice", 4)
    assert list(requests.waiting) == [("alice", 7)]
    assert requests.add(lab.request(8), 2)


def test_a_new_view_proposes_and_forwards_all_that_waits() -> None:
    lab, requests = Lab(), Requests()
    requests.add(lab.request(1), 9)
    requests.unproposed.clear()
    requests.unforwarded.clear()
    requests.start_view()
    assert list(requests.unproposed) == list(requests.unforwarded) == [("alice", 1)]
