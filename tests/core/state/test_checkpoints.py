"""What is kept of checkpoints, and what a stable one lets go."""

from pbft.core.state.checkpoints import Checkpoints, OwnCheckpoint
from pbft.crypto.trie import Snapshot
from tests.core.lab import Lab


def filled() -> Checkpoints:
    lab, found = Lab(), Checkpoints()
    for sequence in (8, 16, 24):
        found.own[sequence] = OwnCheckpoint(sequence, Snapshot(None))
        found.cast[sequence] = lab.checkpoint(1, sequence, bytes(32))
        found.votes[sequence] = {by: lab.checkpoint(by, sequence, bytes(32)) for by in (1, 2)}
    return found


def test_a_stable_checkpoint_covers_votes_up_to_itself() -> None:
    found = filled()
    found.drop_below(16, 8)
    assert (list(found.votes), list(found.cast), list(found.own)) == ([24], [24], [8, 16, 24])


def test_own_snapshots_are_served_from_the_number_given() -> None:
    found = filled()
    found.drop_below(16, 16)
    assert list(found.own) == [16, 24]


def test_a_senders_look_ahead_is_counted_above_the_limit_only() -> None:
    found = filled()
    assert found.count_beyond(2, 8) == [16, 24]
    assert found.count_beyond(2, 24) == []
    assert found.count_beyond(3, 0) == []


def test_a_withdrawn_vote_leaves_nothing_behind() -> None:
    found = filled()
    found.withdraw(24, 2)
    assert list(found.votes[24]) == [1]
    found.withdraw(24, 1)
    assert 24 not in found.votes


def test_what_was_given_up_is_remembered_until_a_stable_checkpoint_covers_it() -> None:
    found = filled()
    found.abandoned = {16: bytes(32), 24: bytes(32)}
    found.drop_below(16, 8)
    assert list(found.abandoned) == [24]
