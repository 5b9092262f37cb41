"""A client that asks for far too much is served, but keeps nobody busy and gets nobody blamed."""

import pytest

from pbft.core.effects import Effects, ViewChangeStarted
from pbft.core.ids import SECOND
from pbft.core.messages import PrePrepare, Proposal, Request
from pbft.core.state.requests import REQUESTS_PER_CLIENT
from pbft.core.wire import decode_batch, decode_signed
from tests.core.lab import Lab, of_type

FLOOD = range(1, 3 * REQUESTS_PER_CLIENT)


def started(lab: Lab, seconds: float) -> list[ViewChangeStarted]:
    return [e for e in lab.idle(seconds).events if isinstance(e, ViewChangeStarted)]


@pytest.mark.scenario("FL13", kills="FL5 somebody is blamed for what a greedy client waits")
def test_nobody_is_blamed_for_what_a_greedy_client_waits_and_for_others_they_are() -> None:
    lab = Lab(me=1)
    lab.feed(*(lab.request(timestamp, client="bob") for timestamp in FLOOD))
    assert started(lab, 30) == []
    lab.feed(lab.request(1, client="alice"))
    assert len(started(lab, 1.5)) == 1


def test_a_client_at_the_limit_is_not_greedy() -> None:
    lab = Lab(me=1)
    lab.feed(*(lab.request(t, client="bob") for t in range(1, REQUESTS_PER_CLIENT + 1)))
    assert len(started(lab, 1.5)) == 1


def test_a_batch_has_one_request_of_a_greedy_client_and_all_of_others() -> None:
    lab = Lab(me=0)
    flood = [lab.request(timestamp, client="bob") for timestamp in FLOOD]
    effects = lab.feed(*flood, *(lab.request(t, client="alice") for t in (1, 2)))
    (proposal,) = of_type(effects, Proposal)
    assert isinstance(proposal, Proposal)
    assert len(decode_batch(proposal.batch).requests) == 3


def test_no_batch_is_made_for_a_greedy_client_while_another_is_under_way() -> None:
    lab = Lab(me=0)
    flood = [lab.request(timestamp, client="bob") for timestamp in FLOOD]
    assert len(of_type(lab.feed(*flood), Proposal)) == 1
    assert of_type(lab.feed(lab.request(99, client="bob")), Proposal) == []
    assert len(of_type(lab.feed(lab.request(1, client="alice")), Proposal)) == 1


def agreed(lab: Lab, effects: Effects) -> Effects:
    """The others decide what the primary has just proposed; what it does next."""
    (proposal,) = of_type(effects, Proposal)
    assert isinstance(proposal, Proposal)
    pp = decode_signed(proposal.pre_prepare)
    assert isinstance(pp, PrePrepare)
    votes = (lab.prepare, lab.commit)
    return lab.feed(*(vote(r, 0, pp.sequence, pp.digest) for vote in votes for r in (1, 2, 3)))


def test_while_others_ask_a_flood_goes_along_with_them_and_has_no_batch_of_its_own() -> None:
    lab = Lab(me=0)
    again = agreed(lab, lab.feed(*(lab.request(t, client="bob") for t in FLOOD)))
    assert len(of_type(again, Proposal)) == 1
    both = agreed(lab, again)
    along = lab.feed(lab.request(1, client="alice"))
    assert len(of_type(both, Proposal)) == 1
    agreed(lab, both)
    assert of_type(agreed(lab, along), Proposal) == []
    assert lab.replica.status().executed == 4
    assert len(of_type(lab.idle(lab.config.request_timeout_ns / SECOND / 2), Proposal)) == 1


def test_a_backup_passes_a_flood_on_one_by_one() -> None:
    lab = Lab(me=1)
    effects = lab.feed(*(lab.request(timestamp, client="bob") for timestamp in FLOOD))
    assert of_type(effects, Request) == []
    passed = of_type(lab.idle(lab.config.status_interval_ns / SECOND), Request)
    assert {each.timestamp for each in passed if isinstance(each, Request)} == {1}


def test_a_primary_passes_so_much_of_a_flood_on_that_all_find_its_client_greedy() -> None:
    """A client that tells the backups of one request and the primary of many has nobody blamed
    for what that one waits behind them."""
    lab = Lab(me=0)
    lab.feed(*(lab.request(timestamp, client="bob") for timestamp in FLOOD))
    lab.feed(lab.request(1, client="alice"))
    sent = of_type(lab.idle(lab.config.status_interval_ns / SECOND), Request)
    passed = [(each.client, each.timestamp) for each in sent if isinstance(each, Request)]
    flood = [("bob", timestamp) for timestamp in range(2, REQUESTS_PER_CLIENT + 2)]
    assert passed[: len(passed) // 2] == [("bob", 1), ("alice", 1), *flood]


def test_what_was_due_before_its_client_was_greedy_is_not_due_any_more() -> None:
    """Nor when a batch has brought that client to its limit for a moment."""
    lab = Lab(me=1)
    lab.feed(lab.request(99, client="bob"))
    lab.feed(*(lab.request(t, client="bob") for t in range(1, REQUESTS_PER_CLIENT + 1)))
    for sequence in range(1, 10):
        lab.settle(sequence, batch=lab.batch(lab.request(sequence, client="bob")))
        assert started(lab, 0.1) == []
        lab.feed(lab.request(sequence + REQUESTS_PER_CLIENT, client="bob"))
        assert started(lab, 0.3) == []


@pytest.mark.scenario("FL13", kills="T24 a new view waits for a client that turns greedy")
@pytest.mark.parametrize("executes", [True, False])
def test_a_new_view_does_not_wait_for_a_client_that_turns_greedy(executes: bool) -> None:
    """Its primary has no room for that request, beside all others of that client. Nor is anything
    gained by it: the next request is waited for as long as at the start (T25)."""
    lab = Lab(me=2)
    lab.feed(lab.request(99, client="bob"))
    assert len(started(lab, 1.5)) == 1
    lab.feed(lab.new_view(1, [lab.view_change(each, 1) for each in (0, 1, 3)], {}), peer=1)
    lab.feed(*(lab.request(timestamp, client="bob") for timestamp in FLOOD))
    if executes:
        lab.settle(1, view=1, batch=lab.batch(lab.request(1, client="alice")))
        assert started(lab, 5) == []
    lab.feed(lab.request(2, client="alice"))
    assert len(started(lab, 1.1)) == executes
    assert len(started(lab, 1.1)) == (not executes)
