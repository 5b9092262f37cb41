"""Peers are replicas; a client under any name is none."""

from pbft.core.state.peers import Peer, Peers


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
