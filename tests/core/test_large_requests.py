"""Large requests travel beside the order: named by digest in a batch, never voted for unseen."""

import pytest

from pbft.core.effects import Effects
from pbft.core.errors import RecordError
from pbft.core.messages import (
    Batch,
    BatchBody,
    Commit,
    Decision,
    FetchBatch,
    Prepare,
    Proposal,
    Reply,
    Request,
    Signed,
    Status,
)
from pbft.core.protocol.references import MAX_PARTIAL
from pbft.core.protocol.retransmission import FETCH_STEPS, FETCHED_PER_STEP
from pbft.core.records import Accepted
from pbft.core.state.requests import REQUESTS_PER_CLIENT
from pbft.core.wire import (
    batch_digest,
    decode_batch,
    encode_body,
    reference_to,
    request_digest,
    seal_signed,
    split_signed,
)
from tests.core.lab import Lab, executed, of_type

INLINE = 1024


def lab(me: int = 1) -> Lab:
    return Lab(me=me, inline_max_bytes=INLINE)


def large(lab: Lab, timestamp: int = 1, fill: bytes = b"x") -> Signed[Request]:
    return lab.request(timestamp, fill * 5000)


def naming(lab: Lab, *requests: Signed[Request]) -> bytes:
    """A batch as a correct primary makes it."""
    entries = [
        reference_to(request_digest(each.raw)) if len(each.raw) > INLINE else each.raw
        for each in requests
    ]
    return encode_body(Batch(lab.wall, tuple(entries)))


def requests_sent(effects: Effects) -> list[tuple[tuple[object, ...], Request]]:
    return [(s.to, s.message) for s in effects.messages if isinstance(s.message, Request)]


# -- the primary ----------------------------------------------------------------------------


def test_a_primary_names_large_requests_and_stores_them_with_its_batch() -> None:
    one = lab(me=0)
    small, big = one.request(1), large(one, 2)
    effects = one.feed(small, big)
    (proposal,) = of_type(effects, Proposal)
    assert isinstance(proposal, Proposal)
    entries = decode_batch(proposal.batch).requests
    assert entries == (small.raw, reference_to(request_digest(big.raw)))
    (record,) = [r for r in effects.records if isinstance(r, Accepted)]
    assert record.large == (big.raw,)


def test_a_batch_names_no_more_than_two_of_the_largest() -> None:
    one = Lab(me=0, inline_max_bytes=INLINE, request_max_bytes=6000)
    effects = one.feed(*(large(one, timestamp) for timestamp in range(1, 6)))
    counts = [
        len(decode_batch(p.batch).requests)
        for p in of_type(effects, Proposal)
        if isinstance(p, Proposal)
    ]
    assert counts == [2, 2, 1]


# -- the backup -----------------------------------------------------------------------------


@pytest.mark.scenario("T10")
@pytest.mark.parametrize("order", ["request first", "proposal first", "one burst"])
def test_t10_no_prepare_before_every_named_request_is_here_and_durable(order: str) -> None:
    one = lab()
    big = large(one)
    batch = naming(one, one.request(7), big)
    proposal = one.proposal(0, 1, batch)
    if order == "one burst":
        effects = one.feed(proposal, big, peer=0)
    elif order == "request first":
        assert of_type(one.feed(big), Prepare) == []
        effects = one.feed(proposal, peer=0)
    else:
        before = one.feed(proposal, peer=0)
        assert (of_type(before, Prepare), before.records) == ([], [])
        effects = one.feed(big)
    assert len(of_type(effects, Prepare)) == 1
    (record,) = [r for r in effects.records if isinstance(r, Accepted)]
    assert record == Accepted(proposal.pre_prepare, batch, (big.raw,))


@pytest.mark.scenario("T10")
def test_t10_one_of_two_named_requests_does_not_make_a_batch_whole() -> None:
    one = lab()
    first, second = large(one, 1), large(one, 2)
    one.feed(first)
    proposal = one.proposal(0, 1, naming(one, first, second))
    assert of_type(one.feed(proposal, peer=0), Prepare) == []
    assert len(of_type(one.feed(second), Prepare)) == 1


def test_operations_execute_in_the_order_of_the_batch() -> None:
    one = lab()
    first, second, third = large(one, 1, b"a"), one.request(2), large(one, 3, b"b")
    one.feed(third, first)
    assert executed(one.settle(1, batch=naming(one, first, second, third))) == [1]
    assert [op[:1] for op in one.service.operations] == [b"a", b"o", b"b"]
    assert one.replica.status().waiting == 0


