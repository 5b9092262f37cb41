"""T13-T28, T44: view changes, one trace per trap."""

import pytest

from pbft.core.config import Configuration
from pbft.core.effects import EnteredView, ViewChangeStarted
from pbft.core.messages import (
    BatchBody,
    Certificate,
    Commit,
    FetchBatch,
    NewView,
    Prepare,
    PrePrepare,
    Proposal,
    Request,
    Status,
    ViewChange,
)
from pbft.core.wire import NULL_DIGEST, batch_digest, decode_signed
from tests.core.lab import CLUSTER, Lab, executed, of_type


def chosen(new_view: NewView) -> dict[int, bytes]:
    """What a NEW-VIEW proposes again, by sequence number."""
    pps = [decode_signed(raw) for raw in new_view.pre_prepares]
    return {pp.sequence: pp.digest for pp in pps if isinstance(pp, PrePrepare)}


def led(lab: Lab) -> NewView:
    """The last NEW-VIEW that the replica under test sent."""
    return [m for m in lab.sent if isinstance(m, NewView)][-1]


def entered(effects: object) -> list[int]:
    events = getattr(effects, "events")  # noqa: B009
    return [event.view for event in events if isinstance(event, EnteredView)]


def started(effects: object) -> list[int]:
    events = getattr(effects, "events")  # noqa: B009
    return [event.view for event in events if isinstance(event, ViewChangeStarted)]


@pytest.mark.scenario("T13", "VC4")
def test_t13_the_highest_view_wins() -> None:
    lab = Lab(me=2)
    a, b = lab.batch(lab.request(1)), lab.batch(lab.request(2))
    in_v0 = lab.certificate(0, 1, a, (1, 3))
    in_v1 = lab.certificate(1, 1, b, (2, 3))
    lab.feed(
        lab.view_change(3, 2, [in_v0]), lab.view_change(1, 2, [in_v1]), lab.view_change(0, 2, [])
    )
    assert chosen(led(lab)) == {1: batch_digest(b)}


@pytest.mark.scenario("T14")
def test_t14_prepared_and_executed_slots_are_in_p_with_their_view() -> None:
    lab = Lab(me=1)
    batch = lab.batch(lab.request(1))
    lab.settle(1, batch=batch)
    effects = lab.feed(*(lab.view_change(r, 1) for r in (2, 3)))
    (mine,) = of_type(effects, ViewChange)
    assert isinstance(mine, ViewChange)
    assert [decode_signed(c.pre_prepare) for c in mine.prepared] == [
        PrePrepare(0, 1, batch_digest(batch), 0)
    ]
    again = lab.feed(*(lab.view_change(r, 2) for r in (2, 3)))
    (second,) = of_type(again, ViewChange)
    assert isinstance(second, ViewChange)
    assert second.prepared == mine.prepared


@pytest.mark.scenario("T13", "T14")
def test_t14_of_one_number_the_last_certificate_is_told_whatever_was_prepared_before() -> None:
    """A was prepared here alone. Whoever told of A now would deny B, which may be committed."""
    lab = Lab(me=2)
    a, b = lab.batch(lab.request(1)), lab.batch(lab.request(2))
    lab.feed(lab.proposal(0, 1, a), peer=0)
    assert of_type(lab.feed(lab.prepare(3, 0, 1, batch_digest(a))), Commit)
    kept = [lab.certificate(0, 1, b, (1, 3))]
    changes = [lab.view_change(0, 1), lab.view_change(1, 1, kept), lab.view_change(3, 1)]
    lab.feed(lab.new_view(1, changes, {1: batch_digest(b)}), peer=1)
    lab.feed(BatchBody(b), peer=1)
    assert of_type(lab.feed(lab.prepare(3, 1, 1, batch_digest(b))), Commit)
    (said,) = of_type(lab.feed(*(lab.view_change(by, 2) for by in (0, 3))), ViewChange)
    assert isinstance(said, ViewChange)
    assert [decode_signed(each.pre_prepare) for each in said.prepared] == [
        PrePrepare(1, 1, batch_digest(b), 1)
    ]


@pytest.mark.scenario("T14")
def test_t14_p_reaches_to_the_last_number_of_the_window() -> None:
    lab = Lab(me=1)
    lab.settle_until(16)
    effects = lab.feed(*(lab.view_change(by, 1) for by in (0, 3)))
    (said,) = of_type(effects, ViewChange)
    assert isinstance(said, ViewChange)
    inside = [decode_signed(each.pre_prepare) for each in said.prepared]
    assert [pp.sequence for pp in inside if isinstance(pp, PrePrepare)] == list(range(1, 17))


