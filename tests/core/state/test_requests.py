"""The waiting set keeps arrival order, whatever is re-sent and whoever floods."""

from pbft.core.state.requests import Requests
from tests.core.lab import Lab

ROOM = 10**6


def test_oldest_is_by_arrival_and_others_load_does_not_evict_it() -> None:
    lab, requests = Lab(), Requests()
    assert requests.add(lab.request(9, client="bob"), 3, ROOM)
    kept = [requests.add(lab.request(t), 3, ROOM) for t in range(1, 9)]
    assert kept == [True, True, True] + [False] * 5
    assert requests.oldest() == ("bob", 9)
    requests.drop(("bob", 9))
    assert requests.oldest() == ("alice", 1)


def test_a_raised_floor_ends_waits_that_can_never_end() -> None:
    lab, requests = Lab(), Requests()
    for timestamp in (3, 4, 7):
        requests.add(lab.request(timestamp), 9, ROOM)
    requests.drop_below("alice", 4)
    assert list(requests.waiting) == [("alice", 7)]
    assert requests.add(lab.request(8), 2, ROOM)


def test_a_new_view_proposes_and_forwards_all_that_waits() -> None:
    lab, requests = Lab(), Requests()
    requests.add(lab.request(1), 9, ROOM)
    requests.unproposed.clear()
    requests.unforwarded.clear()
    requests.start_view()
    assert list(requests.unproposed) == list(requests.unforwarded) == [("alice", 1)]


def test_a_clients_waiting_bytes_are_bounded_and_free_again_after_the_wait() -> None:
    lab, requests = Lab(), Requests()
    large = [lab.request(t, bytes(1000)) for t in (1, 2, 3)]
    room = 2 * len(large[0].raw)
    kept = [requests.add(each, 9, room, bytes([i]) * 32) for i, each in enumerate(large)]
    assert kept == [True, True, False]
    assert requests.add(lab.request(1, bytes(1000), client="bob"), 9, room + 9)
    requests.drop(("alice", 1))
    assert list(requests.large) == [b"\1" * 32]
    assert requests.names == {("alice", 2): b"\1" * 32}
    assert requests.add(large[2], 9, room)


def test_what_replicas_pass_on_has_room_beyond_their_clients_one_of_each_at_a_time() -> None:
    lab, requests = Lab(), Requests()
    size = len(lab.request(1).raw)
    assert requests.add(lab.request(1), 9, size)
    assert not requests.add(lab.request(2), 9, size, peer="alice")
    assert requests.add(lab.request(2), 9, size, peer=2)
    assert not requests.add(lab.request(3), 9, size, peer=2)
    assert requests.add(lab.request(3), 9, size, peer=3)
    requests.drop(("alice", 2))
    assert requests.add(lab.request(4), 9, size, peer=2)
    assert not requests.add(lab.request(5), 4 - 1, size, peer=1), "their number is bounded as ever"
