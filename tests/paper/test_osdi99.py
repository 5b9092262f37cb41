"""Castro and Liskov, "Practical Byzantine Fault Tolerance", OSDI'99: each test cites what it holds
the code to, by section and in our words."""

import pytest

from pbft.client_session import ClientSession
from pbft.core.effects import BecameStable
from pbft.core.ids import Packet
from pbft.core.messages import (
    Checkpoint,
    Commit,
    NewView,
    Prepare,
    PrePrepare,
    Proposal,
    Reply,
    Request,
    ViewChange,
)
from pbft.core.wire import NULL_DIGEST, batch_digest, decode_signed, encode_link
from tests.core.lab import Lab, executed, of_type


def prepare_of(lab: Lab, effects: object) -> list[Prepare]:
    messages = getattr(effects, "messages")  # noqa: B009
    return [send.message for send in messages if isinstance(send.message, Prepare)]


def test_4_the_primary_of_a_view_is_its_number_modulo_the_replicas() -> None:
    """§4: p = v mod |R|."""
    lab = Lab()
    assert [lab.config.primary(view) for view in range(6)] == [0, 1, 2, 3, 0, 1]


def test_4_1_a_client_sends_to_the_primary_and_later_to_all() -> None:
    """§4.1: first to the one it believes is primary; if replies do not come soon, to all."""
    lab = Lab()
    client = ClientSession(lab.config, "alice", signer=lab.keys["alice"], first_timestamp=1)
    client.call(b"operation")
    (first,) = client.expire(lab.instant).messages
    assert first.to == (0,)
    lab.now += lab.config.request_timeout_ns
    (again,) = client.expire(lab.instant).messages
    assert (again.to, again.data) == ((0, 1, 2, 3), first.data)


def test_4_1_a_client_accepts_a_result_from_f_plus_1_replicas() -> None:
    """§4.1: f+1 replies of different replicas, with the same timestamp and result."""
    lab = Lab()
    client = ClientSession(lab.config, "alice", signer=lab.keys["alice"], first_timestamp=1)
    call = client.call(b"operation")
    (send,) = client.expire(lab.instant).messages
    replica = Lab(me=1)
    assert isinstance(send.message, Request)
    batch = replica.batch(replica.request(1, b"operation"))
    (reply,) = [r.message for r in replica.settle(1, batch=batch).replies]
    assert isinstance(reply, Reply)
    done = []
    for by in (1, 1, 2):
        one = Reply(0, 1, reply.request, 1, reply.results, by)
        done.append(client.receive([Packet(by, encode_link(one))], lab.instant).completed)
    assert [len(each) for each in done] == [0, 0, 1]
    assert done[2][0].call == call


@pytest.mark.scenario("CL5", "CL1", kills="CL1 whoever asks again is not answered")
def test_4_1_an_executed_request_is_answered_again_and_not_executed_again() -> None:
    """§4.1: replicas remember the last reply they sent to each client, and re-send it."""
    lab = Lab(me=1)
    lab.settle(1)
    effects = lab.feed(lab.request(1))
    assert len(effects.replies) == 1
    assert lab.service.operations == [b"op-1"]


def test_4_2_a_backup_accepts_a_pre_prepare_on_four_conditions() -> None:
    """§4.2: the signatures are right and d is the digest; it is in view v; it has accepted no
    other for v and n; and n lies between the watermarks."""
    lab = Lab(me=1)
    batch, other = lab.batch(lab.request(1)), lab.batch(lab.request(2))
    assert not prepare_of(lab, lab.feed(lab.proposal(0, 1, batch, by=2)))
    assert not prepare_of(lab, lab.feed(Proposal(lab.pre_prepare(0, 1, other).raw, batch)))
    assert not prepare_of(lab, lab.feed(lab.proposal(4, 1, batch)))
    assert not prepare_of(lab, lab.feed(lab.proposal(0, 17, batch)))
    assert prepare_of(lab, lab.feed(lab.proposal(0, 1, batch)))
    assert not prepare_of(lab, lab.feed(lab.proposal(0, 1, other)))


def test_4_2_prepared_takes_the_pre_prepare_and_2f_matching_prepares() -> None:
    """§4.2: 2f prepares from different backups that match the pre-prepare."""
    lab = Lab(me=0)
    (proposal,) = of_type(lab.feed(lab.request(1)), Proposal)
    assert isinstance(proposal, Proposal)
    digest = batch_digest(proposal.batch)
    assert not of_type(lab.feed(lab.prepare(1, 0, 1, digest)), Commit)
    assert of_type(lab.feed(lab.prepare(2, 0, 1, digest)), Commit)


