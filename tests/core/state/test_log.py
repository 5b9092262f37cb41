"""The log: bodies live as long as a slot may need them, early messages are bounded."""

from pbft.core.state.log import Log
from pbft.core.verified import NULL_BODY, Body
from pbft.core.wire import batch_digest
from tests.core.lab import Lab


def body(name: bytes) -> Body:
    return Body(name * 32, name, 1, ())


def test_a_body_stays_until_its_highest_slot_is_stable() -> None:
    log = Log()
    log.keep_body(body(b"a"), 3)
    log.keep_body(body(b"a"), 9)
    log.keep_body(body(b"b"), 3)
    log.truncate(8)
    assert set(log.bodies) == {NULL_BODY.digest, b"a" * 32}
    log.keep_body(NULL_BODY, 9)
    log.truncate(16)
    assert set(log.bodies) == {NULL_BODY.digest}


def test_truncation_never_lowers_the_next_number() -> None:
    log = Log(next_sequence=30)
    log.slot(5)
    log.slot(17)
    log.truncate(16)
    assert (log.next_sequence, sorted(log.slots)) == (30, [17])
    log.truncate(40)
    assert log.next_sequence == 41


def test_early_messages_are_bounded_per_sender() -> None:
    log = Log()
    vote = Lab().prepare(2, 5, 1, bytes(32))
    kept = [log.keep_early(2, 5, vote, 100, 250) for _ in range(4)]
    assert kept == [True, True, False, False]
    assert log.keep_early(3, 5, vote, 100, 250)


def test_taking_early_messages_frees_their_room_and_passed_views_are_forgotten() -> None:
    log = Log()
    vote = Lab().prepare(2, 5, 1, bytes(32))
    for view in (5, 6, 7):
        log.keep_early(2, view, vote, 100, 300)
    assert log.early[2].take(6) == [vote]
    assert log.early[2].take(6) == []
    log.start_view(7, 100)
    assert (list(log.early[2].by_view), log.early[2].bytes) == ([7], 100)


def test_a_new_view_forgets_votes_and_keeps_proofs() -> None:
    lab = Lab()
    log = Log()
    slot = log.slot(1)
    slot.prepares[2] = lab.prepare(2, 0, 1, bytes(32))
    slot.commits[2] = lab.commit(2, 0, 1, bytes(32))
    slot.voted = slot.committed = True
    log.start_view(1, 100)
    assert (slot.prepares, slot.commits) == ({}, {})
    assert (slot.voted, slot.committed) == (False, False)
    assert list(log.touched) == [1]


def test_what_an_earlier_new_view_proposed_out_of_reach_is_gone_in_the_next() -> None:
    log = Log()
    log.slot(12).voted = True
    log.slot(13)
    log.start_view(1, 12)
    assert sorted(log.slots) == [12]


def test_a_body_stays_for_its_highest_slot_whichever_was_named_last() -> None:
    log = Log()
    log.keep_body(body(b"a"), 9)
    log.keep_body(body(b"a"), 3)
    log.truncate(8)
    assert b"a" * 32 in log.bodies


def test_a_new_view_asks_anew_for_what_the_last_one_waited_for() -> None:
    """A batch that waits for its requests is not asked for, so it must not outlive their names."""
    log = Log()
    log.keep_body(Body(b"p" * 32, b"p", 1, (), ((0, b"r" * 32),)), 3)
    log.missing[b"r" * 32] = True
    log.start_view(1, 100)
    assert (log.partial, log.missing) == ({}, {})


def test_what_no_slot_waits_for_any_more_is_asked_of_nobody() -> None:
    lab, log = Lab(), Log()
    for sequence in (8, 9):
        batch = lab.batch(lab.request(sequence))
        log.slot(sequence).pre_prepare = lab.pre_prepare(0, sequence, batch)
        log.missing[batch_digest(batch)] = False
    log.truncate(8)
    assert list(log.missing) == [batch_digest(batch)]
