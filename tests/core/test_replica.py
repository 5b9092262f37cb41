"""A turn as a whole: bursts act once, status tells, quiet clusters stay quiet."""

import pytest

from pbft.core.messages import Prepare, Proposal, Status
from pbft.core.protocol import admission, ordering
from pbft.core.records import Accepted
from pbft.core.wire import decode_batch
from tests.core.lab import Lab, executed, of_type


def test_a_burst_of_requests_becomes_one_batch() -> None:
    lab = Lab(me=0)
    both = [(client, t) for client in ("alice", "bob") for t in range(1, 6)]
    effects = lab.feed(*(lab.request(t, client=client) for client, t in both))
    (proposal,) = of_type(effects, Proposal)
    assert isinstance(proposal, Proposal)
    assert len(decode_batch(proposal.batch).requests) == 10


def test_the_pipeline_bounds_what_is_in_flight_and_then_batches() -> None:
    lab = Lab(me=0, pipeline=2)
    sizes = []
    for timestamp in range(1, 8):
        for proposal in of_type(lab.feed(lab.request(timestamp)), Proposal):
            assert isinstance(proposal, Proposal)
            sizes.append(len(decode_batch(proposal.batch).requests))
    assert sizes == [1, 1]


def test_a_batch_respects_its_limits() -> None:
    lab = Lab(me=0, batch_max_requests=3)
    effects = lab.feed(*(lab.request(t) for t in range(1, 8)))
    sizes = [
        len(decode_batch(p.batch).requests)
        for p in of_type(effects, Proposal)
        if isinstance(p, Proposal)
    ]
    assert sizes == [3, 3, 1]


@pytest.mark.scenario("CP5", kills="CP5 a backup votes above the window")
def test_cp5_the_window_has_exact_edges() -> None:
    lab = Lab(me=1)
    for sequence, accepted in ((0, False), (1, True), (16, True), (17, False), (33, False)):
        batch = lab.batch(lab.request(100 + sequence))
        effects = lab.feed(lab.proposal(0, sequence, batch), peer=0)
        assert bool(of_type(effects, Prepare)) == accepted
    assert lab.replica.status().high_watermark == 16


def test_only_a_replica_may_speak_the_protocol() -> None:
    lab = Lab(me=1)
    batch = lab.batch(lab.request(1))
    effects = lab.feed(lab.proposal(0, 1, batch), Status(0, True, 0, 0, True, False), peer="alice")
    assert effects.messages == []
    assert lab.replica.status().drops["clients send requests only"] == 2


@pytest.mark.scenario("CL4", kills="CL4 a primary is not blamed for what nobody signed")
def test_cl4_a_batch_with_an_unsigned_request_convicts_the_primary() -> None:
    lab = Lab(me=1)
    forged = bytearray(lab.request(1).raw)
    forged[10] ^= 1
    from pbft.core.messages import Batch
    from pbft.core.wire import encode_body

    batch = encode_body(Batch(lab.wall, (bytes(forged),)))
    effects = lab.feed(lab.proposal(0, 1, batch), peer=0)
    assert [(e.kind, e.culprit) for e in effects.evidence] == [("proposal with a bad request", 0)]
    assert not [r for r in effects.records if isinstance(r, Accepted)]


@pytest.mark.scenario("EQ11")
def test_eq11_commits_without_prepares_execute_nothing() -> None:
    lab = Lab(me=1)
    assert executed(lab.feed(*(lab.commit(r, 0, 1, bytes(32)) for r in (0, 2, 3)))) == []


@pytest.mark.scenario(
    "CP7", control="tests/core/test_replica.py::test_cp7_control_without_both_watchmen_they_do"
)
def test_cp7_votes_below_the_low_watermark_resurrect_nothing() -> None:
    lab = Lab(me=1)
    lab.settle_until(8)
    root = lab.replica.status().state_digest
    lab.feed(*(lab.checkpoint(r, 8, root) for r in (0, 2)))
    effects = lab.feed(*(lab.commit(r, 0, 3, bytes(32)) for r in (0, 2, 3)))
    assert (effects.messages, effects.records) == ([], [])
    assert lab.replica.status().low_watermark == 8
    assert 3 not in lab.replica._state.log.slots


def test_cp7_control_without_both_watchmen_they_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "_place", lambda *_: None)
    monkeypatch.setattr(ordering, "_in_reach", lambda *_: True)
    lab = Lab(me=1)
    lab.settle_until(8)
    root = lab.replica.status().state_digest
    lab.feed(*(lab.checkpoint(r, 8, root) for r in (0, 2)))
    lab.feed(*(lab.commit(r, 0, 3, bytes(32)) for r in (0, 2, 3)))
    assert 3 in lab.replica._state.log.slots


@pytest.mark.scenario("RP4", kills="RP4 proposals of views that were left are taken in")
def test_rp4_a_proposal_of_a_view_that_was_left_is_nothing_in_the_next() -> None:
    lab = Lab(me=2)
    lab.feed(lab.new_view(1, [lab.view_change(r, 1) for r in (0, 1, 3)], {}), peer=1)
    assert (lab.replica.status().view, lab.replica.status().active) == (1, True)
    batch = lab.batch(lab.request(1))
    effects = lab.feed(lab.proposal(0, 1, batch), peer=0)
    assert (effects.messages, effects.records) == ([], [])
    assert of_type(lab.feed(lab.proposal(1, 1, batch), peer=1), Prepare)


@pytest.mark.scenario("CP9", kills="CP9 votes for the far future are kept")
def test_cp9_checkpoints_of_the_far_future_are_bounded_and_move_nobody() -> None:
    lab = Lab(me=1)
    for step in range(1, 500):
        lab.feed(lab.checkpoint(3, 8 * step, bytes(32)))
    assert not lab.replica.status().transferring
    held = lab.replica._state.checkpoints.votes
    assert sum(3 in votes for votes in held.values()) <= 2 * 16 // 8 + 2


@pytest.mark.scenario("FL5", kills="FL5 messages of later views are kept without end")
def test_fl5_votes_of_a_million_views_stay_within_a_senders_share() -> None:
    lab = Lab(me=1, early_max_bytes=4096)
    for view in range(1, 200):
        lab.feed(lab.commit(3, view, 1, bytes(32)))
    early = lab.replica._state.log.early
    assert early[3].bytes <= 4096
    assert lab.replica.status().drops["too many messages of later views"] > 100


def test_an_idle_replica_only_says_its_status() -> None:
    lab = Lab(me=1)
    lab.idle(3)
    assert {type(m) for m in lab.sent} == {Status}
    assert lab.replica.status().view == 0