def _mixed(lab: Lab, batch: bytes, other: bytes) -> Certificate:
    votes = tuple(lab.prepare(r, 0, 1, batch_digest(other)).raw for r in (1, 3))
    return Certificate(lab.pre_prepare(0, 1, batch).raw, votes)


@pytest.mark.scenario("T15", "VC14")
def test_t15_invalid_certificates_void_the_view_change() -> None:
    lab = Lab(me=2)
    batch, other = lab.batch(lab.request(1)), lab.batch(lab.request(2))
    digest = batch_digest(batch)
    by_other = Certificate(
        lab.pre_prepare(0, 1, batch, by=3).raw,
        tuple(lab.prepare(r, 0, 1, digest).raw for r in (1, 2)),
    )
    bad = [
        _mixed(lab, batch, other),
        by_other,
        lab.certificate(0, 1, batch, (3, 3)),
        lab.certificate(0, 1, batch, (0, 3)),
        lab.certificate(0, 1, batch, (3,)),
        lab.certificate(2, 1, batch, (1, 3)),
        lab.certificate(0, 17, batch, (1, 3)),
    ]
    for certificate in bad:
        effects = lab.feed(lab.view_change(3, 1, [certificate]), lab.view_change(0, 1))
        assert started(effects) == []
    assert started(lab.feed(lab.view_change(3, 1, [lab.certificate(0, 1, batch, (1, 3))]))) == [1]


@pytest.mark.scenario("T16", "VC11")
def test_t16_one_bad_entry_suppresses_nobody_elses() -> None:
    lab = Lab(me=2)
    a, b = lab.batch(lab.request(1)), lab.batch(lab.request(2))
    bad = lab.view_change(3, 2, [lab.certificate(0, 1, b, (3,))])
    good = lab.view_change(1, 2, [lab.certificate(0, 1, a, (1, 3))])
    lab.feed(bad, good, lab.view_change(0, 2))
    assert chosen(led(lab)) == {1: batch_digest(a)}


@pytest.mark.scenario("T17", "VC6")
def test_t17_a_backup_recomputes_the_new_view() -> None:
    lab = Lab(me=2)
    a = lab.batch(lab.request(1))
    prepared = [lab.certificate(0, 3, a, (1, 3))]
    vcs = [lab.view_change(0, 1), lab.view_change(1, 1), lab.view_change(3, 1, prepared)]
    right = {1: NULL_DIGEST, 2: NULL_DIGEST, 3: batch_digest(a)}
    wrong: list[dict[int, bytes]] = [
        {},
        {1: NULL_DIGEST, 2: NULL_DIGEST},
        {**right, 4: NULL_DIGEST},
        {1: NULL_DIGEST, 2: NULL_DIGEST, 4: batch_digest(a)},
        {1: NULL_DIGEST, 3: batch_digest(a), 2: NULL_DIGEST},
        {**right, 3: NULL_DIGEST},
        {1: batch_digest(a), 2: NULL_DIGEST, 3: batch_digest(a)},
    ]
    for digests in wrong:
        effects = lab.feed(lab.new_view(1, vcs, digests), peer=1)
        assert entered(effects) == []
    assert set(lab.replica.status().evidence[1]) == {"invalid new view"}
    assert entered(lab.feed(lab.new_view(1, vcs, right), peer=1)) == [1]


@pytest.mark.scenario("T17", "VC10", "RP7", kills="VC10 one sender may make up a quorum")
def test_t17_a_new_view_stands_on_a_quorum_for_its_own_view() -> None:
    lab = Lab(me=2)
    fresh = [lab.view_change(r, 1) for r in (0, 1, 3)]
    stale = [lab.view_change(r, 5) for r in (0, 1, 3)]
    assert entered(lab.feed(lab.new_view(1, fresh[:2], {}), peer=1)) == []
    assert entered(lab.feed(lab.new_view(1, [*fresh[:2], fresh[0]], {}), peer=1)) == []
    assert entered(lab.feed(lab.new_view(1, stale, {}), peer=1)) == []
    assert entered(lab.feed(lab.new_view(1, fresh, {}, by=3), peer=3)) == []
    batch = lab.batch(lab.request(1))
    with_p = [*fresh[:2], lab.view_change(3, 1, [lab.certificate(0, 1, batch, (1, 3))])]
    old_view = lab.new_view(1, with_p, {1: batch_digest(batch)}, pre_prepare_view=5)
    assert entered(lab.feed(old_view, peer=1)) == []
    assert entered(lab.feed(lab.new_view(1, fresh, {}), peer=1)) == [1]


