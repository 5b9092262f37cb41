"""Peers are replicas; a client under any name is none."""

from pbft.core.state.peers import MAX_VOTES, Peer, Peers, Votes
from tests.core.lab import Lab


def test_only_other_replicas_are_peers() -> None:
    peers = Peers({1: Peer(), 2: Peer()})
    assert peers.get(1) is peers.by_id[1]
    assert peers.get(0) is None
    assert peers.get("1") is None


def test_what_one_peer_is_owed_is_not_owed_to_another() -> None:
    one, other = Peer(), Peer()
    one.wants[b"d" * 32] = None
    one.wants_nodes[b"", bytes(32)] = None
    assert not other.wants
    assert not other.wants_nodes


def test_of_a_peers_votes_the_highest_are_kept_in_whatever_order_they_come() -> None:
    lab, votes = Lab(), Votes()
    said = [lab.prepare(2, 0, sequence, bytes(32)) for sequence in range(1, 2 * MAX_VOTES)]
    for vote in (*said[::2], *said[1::2]):
        votes.add(vote.message, vote.raw)
    for sequence in (16, 8):
        said_at = lab.checkpoint(2, sequence, bytes(32))
        votes.add(said_at.message, said_at.raw)
    highest = {vote.raw for vote in said[-MAX_VOTES:]}
    assert set(votes.all()) == highest | {lab.checkpoint(2, 16, bytes(32)).raw}


def test_both_votes_of_a_peer_about_one_number_are_kept_whichever_came_first() -> None:
    """It may have forgotten the one and not the other."""
    lab = Lab()
    prepare, commit = lab.prepare(2, 0, 1, bytes(32)), lab.commit(2, 0, 1, bytes(32))
    early, late = Votes(), Votes()
    early.add(prepare.message, prepare.raw)
    early.add(commit.message, commit.raw)
    late.add(commit.message, commit.raw)
    late.add(prepare.message, prepare.raw)
    for votes in (early, late):
        assert set(votes.all()) == {prepare.raw, commit.raw}
