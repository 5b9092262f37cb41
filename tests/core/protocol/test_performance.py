"""When a primary is too slow, for all or for one, and when it is not."""

import pytest

from pbft.core.effects import Effects, ViewChangeStarted
from pbft.core.messages import Request, Signed, Status
from pbft.core.protocol.performance import ECHOES
from pbft.core.wire import batch_digest
from tests.core.lab import CLIENTS, Lab, of_type

SLOW = Status(0, True, 0, 0, False, True)
FINE = Status(0, True, 0, 0, False, False)


def decide(lab: Lab, sequence: int, *requests: Signed[Request], view: int = 0) -> Effects:
    """The cluster orders these now."""
    return lab.settle(sequence, view=view, batch=lab.batch(*requests))


def serve(lab: Lab, numbers: range, seconds: float, *, view: int = 0, client: str = "alice") -> int:
    """One request after another, each `seconds` after it came; how many views were left."""
    left = 0
    for number in numbers:
        request = lab.request(number, client=client)
        effects = lab.feed(request)
        left += suspicions(effects) + suspicions(lab.idle(seconds))
        left += suspicions(decide(lab, number, request, view=view))
    return left


def suspicions(effects: Effects) -> int:
    return sum(isinstance(event, ViewChangeStarted) for event in effects.events)


def finds_it_slow(lab: Lab) -> bool:
    """What this replica tells the others about its primary."""
    effects = lab.idle(2 * lab.config.status_interval_ns / 1e9)
    return any(isinstance(m, Status) and m.slow for m in of_type(effects, Status))


def test_a_request_that_was_due_waits_two_timeouts_at_most_also_behind_others() -> None:
    lab = Lab()
    requests = [lab.request(number) for number in (1, 2, 3)]
    lab.feed(*requests)
    for number in (1, 2):
        assert suspicions(lab.idle(0.9)) == 0
        decide(lab, number, requests[number - 1])
    assert suspicions(lab.idle(0.4)) == 0
    assert suspicions(lab.idle(0.1)) == 1


def test_who_waits_behind_full_batches_is_not_due_and_deposes_nobody() -> None:
    lab = Lab(pipeline=1, batch_max_requests=1, checkpoint_interval=16, window=32)
    clients = ("alice", "bob")  # neither of whom is greedy: of who is, nobody is to blame anyway
    queue = [lab.request(number, client=each) for number in range(1, 9) for each in clients]
    lab.feed(*queue)
    for number, request in enumerate(queue, 1):
        batch = lab.batch(request)
        lab.feed(lab.proposal(0, number, batch), peer=0)
        assert suspicions(lab.idle(0.3)) == 0
        lab.settle(number, batch=batch)
    assert lab.replica.status().waiting == 0
    assert not finds_it_slow(lab)


@pytest.mark.scenario("TM1")
def test_a_primary_just_below_the_timeout_is_told_of() -> None:
    lab = Lab()
    assert serve(lab, range(1, 6), 0.9) == 0
    assert not finds_it_slow(lab)
    assert serve(lab, range(6, 9), 0.9) == 0
    assert finds_it_slow(lab)


def test_a_quarter_of_the_timeout_is_nobodys_debt() -> None:
    lab = Lab(checkpoint_interval=64, window=128)
    assert serve(lab, range(1, 61), 0.24) == 0
    assert not finds_it_slow(lab)


@pytest.mark.scenario("TM2")
def test_one_starved_client_is_enough() -> None:
    lab = Lab(checkpoint_interval=64, window=128)
    sequence = 0
    for number in range(1, 8):
        starved = lab.request(number, client="bob")
        lab.feed(starved)
        for quick in range(5):
            request = lab.request(10 * number + quick)
            lab.feed(request)
            decide(lab, sequence := sequence + 1, request)
            assert suspicions(lab.idle(0.18)) == 0
        decide(lab, sequence := sequence + 1, starved)
    assert finds_it_slow(lab)


def test_what_was_quick_is_no_credit_for_what_is_slow() -> None:
    lab = Lab(checkpoint_interval=64, window=128)
    serve(lab, range(1, 40), 0.0)
    assert not finds_it_slow(lab)
    serve(lab, range(40, 48), 0.9)
    assert finds_it_slow(lab)
    serve(lab, range(48, 64), 0.0)
    assert not finds_it_slow(lab)


def test_batches_with_room_that_leave_a_request_out_make_it_due() -> None:
    lab = Lab(pipeline=1, checkpoint_interval=64, window=128)
    begun = lab.now
    others = [each for each in CLIENTS if each != "bob"]
    requests = [lab.request(number, client=others[number % 5]) for number in range(1, 40)]
    batches = [lab.batch(request) for request in requests]
    lab.feed(lab.proposal(0, 1, batches[0]), *requests, lab.request(1, client="bob"), peer=0)
    for number in range(1, 39):
        lab.feed(lab.proposal(0, number + 1, batches[number]), peer=0)
        lab.feed(lab.prepare(3, 0, number + 1, batch_digest(batches[number])))
        lab.settle(number, batch=batches[number - 1])
        if suspicions(lab.idle(0.1)):
            break
    assert 2.5 <= (lab.now - begun) / 1e9 <= 2.7