@pytest.mark.scenario("VC8", "T17", kills="VC8 anybody may sign what a new view proposes")
def test_vc8_what_a_new_view_proposes_is_signed_by_its_primary_for_its_view() -> None:
    lab = Lab(me=2)
    batch = lab.batch(lab.request(1))
    digest = batch_digest(batch)
    vcs = [lab.view_change(r, 1) for r in (0, 1)]
    vcs.append(lab.view_change(3, 1, [lab.certificate(0, 1, batch, (1, 3))]))
    right = lab.new_view(1, vcs, {1: digest}).message
    of_another = lab._signers[3].sign(PrePrepare(1, 1, digest, 3)).raw
    forged = lab._signers[3].sign(PrePrepare(1, 1, digest, 1)).raw
    of_view_5 = lab._signers[1].sign(PrePrepare(5, 1, digest, 1)).raw
    for pp in (of_another, forged, of_view_5):
        bad = NewView(1, right.view_changes, (pp,), 1)
        assert entered(lab.feed(lab._signers[1].sign(bad), peer=1)) == []
    assert entered(lab.feed(lab._signers[1].sign(right), peer=1)) == [1]


@pytest.mark.scenario("T17", "T24")
def test_t17_who_has_moved_further_starts_the_timer_and_supports_no_new_view() -> None:
    lab = Lab(me=1)
    lab.feed(lab.request(1))
    lab.idle(1.2)
    lab.feed(lab.view_change(0, 1), lab.view_change(2, 2))
    assert (lab.replica.status().view, lab.replica.status().active) == (1, False)
    assert not [m for m in lab.sent if isinstance(m, NewView)]
    lab.feed(lab.view_change(3, 1))
    assert len(led(lab).view_changes) == 3


@pytest.mark.scenario("T18", "VC12")
def test_t18_the_highest_proven_checkpoint_is_chosen_and_unproven_ones_reject() -> None:
    lab = Lab(me=1)
    lab.settle_until(8)
    root = lab.replica.status().state_digest
    proof = lab.proof(8, root, (0, 2, 3))
    claimed = lab.view_change(3, 1, low_watermark=10**6, proof=lab.proof(8, root, (0, 2, 3)))
    naked = lab.view_change(3, 1, low_watermark=8)
    weak = lab.view_change(3, 1, low_watermark=8, proof=proof[:2])
    for bad in (claimed, naked, weak):
        assert started(lab.feed(bad, lab.view_change(0, 1))) == []
    lab.feed(lab.view_change(3, 1, low_watermark=8, proof=proof), lab.view_change(2, 1))
    assert chosen(led(lab)) == {}
    assert lab.replica.status().low_watermark == 8
    lab.feed(*(lab.prepare(r, 1, 9, bytes(32)) for r in (0, 2)))
    effects = lab.feed(lab.request(100))
    (proposal,) = of_type(effects, Proposal)
    assert isinstance(proposal, Proposal)
    pp = decode_signed(proposal.pre_prepare)
    assert isinstance(pp, PrePrepare)
    assert pp.sequence == 9


@pytest.mark.scenario("T19", "VC5")
def test_t19_gaps_are_filled_with_null_and_execute_as_nothing() -> None:
    lab = Lab(me=2)
    one, three = lab.batch(lab.request(1)), lab.batch(lab.request(3))
    certificates = [lab.certificate(0, 1, one, (1, 3)), lab.certificate(0, 3, three, (1, 3))]
    lab.feed(lab.proposal(0, 1, one), lab.proposal(0, 3, three), peer=0)
    vcs = [lab.view_change(0, 1), lab.view_change(1, 1), lab.view_change(3, 1, certificates)]
    digests = {1: batch_digest(one), 2: NULL_DIGEST, 3: batch_digest(three)}
    lab.feed(lab.new_view(1, vcs, digests), peer=1)
    votes = [lab.prepare(r, 1, s, d) for r in (0, 3) for s, d in digests.items()]
    commits = [lab.commit(r, 1, s, d) for r in (0, 1, 3) for s, d in digests.items()]
    effects = lab.feed(*votes, *commits)
    assert executed(effects) == [1, 2, 3]
    assert lab.service.operations == [b"op-1", b"op-3"]
    assert len(effects.replies) == 2