def test_what_does_not_come_from_the_client_is_asked_of_the_others_after_a_while() -> None:
    one = lab()
    big = large(one)
    effects = one.feed(one.proposal(0, 1, naming(one, big)), peer=0)
    assert of_type(effects, FetchBatch) == []
    assert FetchBatch(request_digest(big.raw)) in of_type(one.idle(0.2), FetchBatch)
    effects = one.feed_raw(big.raw, peer=3)
    assert len(of_type(effects, Prepare)) == 1
    assert of_type(one.idle(0.3), FetchBatch) == []


def test_a_replica_that_has_a_named_request_gives_it_to_who_asks() -> None:
    one = lab()
    big = large(one)
    ask = FetchBatch(request_digest(big.raw))
    assert one.feed(ask).messages == []
    one.feed(big)
    assert requests_sent(one.feed(ask)) == [((3,), big.message)]
    one.settle(1, batch=naming(one, big))
    assert one.replica.status().waiting == 0
    assert requests_sent(one.feed(ask, peer=2)) == [((2,), big.message)]


def test_what_a_laggard_is_owed_besides_does_not_keep_from_it_what_it_asks_for() -> None:
    """Its status always comes just before it asks, and is answered with the same decision."""
    one = Lab(me=1, inline_max_bytes=INLINE, answer_max_bytes=4000)
    big = large(one)
    one.feed(big)
    one.settle(1, batch=naming(one, big))
    status, ask = Status(0, True, 0, 0, False), FetchBatch(request_digest(big.raw))
    one.feed(status)
    for _ in range(3):
        one.idle(0.1)
        effects = one.feed(status, ask)
        assert len(of_type(effects, Decision)) == 1
        assert requests_sent(effects) == [((3,), big.message)]


@pytest.mark.scenario("T31")
def test_t31_another_body_under_the_same_timestamp_does_not_stand_in_the_way() -> None:
    """The client sends a different body to every replica: the one that the batch names counts."""
    one = lab()
    ours, theirs = large(one, 1, b"a"), large(one, 1, b"b")
    batch = naming(one, theirs)
    one.feed(ours)
    one.feed(one.proposal(0, 1, batch), peer=0)
    assert set(of_type(one.idle(0.2), FetchBatch)) == {FetchBatch(request_digest(theirs.raw))}
    assert len(of_type(one.feed_raw(theirs.raw, peer=0), Prepare)) == 1
    one.settle(1, batch=batch)
    assert [op[:1] for op in one.service.operations] == [b"b"]
    assert one.replica.status().waiting == 0


def test_a_request_that_its_client_did_not_sign_does_not_make_a_batch_whole() -> None:
    one = lab()
    big = large(one)
    one.feed(one.proposal(0, 1, naming(one, big)), peer=0)
    forged = seal_signed(split_signed(big.raw)[1], bytes(64))
    assert of_type(one.feed_raw(forged, peer=0), Prepare) == []
    assert one.replica.status().drops["bad signature"] == 1


def test_a_digest_that_nobody_has_is_never_voted_for_and_its_primary_is_suspected() -> None:
    one = lab(me=2)
    one.feed(one.request(1))
    batch = encode_body(Batch(one.wall, (one.request(1).raw, reference_to(bytes(32)))))
    effects = one.feed(one.proposal(0, 1, batch), peer=0)
    digest = batch_digest(batch)
    effects = one.feed(*(one.prepare(by, 0, 1, digest) for by in (1, 3)))
    assert of_type(effects, Prepare) + of_type(effects, Commit) == []
    one.idle(1.1)
    status = one.replica.status()
    assert (status.view, status.active) == (1, False)
    one.feed(one.new_view(1, [one.view_change(by, 1) for by in (0, 1, 3)], {}), peer=1)
    assert of_type(one.idle(0.3), FetchBatch) == []


def test_a_primary_that_names_without_end_does_not_make_its_backups_flood_each_other() -> None:
    """Each would take the others for attackers. All that is named is asked for in its turn."""
    one = Lab(me=1, checkpoint_interval=128, window=256)
    named = [batch_digest(b"%d" % number) for number in range(50 * 256)]
    for sequence in range(1, 51):
        entries = named[256 * (sequence - 1) : 256 * sequence]
        batch = encode_body(Batch(one.wall, tuple(map(reference_to, entries))))
        one.feed(one.proposal(0, sequence, batch), peer=0)
    assert len(of_type(one.idle(0.5), FetchBatch)) <= 5 * FETCH_STEPS * FETCHED_PER_STEP
    asked = of_type(one.idle(15), FetchBatch)
    assert {each.digest for each in asked if isinstance(each, FetchBatch)} >= set(
        named[: 256 * MAX_PARTIAL]
    )