@pytest.mark.scenario("TM1")
def test_it_takes_f_plus_1_replicas_of_this_view_to_replace_a_slow_primary() -> None:
    lab = Lab()
    assert suspicions(lab.feed(SLOW, peer=3)) + suspicions(lab.idle(1.0)) == 0
    other_view = Status(1, True, 0, 0, False, True)
    assert suspicions(lab.feed(other_view, peer=2)) + suspicions(lab.idle(1.0)) == 0
    lab.feed(SLOW, peer=2)
    assert suspicions(lab.idle(0.2)) == 1


def test_what_a_peer_no_longer_finds_does_not_count() -> None:
    lab = Lab()
    lab.feed(SLOW, peer=3)
    lab.feed(FINE, peer=3)
    lab.feed(SLOW, peer=2)
    assert suspicions(lab.idle(1.0)) == 0


def slow_view(lab: Lab, view: int, first: int) -> None:
    """A primary that takes half of T each time is replaced, at our word and another's."""
    serve(lab, range(first, first + 18), 0.5, view=view)
    lab.feed(Status(view, True, 0, 0, False, True), peer=2)
    assert suspicions(lab.idle(0.3)) == 1
    changes = [lab.view_change(by, view + 1) for by in (0, 1, 2)]
    lab.feed(lab.new_view(view + 1, changes, {}), peer=lab.config.primary(view + 1))


def test_among_f_plus_1_slow_primaries_one_is_correct_so_less_is_expected() -> None:
    lab = Lab(me=3, checkpoint_interval=64, window=128)
    slow_view(lab, 0, 1)
    slow_view(lab, 1, 19)
    serve(lab, range(37, 62), 0.45, view=2)
    assert not finds_it_slow(lab)


def test_a_quick_primary_is_what_is_expected_of_the_next() -> None:
    lab = Lab(me=3, checkpoint_interval=128, window=256)
    slow_view(lab, 0, 1)
    slow_view(lab, 1, 19)
    serve(lab, range(37, 110), 0.1, view=2)
    serve(lab, range(110, 128), 0.5, view=2)
    assert finds_it_slow(lab)


def test_many_clients_with_a_call_each_are_enough() -> None:
    """No client alone has lost much: half of T, three times."""
    lab = Lab(checkpoint_interval=64, window=128)
    for sequence in range(1, 19):
        name = CLIENTS[sequence % len(CLIENTS)]
        assert serve(lab, range(sequence, sequence + 1), 0.5, client=name) == 0
    assert finds_it_slow(lab)


def test_one_stall_of_our_own_is_no_complaint() -> None:
    """This process was stopped; what came meanwhile is absorbed before anything fires (T56)."""
    lab = Lab()
    request = lab.request(1)
    lab.feed(request)
    lab.now += 60 * 10**9
    lab.wall += 60 * 10**9
    decide(lab, 1, request)
    assert not finds_it_slow(lab)


@pytest.mark.scenario("NW14")
def test_what_a_view_change_has_delayed_is_due_only_from_its_end() -> None:
    lab = Lab(me=3)
    first, second = lab.request(1), lab.request(2)
    lab.feed(first, second)
    changes = [lab.view_change(by, 2) for by in (0, 1, 2)]
    lab.feed(lab.new_view(2, changes, {}), peer=2)
    assert suspicions(lab.idle(3.5)) == 0
    decide(lab, 1, first, view=2)
    assert suspicions(lab.idle(0.9)) == 0
    decide(lab, 2, second, view=2)
    assert not finds_it_slow(lab)


def serve_with_echo(lab: Lab, numbers: range, echoes: tuple[float, ...]) -> None:
    """Each request executes 0.9 T after it came; the other backups' votes come so late."""
    for number in numbers:
        echo = echoes[number % len(echoes)]
        request = lab.request(number)
        lab.feed(request)
        lab.idle(0.9 - echo)
        batch = lab.batch(request)
        lab.feed(lab.proposal(0, number, batch), peer=0)
        lab.idle(echo)
        lab.settle(number, batch=batch)


def test_where_everybody_is_slow_more_is_allowed_to_the_primary() -> None:
    lab = Lab(checkpoint_interval=64, window=128)
    serve_with_echo(lab, range(1, 30), (0.12,))
    assert not finds_it_slow(lab)


def test_a_primary_cannot_make_everybody_look_slow_by_telling_each_first_in_turn() -> None:
    lab = Lab(checkpoint_interval=64, window=128)
    serve_with_echo(lab, range(1, 30), (0.8, 0.0, 0.0))
    assert finds_it_slow(lab)


def test_an_echo_is_that_of_f_others_and_few_are_remembered() -> None:
    """f liars that vote at once, or late, do not decide how quick a network is."""
    lab = Lab(n=7)
    pace = lab.replica._state.pace
    batch = lab.batch(lab.request(1))
    lab.feed(lab.proposal(0, 1, batch), peer=0)
    lab.feed(lab.prepare(6, 0, 1, batch_digest(batch)), peer=6)
    assert pace.echoes == []
    lab.idle(0.05)
    lab.feed(lab.prepare(5, 0, 1, batch_digest(batch)), peer=5)
    assert pace.echoes == [50_000_000]
    pace.echoes = [1] * ECHOES
    body = lab.batch(lab.request(2))
    lab.feed(lab.proposal(0, 2, body), peer=0)
    lab.feed(*(lab.prepare(r, 0, 2, batch_digest(body)) for r in (5, 6)))
    assert pace.echoes == [1] * (ECHOES - 1) + [0]