@pytest.mark.scenario("T21")
def test_t21_the_new_primary_continues_above_everything_it_proposed_again() -> None:
    lab = Lab(me=1)
    seven = [lab.certificate(0, s, lab.batch(lab.request(s)), (2, 3)) for s in range(1, 8)]
    lab.feed(lab.view_change(2, 1, seven), lab.view_change(3, 1))
    lab.sent.clear()
    lab.feed(lab.request(49))  # before a body of O is here: what is executed says nothing
    for sequence in range(1, 8):
        batch = lab.batch(lab.request(sequence))
        digest = batch_digest(batch)
        lab.feed(lab.decision(0, sequence, batch, (0, 2, 3)))
        lab.feed(*(lab.prepare(r, 1, sequence, digest) for r in (2, 3)))
    lab.feed(lab.request(50))
    proposals = [m for m in lab.sent if isinstance(m, Proposal)]
    pps = [decode_signed(p.pre_prepare) for p in proposals]
    assert [pp.sequence for pp in pps if isinstance(pp, PrePrepare)] == [8, 9]


@pytest.mark.scenario("T22", "VC25")
def test_t22_in_a_view_change_nothing_is_voted_in_the_old_view() -> None:
    lab = Lab(me=2)
    batch = lab.batch(lab.request(1))
    digest = batch_digest(batch)
    lab.feed(lab.proposal(0, 1, batch), peer=0)
    lab.feed(*(lab.view_change(r, 1) for r in (1, 3)))
    lab.sent.clear()
    lab.feed(*(lab.prepare(r, 0, 1, digest) for r in (1, 3)), lab.proposal(0, 2, batch))
    lab.idle(0.5)
    assert not [m for m in lab.sent if isinstance(m, Prepare | Commit)]


@pytest.mark.scenario("T22", "VC25")
def test_t22_nothing_is_voted_in_a_view_that_was_left_in_the_same_turn() -> None:
    lab = Lab(me=2)
    batch = lab.batch(lab.request(1))
    lab.feed(lab.proposal(0, 1, batch), peer=0)
    lab.sent.clear()
    votes = [lab.prepare(r, 0, 1, batch_digest(batch)) for r in (1, 3)]
    lab.feed(*votes, *(lab.view_change(r, 1) for r in (1, 3)))
    assert [type(m).__name__ for m in lab.sent] == ["ViewChange"]


@pytest.mark.scenario("T22")
def test_t22_decisions_are_followed_in_a_view_change() -> None:
    lab = Lab(me=2)
    lab.feed(*(lab.view_change(r, 1) for r in (1, 3)))
    assert executed(lab.feed(lab.decision(0, 1, lab.batch(lab.request(1)), (0, 1, 3)))) == [1]


@pytest.mark.scenario("T23", "VC17", "VC27")
def test_t23_one_complaint_moves_nobody_and_f_plus_1_move_to_what_they_share() -> None:
    lab = Lab(me=0)
    assert started(lab.feed(lab.view_change(3, 10**12))) == []
    assert started(lab.feed(lab.view_change(1, 1))) == [1]


@pytest.mark.scenario("T24")
def test_t24_no_new_view_timer_before_a_quorum_moves() -> None:
    lab = Lab(me=3)
    lab.feed(lab.request(1))
    assert started(lab.idle(1.2)) == [1]
    assert started(lab.idle(60)) == []
    assert started(lab.feed(lab.view_change(2, 1), lab.view_change(0, 2))) == []
    assert started(lab.idle(60))[:1] == [2]


@pytest.mark.scenario("T24", "VC20")
def test_t24_view_changes_are_re_sent_until_answered() -> None:
    lab = Lab(me=3)
    lab.feed(lab.request(1))
    lab.idle(1.2)
    lab.sent.clear()
    for _ in range(3):
        lab.feed(Status(0, True, 0, 0, False, False), peer=1)
    assert [m.view for m in lab.sent if isinstance(m, ViewChange)] == [1, 1]


@pytest.mark.scenario("T25", "TM3")
def test_t25_the_back_off_grows_without_progress_and_is_capped() -> None:
    lab = Lab(me=3)
    lab.feed(lab.request(1))
    gaps = []
    last = lab.now
    for view in range(1, 7):
        lab.idle(0)
        lab.feed(*(lab.view_change(r, view) for r in (1, 2)))
        while lab.replica.status().view <= view:
            lab.idle(0.05)
        gaps.append(round((lab.now - last) / 1e9))
        last = lab.now
    assert gaps == [2, 4, 8, 8, 8, 8]