def test_of_too_many_batches_that_wait_the_farthest_goes_and_comes_back() -> None:
    one = Lab(me=1, inline_max_bytes=INLINE, checkpoint_interval=128, window=256)
    bigs = [large(one, timestamp) for timestamp in range(1, MAX_PARTIAL + 2)]
    batches = [naming(one, big) for big in bigs]
    for sequence in range(MAX_PARTIAL + 1, 1, -1):
        one.feed(one.proposal(0, sequence, batches[sequence - 1]), peer=0)
    far = FetchBatch(batch_digest(batches[-1]))
    assert far in of_type(one.feed(one.proposal(0, 1, batches[0]), peer=0), FetchBatch)
    one.feed(BatchBody(batches[-1]), peer=0)
    assert one.replica.status().drops["batch among too many that wait for large requests"] == 1
    assert len(of_type(one.feed(bigs[0]), Prepare)) == 1
    assert far in of_type(one.idle(0.2), FetchBatch)
    one.feed(BatchBody(batches[-1]), peer=0)
    for big in bigs[1:]:
        assert len(of_type(one.feed(big), Prepare)) == 1


def test_a_batch_of_too_many_large_requests_is_not_voted_for() -> None:
    one = Lab(me=1, inline_max_bytes=INLINE, request_max_bytes=6000)
    several = [large(one, timestamp) for timestamp in (1, 2, 3)]
    one.feed(*several)
    assert of_type(one.feed(one.proposal(0, 1, naming(one, *several)), peer=0), Prepare) == []
    assert one.replica.status().drops["batch of too many large requests"] == 1


@pytest.mark.scenario("FL5", kills="FL5 named requests are weighed when all are here")
def test_of_a_batch_that_can_never_be_whole_no_more_is_kept() -> None:
    """A primary and a client together: what a batch names has no room of its client's."""
    one = Lab(me=1, inline_max_bytes=INLINE, request_max_bytes=6000, client_max_bytes=6000)
    several = [large(one, timestamp) for timestamp in range(1, 21)]
    one.feed(one.proposal(0, 1, naming(one, *several)), peer=0)
    one.feed(*several[:-1])
    asks = [FetchBatch(request_digest(each.raw)) for each in several]
    assert [each.timestamp for _, each in requests_sent(one.feed(*asks))] == [1]
    assert one.replica.status().drops["batch of too many large requests"] == 1


@pytest.mark.scenario("FL5", kills="FL5 what batches of left views have got stays")
def test_what_a_left_view_got_of_a_batch_stays_for_one_more() -> None:
    """The next may propose that batch again; primaries that never mean to would fill a backup."""
    one = Lab(me=1, inline_max_bytes=INLINE, request_max_bytes=6000, client_max_bytes=6000)
    waits, named, missing = (large(one, timestamp) for timestamp in (1, 2, 3))
    one.feed(one.proposal(0, 1, naming(one, named, missing)), peer=0)
    one.feed(waits, named)
    ask = FetchBatch(request_digest(named.raw))
    for view, kept in ((2, 1), (3, 0)):
        changes = [one.view_change(by, view) for by in (0, 2, 3)]
        one.feed(one.new_view(view, changes, {}), peer=view)
        assert len(requests_sent(one.feed(ask))) == kept


@pytest.mark.scenario("T10", kills="T10 what another batch names goes too")
def test_what_two_batches_name_is_awaited_though_one_of_them_goes() -> None:
    one = Lab(me=1, inline_max_bytes=INLINE, checkpoint_interval=128, window=256)
    bigs = [large(one, timestamp) for timestamp in range(1, MAX_PARTIAL + 2)]
    for sequence in range(1, MAX_PARTIAL):
        one.feed(one.proposal(0, sequence, naming(one, bigs[sequence])), peer=0)
    one.feed(one.proposal(0, 99, naming(one, bigs[0], bigs[1])), peer=0)
    one.feed(one.proposal(0, 50, naming(one, bigs[-1])), peer=0)
    assert len(of_type(one.feed(bigs[1]), Prepare)) == 1


def test_an_early_proposal_that_names_a_request_is_whole_in_its_view() -> None:
    one = lab()
    big = large(one)
    one.feed(big)
    changes = [one.view_change(by, 1) for by in (0, 2, 3)]
    two = lab(me=2)
    two.feed(big)
    two.feed(two.proposal(1, 1, naming(two, big)), peer=1)
    effects = two.feed(two.new_view(1, changes, {}), peer=1)
    assert len(of_type(effects, Prepare)) == 1