def test_4_2_committed_local_takes_2f_plus_1_commits_own_included() -> None:
    """§4.2: prepared, and 2f+1 commits, possibly its own, that match the pre-prepare."""
    lab = Lab(me=1)
    batch = lab.batch(lab.request(1))
    digest = batch_digest(batch)
    lab.feed(lab.proposal(0, 1, batch), lab.prepare(2, 0, 1, digest))
    assert executed(lab.feed(lab.commit(0, 0, 1, digest))) == []
    assert executed(lab.feed(lab.commit(2, 0, 1, digest))) == [1]


def test_4_2_requests_execute_in_the_order_of_their_numbers() -> None:
    """§4.2: an operation executes once all with lower sequence numbers have."""
    lab = Lab(me=1)
    lab.settle(3)
    lab.settle(2)
    assert executed(lab.settle(1)) == [1, 2, 3]


def test_4_3_a_checkpoint_is_stable_with_2f_plus_1_matching_messages() -> None:
    """§4.3: then everything at or below its number is discarded, and the watermarks advance."""
    lab = Lab(me=1)
    effects = [lab.settle(sequence) for sequence in range(1, 9)][-1]
    (mine,) = of_type(effects, Checkpoint)
    assert isinstance(mine, Checkpoint)
    lab.feed(lab.checkpoint(0, 8, mine.digest))
    stable = lab.feed(lab.checkpoint(2, 8, mine.digest))
    assert BecameStable(8, mine.digest) in stable.events
    status = lab.replica.status()
    assert (status.low_watermark, status.high_watermark) == (8, 24)


def test_4_4_a_view_change_carries_the_stable_checkpoint_and_what_is_prepared_above_it() -> None:
    """§4.4: n, its proof C, and for each prepared request above n a pre-prepare with prepares."""
    lab = Lab(me=1)
    lab.settle_until(10)
    root = lab.replica.status().checkpoints[8]
    lab.feed(*(lab.checkpoint(r, 8, root) for r in (0, 2)))
    (mine,) = of_type(lab.feed(*(lab.view_change(r, 1) for r in (2, 3))), ViewChange)
    assert isinstance(mine, ViewChange)
    assert (mine.view, mine.low_watermark, len(mine.checkpoint_proof)) == (1, 8, 3)
    numbers = [decode_signed(c.pre_prepare) for c in mine.prepared]
    assert [pp.sequence for pp in numbers if isinstance(pp, PrePrepare)] == [9, 10]


def test_4_4_the_new_primary_re_proposes_by_highest_view_and_fills_gaps_with_null() -> None:
    """§4.4: for each number between min-s and max-s, the request prepared in the highest view, or
    the null request, which executes as a no-op."""
    lab = Lab(me=2)
    old, new = lab.batch(lab.request(1)), lab.batch(lab.request(2))
    lab.feed(
        lab.view_change(0, 2, [lab.certificate(0, 2, old, (1, 3))]),
        lab.view_change(1, 2, [lab.certificate(1, 2, new, (0, 3))]),
        lab.view_change(3, 2),
    )
    new_view = [m for m in lab.sent if isinstance(m, NewView)][-1]
    pps = [decode_signed(raw) for raw in new_view.pre_prepares]
    assert [pp.digest for pp in pps if isinstance(pp, PrePrepare)] == [
        NULL_DIGEST,
        batch_digest(new),
    ]


def test_4_4_a_backup_accepts_a_new_view_only_if_o_is_what_it_computes_itself() -> None:
    """§4.4: it verifies O by performing the primary's computation, then prepares all of O."""
    lab = Lab(me=2)
    batch = lab.batch(lab.request(1))
    lab.feed(lab.proposal(0, 1, batch), peer=0)
    vcs = [lab.view_change(0, 1), lab.view_change(1, 1)]
    vcs.append(lab.view_change(3, 1, [lab.certificate(0, 1, batch, (1, 3))]))
    assert not prepare_of(lab, lab.feed(lab.new_view(1, vcs, {1: NULL_DIGEST}), peer=1))
    votes = prepare_of(lab, lab.feed(lab.new_view(1, vcs, {1: batch_digest(batch)}), peer=1))
    assert votes == [Prepare(1, 1, batch_digest(batch), 2)]


def test_4_5_2_three_ways_to_stay_live() -> None:
    """§4.5.2: wait longer for each view in turn; join f+1 that are ahead even before the own timer
    fires; and never be moved by f."""
    lab = Lab(me=0)
    waits = [lab.config.timeout(k) for k in range(4)]
    assert waits == sorted(set(waits))
    lab.feed(lab.view_change(3, 1))
    assert lab.replica.status().view == 0
    lab.feed(lab.view_change(2, 1))
    assert lab.replica.status().view == 1