@pytest.mark.scenario("T25")
def test_t25_a_new_view_that_then_stalls_does_not_reset_the_back_off() -> None:
    lab = Lab(me=3)
    lab.feed(lab.request(1))
    vcs = [lab.view_change(r, 1) for r in (0, 1, 2)]
    assert entered(lab.feed(lab.new_view(1, vcs, {}), peer=1)) == [1]
    begun = lab.now
    while lab.replica.status().view == 1:
        lab.idle(0.05)
    assert 1.9 <= (lab.now - begun) / 1e9 <= 2.2


@pytest.mark.scenario("T26", "EQ8")
def test_t26_one_new_view_per_view_even_over_another_valid_one() -> None:
    lab = Lab(me=2)
    batch = lab.batch(lab.request(1))
    plain = [lab.view_change(r, 1) for r in (0, 1, 3)]
    with_p = [*plain[:2], lab.view_change(3, 1, [lab.certificate(0, 1, batch, (1, 3))])]
    first = lab.new_view(1, plain, {})
    second = lab.new_view(1, with_p, {1: batch_digest(batch)})
    assert entered(lab.feed(first, peer=1)) == [1]
    lab.sent.clear()
    assert entered(lab.feed(second, peer=1)) == []
    lab.restart()
    assert lab.replica.status().view == 1
    assert entered(lab.feed(second, peer=1)) == []
    assert not [m for m in lab.sent if isinstance(m, Prepare)]


@pytest.mark.scenario("T27")
def test_t27_a_replica_alone_in_the_next_view_follows_decisions() -> None:
    lab = Lab(me=3)
    lab.feed(lab.request(1))
    lab.idle(1.2)
    status = lab.replica.status()
    assert (status.view, status.active) == (1, False)
    batch = lab.batch(lab.request(1))
    assert executed(lab.feed(lab.decision(0, 1, batch, (0, 1, 2)))) == [1]


@pytest.mark.scenario("T27", "VC18")
def test_t27_a_replica_alone_in_a_later_view_is_joined_though_nobody_asks_anything() -> None:
    lab = Lab(me=2)
    lab.feed(lab.view_change(3, 1))
    assert started(lab.idle(7.9)) == []
    assert started(lab.idle(0.2)) == [1]


@pytest.mark.scenario("T27", "VC18")
def test_t27_who_is_alone_again_and_again_is_joined_ever_later() -> None:
    lab = Lab(me=1)
    lab.feed(lab.view_change(3, 1))
    assert started(lab.idle(8.1)) == [1]
    assert entered(lab.feed(lab.view_change(2, 1))) == [1]
    lab.feed(lab.view_change(3, 10**12))
    assert started(lab.idle(15.9)) == []
    assert started(lab.idle(0.2)) == [2]


@pytest.mark.scenario("T25")
def test_t25_how_late_the_lonely_are_joined_falls_again_in_peace() -> None:
    lab = Lab(me=1)
    lab.feed(lab.view_change(3, 1))
    assert started(lab.idle(8.1)) == [1]
    assert entered(lab.feed(lab.view_change(2, 1))) == [1]
    lab.idle(16.1)
    lab.feed(lab.view_change(3, 2))
    assert started(lab.idle(8.1)) == [2]


@pytest.mark.scenario("T25", "T27")
def test_t25_one_peace_is_forgiven_one_doubling_and_no_more() -> None:
    """Else whoever lies would have the primary replaced as often as if it had never lied."""
    lab = Lab(me=1)
    lab.feed(lab.view_change(3, 1))
    assert started(lab.idle(8.1)) == [1]
    assert entered(lab.feed(lab.view_change(2, 1))) == [1]
    lab.feed(lab.view_change(3, 2))
    assert started(lab.idle(16.1)) == [2]
    changes = [lab.view_change(by, 2) for by in (0, 2, 3)]
    assert entered(lab.feed(lab.new_view(2, changes, {}), peer=2)) == [2]
    lab.idle(32.1)
    lab.feed(lab.view_change(3, 3))
    assert started(lab.idle(15.9)) == []
    assert started(lab.idle(0.2)) == [3]


@pytest.mark.scenario("T25")
def test_t25_a_restart_in_a_late_view_begins_with_the_timeout_itself() -> None:
    lab = Lab(me=3)
    changes = [lab.view_change(by, 5) for by in (0, 1, 2)]
    assert entered(lab.feed(lab.new_view(5, changes, {}), peer=1)) == [5]
    lab.restart()
    assert lab.replica.status().view == 5
    lab.feed(lab.request(1))
    assert started(lab.idle(0.95)) == []
    assert started(lab.idle(0.1)) == [6]