# -- laggards, view changes, restarts --------------------------------------------------------


@pytest.mark.scenario("ST13", kills="ST13 a decision without a body is null")
def test_a_decision_is_followed_once_its_requests_are_fetched() -> None:
    one = lab()
    big = large(one)
    batch = naming(one, big)
    assert executed(one.feed(one.decision(0, 1, batch, (0, 2, 3)))) == []
    assert of_type(one.idle(0.2), FetchBatch)
    assert executed(one.feed_raw(big.raw, peer=2)) == [1]


@pytest.mark.scenario("T20", "VC23")
def test_a_body_chosen_by_a_new_view_is_fetched_in_two_steps() -> None:
    one = lab()
    big = large(one)
    batch = naming(one, big)
    proof = one.certificate(0, 1, batch, (2, 3))
    changes = [one.view_change(0, 2), one.view_change(2, 2), one.view_change(3, 2, [proof])]
    effects = one.feed(one.new_view(2, changes, {1: batch_digest(batch)}), peer=2)
    assert of_type(effects, FetchBatch) == [FetchBatch(batch_digest(batch))]
    effects = one.feed(BatchBody(batch), peer=3)
    assert of_type(effects, Prepare) == []
    assert FetchBatch(request_digest(big.raw)) in of_type(one.idle(0.2), FetchBatch)
    assert len(of_type(one.feed_raw(big.raw, peer=3), Prepare)) == 1


def test_a_restart_votes_for_what_it_had_stored_and_can_give_it_to_others() -> None:
    one = lab()
    big = large(one)
    batch = naming(one, big)
    one.feed(one.proposal(0, 1, batch), big, peer=0)
    again = one.restart()
    assert one.replica.status().executed == 0
    again = one.feed(one.proposal(0, 1, batch), peer=0)
    digest = batch_digest(batch)
    commits = [one.commit(by, 0, 1, digest) for by in (0, 2, 3)]
    again = one.feed(one.prepare(2, 0, 1, digest), *commits)
    assert executed(again) == [1]
    assert requests_sent(one.feed(FetchBatch(request_digest(big.raw)))) == [((3,), big.message)]
    (reply,) = [send.message for send in again.replies]
    assert isinstance(reply, Reply)


@pytest.mark.parametrize("stored", ["none", "another"])
def test_a_record_without_its_requests_is_refused(stored: str) -> None:
    one = lab()
    big = large(one)
    beside = {"none": (), "another": (large(one, 2).raw,)}[stored]
    proposal = one.proposal(0, 1, naming(one, big))
    one.records.append(Accepted(proposal.pre_prepare, proposal.batch, beside))
    with pytest.raises(RecordError, match="beside a batch"):
        one.restart()


def test_what_a_stable_checkpoint_covers_is_let_go() -> None:
    one = lab()
    big = large(one)
    one.feed(big)
    one.settle(1, batch=naming(one, big))
    one.settle_until(8, first=2)
    root = one.replica.status().state_digest
    one.feed(*(one.checkpoint(by, 8, root) for by in (0, 2)))
    assert one.replica.status().low_watermark == 8
    assert requests_sent(one.feed(FetchBatch(request_digest(big.raw)))) == []


# -- forwarding -------------------------------------------------------------------------------


@pytest.mark.scenario("T38")
def test_t38_a_large_request_is_passed_on_only_once_it_has_waited() -> None:
    one = lab()
    assert requests_sent(one.feed(large(one))) == []
    assert requests_sent(one.idle(0.15)) == []
    passed = requests_sent(one.idle(0.75))
    assert 1 <= len(passed) <= 3
    assert {to for to, _ in passed} == {(0, 2, 3)}
    assert one.replica.status().view == 0


@pytest.mark.scenario("FL5", "T38")
def test_a_greedy_clients_large_requests_hide_neither_its_small_ones_nor_each_other() -> None:
    """Nobody else may know of them, and this replica would have them wait for ever."""
    one, timestamps = lab(), range(1, REQUESTS_PER_CLIENT + 3)
    one.feed(*(large(one, each) for each in timestamps), one.request(90))
    passed = {message.timestamp for _, message in requests_sent(one.idle(0.15))}
    assert passed == {90}
    passed = {message.timestamp for _, message in requests_sent(one.idle(0.75))}
    assert passed == {1, 90}
