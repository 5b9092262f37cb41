"""A client tells the primary alone of large requests: who lacks one asks soon, and once for all."""

import pytest

from pbft.core.effects import Effects, ViewChangeStarted
from pbft.core.ids import SECOND, Principal
from pbft.core.messages import BatchBody, FetchBatch, PrePrepare, Proposal, Request, Signed
from pbft.core.protocol.retransmission import SHARED_PER_TICK
from pbft.core.state.requests import REQUESTS_PER_CLIENT
from pbft.core.wire import decode_signed, request_digest
from tests.core.lab import Lab, of_type
from tests.core.test_large_requests import large, naming, requests_sent

INTERVAL = 0.1
"""Between two statuses, in seconds."""


def lab(me: int) -> Lab:
    return Lab(me=me, inline_max_bytes=1024)


def asked(effects: Effects) -> list[tuple[Principal, ...]]:
    return [send.to for send in effects.messages if isinstance(send.message, FetchBatch)]


def given(effects: Effects, peer: int) -> set[int]:
    """The timestamps of what `peer` is sent."""
    return {request.timestamp for to, request in requests_sent(effects) if peer in to}


def ask(request: Signed[Request]) -> FetchBatch:
    return FetchBatch(request_digest(request.raw))


def agreed(one: Lab, effects: Effects) -> Effects:
    """The others decide what the primary has just proposed; what it does next."""
    votes = []
    for proposal in of_type(effects, Proposal):
        assert isinstance(proposal, Proposal)
        pp = decode_signed(proposal.pre_prepare)
        assert isinstance(pp, PrePrepare)
        for vote in (one.prepare, one.commit):
            votes += [vote(by, 0, pp.sequence, pp.digest) for by in (1, 2, 3)]
    return one.feed(*votes)


# -- the backup -----------------------------------------------------------------------------


@pytest.mark.scenario("FL14", kills="T20 what the primary alone may have is asked of anybody")
def test_the_primary_is_asked_first_and_soon_and_then_the_others_too_each_in_its_turn() -> None:
    one = Lab(1, inline_max_bytes=1024, request_timeout_ns=8 * SECOND)
    one.feed(one.proposal(0, 1, naming(one, large(one))), peer=0)
    assert asked(one.idle(INTERVAL / 4)) == []
    assert asked(one.idle(INTERVAL / 2)) == [(0,)]
    later = [asked(one.idle(INTERVAL)) for _ in range(4)]
    assert [len(each) for each in later] == [1, 1, 1, 1]
    assert {to for each in later for to in each} == {(0, 2), (0, 3)}


def test_a_new_primary_asks_the_others_for_what_it_lacks_itself() -> None:
    one = lab(1)
    batch = naming(one, large(one))
    proof = one.certificate(0, 1, batch, (2, 3))
    changes = [one.view_change(0, 1), one.view_change(2, 1, [proof]), one.view_change(3, 1)]
    one.feed(*changes)
    one.feed(BatchBody(batch), peer=3)
    assert set(asked(one.idle(6 * INTERVAL))) == {(0,), (2,), (3,)}


@pytest.mark.scenario("T10", "T37")
def test_a_primary_that_gives_nobody_what_it_names_is_suspected_in_time() -> None:
    one = lab(1)
    one.feed(one.request(9))
    one.feed(one.proposal(0, 1, naming(one, large(one), one.request(9))), peer=0)
    assert (one.idle(0.99).events, one.replica.status().view) == ([], 0)
    (started,) = one.idle(0.02).events
    assert isinstance(started, ViewChangeStarted)


# -- the primary ----------------------------------------------------------------------------


@pytest.mark.scenario("FL14", kills="FL5 each large request of a client waits for a question")
def test_who_had_to_ask_gets_the_next_ones_of_that_client_with_their_batch() -> None:
    one = lab(0)
    first, other = large(one), one.request(1, b"y" * 5000, client="bob")
    one.feed(first)
    one.feed(ask(first), peer=3)
    assert requests_sent(one.feed(other)) == []
    effects = one.feed(large(one, 2))
    assert [(to, request.timestamp) for to, request in requests_sent(effects)] == [((3,), 2)]


@pytest.mark.scenario("FL14", kills="FL5 who had to ask once is given all for ever")
def test_what_reached_a_peer_late_is_forgotten_after_a_while() -> None:
    one = lab(0)
    agreed(one, one.feed(large(one)))
    second = one.feed(large(one, 2))
    one.feed(ask(large(one, 2)), peer=3)
    agreed(one, second)
    one.idle(1.0)
    assert requests_sent(one.feed(large(one, 3))) == []


def test_a_question_about_what_has_executed_says_nothing_of_what_comes() -> None:
    one = lab(0)
    agreed(one, one.feed(large(one)))
    assert given(one.feed(ask(large(one)), peer=3), 3) == {1}
    assert requests_sent(one.feed(large(one, 2))) == []


@pytest.mark.scenario("FL14", kills="FL5 a client may be greedy with large requests to one alone")
def test_who_had_to_ask_learns_that_the_client_is_greedy() -> None:
    """And is given each but once until its turn comes."""
    one, count = lab(0), 3 * REQUESTS_PER_CLIENT
    one.feed(*(large(one, timestamp) for timestamp in range(1, count)))
    effects = one.feed(ask(large(one)), peer=3)
    waiting = set(range(2, REQUESTS_PER_CLIENT + 3))
    assert given(effects, 3) == {1} | waiting
    assert given(effects, 1) == set()
    assert given(one.idle(3 * INTERVAL), 3) & waiting == set()


@pytest.mark.scenario("FL5", kills="FL5 what a peer was given is remembered for ever")
def test_what_was_given_is_remembered_while_it_waits_and_no_longer() -> None:
    """A client may be greedy for ever."""
    one = Lab(0, inline_max_bytes=1024, window=256, pipeline=1, batch_max_requests=1)
    count = 3 * REQUESTS_PER_CLIENT
    effects = one.feed(*(large(one, timestamp) for timestamp in range(1, count)))
    one.feed(ask(large(one)), peer=3)
    for timestamp in range(count, 2 * count):
        effects = agreed(one, effects)
        one.feed(large(one, timestamp))
        one.idle(INTERVAL)
    (known,) = one.replica._state.peers.by_id[3].lacks.values()
    executed_in_an_interval = 1.0 / INTERVAL
    assert len(known) <= REQUESTS_PER_CLIENT + 2 + executed_in_an_interval


@pytest.mark.scenario("FL5", kills="FL5 a client has a peer buried in what it did not ask for")
def test_what_is_given_unasked_is_bounded_in_each_interval() -> None:
    one = Lab(0, inline_max_bytes=1024, window=256, checkpoint_interval=128)
    first = large(one)
    effects = one.feed(first)
    one.feed(ask(first), peer=3)
    unasked = 0
    for timestamp in range(2, 2 * SHARED_PER_TICK):
        agreed(one, effects)
        effects = one.feed(large(one, timestamp))
        unasked += len(given(effects, 3))
    assert unasked == SHARED_PER_TICK