@pytest.mark.scenario("T28")
@pytest.mark.parametrize("n", [4, 5, 6, 7, 10])
def test_t28_thresholds_are_reached_in_one_burst_at_any_size(n: int) -> None:
    lab = Lab(me=1, n=n)
    batch = lab.batch(lab.request(1))
    digest = batch_digest(batch)
    rest = [r for r in range(n) if r != 1]
    effects = lab.feed(
        *(lab.commit(r, 0, 1, digest) for r in rest),
        *(lab.prepare(r, 0, 1, digest) for r in rest if r),
        lab.proposal(0, 1, batch),
    )
    assert executed(effects) == [1]
    assert len(of_type(effects, Prepare)) == len(of_type(effects, Commit)) == 1
    effects = lab.feed(*(lab.view_change(r, 1) for r in rest))
    assert started(effects) == [1]
    assert entered(effects) == [1]


@pytest.mark.scenario("T38")
def test_t38_a_backup_forwards_before_it_suspects() -> None:
    lab = Lab(me=1)
    effects = lab.feed(lab.request(1))
    sent = [send for send in effects.messages if isinstance(send.message, Request)]
    assert [send.to for send in sent] == [(0,)]
    later = lab.idle(0.5)
    again = [send.to for send in later.messages if isinstance(send.message, Request)]
    assert (0, 2, 3) in again
    assert started(later) == []
    assert started(lab.idle(0.7)) == [1]


@pytest.mark.scenario("T38")
def test_t38_all_that_comes_in_one_burst_is_passed_on_at_once() -> None:
    lab = Lab(me=1)
    asked = [lab.request(1, client=each) for each in ("alice", "bob", "carol")]
    sent = [send.message for send in lab.feed(*asked).messages]
    assert sent == [each.message for each in asked]


@pytest.mark.scenario("T38")
def test_t38_a_request_is_passed_on_in_a_view_change_too() -> None:
    """Found by simulation: the only holder was alone in the next view, and kept it to itself."""
    lab = Lab(me=3)
    lab.feed(lab.request(1))
    lab.idle(1.2)
    assert not lab.replica.status().active
    effects = lab.feed(lab.request(2))
    effects.messages += lab.idle(0.2).messages
    passed = {
        send.message.timestamp
        for send in effects.messages
        if isinstance(send.message, Request) and send.to == (0, 1, 2)
    }
    assert passed == {1, 2}


@pytest.mark.scenario("T37")
def test_t37_progress_of_others_does_not_save_a_primary_that_starves_one_client() -> None:
    lab = Lab(me=1)
    lab.feed(lab.request(1, client="bob"))
    moves: list[int] = []
    for sequence in range(1, 7):
        moves += started(lab.settle(sequence))
        moves += started(lab.idle(0.2))
    assert moves == [1]


@pytest.mark.scenario("T44")
def test_t44_an_early_pre_prepare_never_beats_the_new_view() -> None:
    lab = Lab(me=2)
    a, x = lab.batch(lab.request(1)), lab.batch(lab.request(9))
    lab.feed(lab.proposal(0, 1, a), peer=0)
    lab.feed(lab.proposal(1, 1, x), peer=1)
    vcs = [lab.view_change(0, 1), lab.view_change(1, 1)]
    vcs.append(lab.view_change(3, 1, [lab.certificate(0, 1, a, (1, 3))]))
    effects = lab.feed(lab.new_view(1, vcs, {1: batch_digest(a)}), peer=1)
    votes = [m for m in of_type(effects, Prepare) if isinstance(m, Prepare)]
    assert [vote.digest for vote in votes] == [batch_digest(a)]
    assert [(e.kind, e.culprit) for e in effects.evidence] == [("conflicting pre-prepares", 1)]


def test_the_timeout_is_capped() -> None:
    config = Configuration(cluster_id=CLUSTER, n=4)
    assert [config.timeout(k) // 10**9 for k in range(6)] == [1, 2, 4, 8, 8, 8]
    assert config.timeout(10**9) == config.timeout_max_ns


@pytest.mark.scenario("T7")
def test_t7_votes_that_overtake_the_new_view_count_though_the_old_view_chose_the_same() -> None:
    lab = Lab(me=2)
    batch = lab.batch(lab.request(1))
    digest = batch_digest(batch)
    lab.feed(lab.proposal(0, 1, batch), peer=0)
    lab.feed(*(lab.prepare(by, 0, 1, digest) for by in (1, 3)))
    certificate = lab.certificate(0, 1, batch, (1, 2))
    changes = [lab.view_change(by, 1, [certificate]) for by in (0, 1, 3)]
    lab.feed(*changes)
    lab.feed(*(lab.prepare(by, 1, 1, digest) for by in (0, 3)))
    lab.feed(*(lab.commit(by, 1, 1, digest) for by in (0, 1, 3)))
    assert executed(lab.feed(lab.new_view(1, changes, {1: digest}), peer=1)) == [1]


@pytest.mark.scenario("T3", "T22")
def test_t3_votes_of_the_last_view_do_not_count_in_this_one_for_the_same_batch() -> None:
    lab = Lab(me=2)
    batch = lab.batch(lab.request(1))
    digest = batch_digest(batch)
    lab.feed(lab.proposal(0, 1, batch), peer=0)
    lab.feed(lab.prepare(3, 0, 1, digest), lab.commit(3, 0, 1, digest))
    certificate = lab.certificate(0, 1, batch, (2, 3))
    changes = [lab.view_change(by, 1, [certificate]) for by in (0, 1, 3)]
    assert not of_type(lab.feed(lab.new_view(1, changes, {1: digest}), peer=1), Commit)
    assert of_type(lab.feed(lab.prepare(3, 1, 1, digest)), Commit)
    assert executed(lab.feed(lab.commit(1, 1, 1, digest))) == []
    assert executed(lab.feed(lab.commit(0, 1, 1, digest))) == [1]


@pytest.mark.scenario("T20")
def test_t20_a_restart_still_has_the_bodies_that_it_voted_for_in_views_that_it_left() -> None:
    """It may be the only correct replica that is up and has them."""
    lab = Lab(me=2)
    batch = lab.batch(lab.request(1))
    lab.feed(lab.proposal(0, 1, batch), peer=0)
    assert started(lab.feed(*(lab.view_change(by, 1) for by in (0, 3)))) == [1]
    lab.restart()
    assert lab.replica.status().view == 1
    assert of_type(lab.feed(FetchBatch(batch_digest(batch)), peer=3), BatchBody)


@pytest.mark.scenario("T25")
def test_t25_what_executed_before_a_view_is_no_progress_in_it() -> None:
    """Nothing waits as the view begins; then its primary starves the first request."""
    lab = Lab(me=2)
    lab.settle(1)
    kept = lab.certificate(0, 1, lab.batch(lab.request(1)), (1, 3))
    vcs = [lab.view_change(r, 1, [kept]) for r in (0, 1, 3)]
    body = decode_signed(kept.pre_prepare)
    assert isinstance(body, PrePrepare)
    assert entered(lab.feed(lab.new_view(1, vcs, {1: body.digest}), peer=1)) == [1]
    begun = lab.now
    lab.feed(lab.request(2))
    while lab.replica.status().view == 1:
        lab.idle(0.05)
    assert 1.9 <= (lab.now - begun) / 1e9 <= 2.2


@pytest.mark.scenario("T21")
def test_t21_a_new_primary_goes_on_above_a_watermark_that_has_moved_meanwhile() -> None:
    """Its VIEW-CHANGE is older than its stable checkpoint, and all others' too."""
    lab, ahead = Lab(me=1), Lab(me=2)
    ahead.settle_until(8)
    bodies = [lab.batch(lab.request(each)) for each in range(1, 9)]
    lab.feed(lab.request(9))
    assert started(lab.idle(1.2)) == [1]
    lab.feed(*(lab.decision(0, at, each, (0, 2, 3)) for at, each in enumerate(bodies, 1)))
    root = ahead.replica.status().state_digest
    lab.feed(*(lab.checkpoint(r, 8, root) for r in (0, 2, 3)))
    assert lab.replica.status().low_watermark == 8
    effects = lab.feed(*(lab.view_change(r, 1) for r in (0, 3)))
    (proposal,) = of_type(effects, Proposal)
    assert isinstance(proposal, Proposal)
    pp = decode_signed(proposal.pre_prepare)
    assert isinstance(pp, PrePrepare)
    assert pp.sequence == 9


def test_a_request_that_a_view_lost_is_proposed_in_the_next() -> None:
    """We had seen it proposed, and nothing of that outlives the view."""
    lab = Lab(me=1)
    request = lab.request(1)
    lab.feed(request)
    lab.feed(lab.proposal(0, 1, lab.batch(request)), peer=0)
    effects = lab.feed(*(lab.view_change(r, 1) for r in (2, 3)))
    assert chosen(led(lab)) == {}
    (proposal,) = of_type(effects, Proposal)
    assert isinstance(proposal, Proposal)
    assert request.raw in proposal.batch


@pytest.mark.scenario("T20")
def test_t20_the_body_of_a_slot_in_o_stays_though_it_was_kept_for_another() -> None:
    """A primary proposed one batch twice, and only the second place was prepared."""
    lab = Lab(me=2)
    batch = lab.batch(lab.request(1))
    lab.feed(lab.proposal(0, 2, batch), peer=0)
    kept = lab.certificate(0, 10, batch, (1, 3))
    vcs = [lab.view_change(0, 1), lab.view_change(1, 1), lab.view_change(3, 1, [kept])]
    digests = dict.fromkeys(range(1, 10), NULL_DIGEST) | {10: batch_digest(batch)}
    assert entered(lab.feed(lab.new_view(1, vcs, digests), peer=1)) == [1]
    for at in range(1, 9):
        lab.feed(*(lab.prepare(r, 1, at, NULL_DIGEST) for r in (0, 3)))
        lab.feed(*(lab.commit(r, 1, at, NULL_DIGEST) for r in (0, 1, 3)))
    root = lab.replica.status().state_digest
    lab.feed(*(lab.checkpoint(r, 8, root) for r in (0, 1, 3)))
    assert lab.replica.status().low_watermark == 8
    for at in (9, 10):
        lab.feed(*(lab.prepare(r, 1, at, digests[at]) for r in (0, 3)))
        lab.feed(*(lab.commit(r, 1, at, digests[at]) for r in (0, 1, 3)))
    assert lab.replica.status().executed == 10


@pytest.mark.scenario("T23")
def test_t23_a_new_view_takes_nobody_back_who_has_said_more() -> None:
    lab = Lab(me=2)
    inside = [lab.view_change(r, 1) for r in (0, 1, 3)]
    lab.feed(lab.view_change(3, 2))
    assert entered(lab.feed(lab.new_view(1, inside, {}), peer=1)) == [1]
    assert started(lab.feed(lab.view_change(0, 2))) == [2]


def test_two_view_changes_of_one_sender_convict_it_though_one_came_in_a_new_view() -> None:
    lab = Lab(me=2)
    kept = lab.certificate(0, 1, lab.batch(lab.request(1)), (1, 3))
    lab.feed(lab.view_change(3, 1, [kept]))
    inside = [lab.view_change(r, 1) for r in (0, 1, 3)]
    effects = lab.feed(lab.new_view(1, inside, {}), peer=1)
    assert [(e.kind, e.culprit) for e in effects.evidence] == [("conflicting view changes", 3)]


@pytest.mark.scenario("T56")
def test_t56_timers_that_are_due_together_move_a_replica_by_one_view() -> None:
    """After a long stall, say: the request and what was due behind others fire in one turn."""
    lab = Lab(me=3)
    lab.feed(lab.request(1), lab.request(2, client="bob"))
    lab.now += 100 * 10**9
    lab.wall += 100 * 10**9
    assert started(lab.replica.expire(lab.instant)) == [1]


@pytest.mark.scenario("T24")
def test_t24_f_plus_1_that_move_start_no_timer() -> None:
    lab = Lab(me=3)
    lab.feed(lab.request(1))
    assert started(lab.idle(1.2)) == [1]
    assert started(lab.feed(lab.view_change(2, 1))) == []
    assert started(lab.idle(60)) == []


@pytest.mark.scenario("T24", "T53")
def test_t24_who_is_in_the_same_view_change_is_given_what_it_may_have_missed() -> None:
    """Our VIEW-CHANGE to the very view it waits in, and then the NEW-VIEW of it."""
    lab = Lab(me=3)
    lab.feed(lab.request(1))
    lab.idle(1.2)
    lab.sent.clear()
    waits = Status(1, False, 0, 0, False, False)
    lab.feed(waits, peer=2)
    lab.feed(waits, peer=2)
    assert [m.view for m in lab.sent if isinstance(m, ViewChange)] == [1]
    lab.feed(lab.new_view(1, [lab.view_change(r, 1) for r in (0, 1, 2)], {}), peer=1)
    lab.sent.clear()
    lab.feed(waits, peer=2)
    assert [m.view for m in lab.sent if isinstance(m, NewView)] == [1]
