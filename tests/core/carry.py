"""Carrying state between labs by hand: the asker's questions to one who has it, and back."""

from collections.abc import Callable

from pbft.core.effects import Effects, Send
from pbft.core.messages import FetchNodes, Node, Nodes, StableProof
from tests.core.lab import Lab, of_type

Bend = Callable[[int, Nodes], Nodes | None]
"""(who is asked, the true answer) -> the one given, if any."""


def truly(source: int, nodes: Nodes) -> Nodes | None:
    """What an honest source does."""
    return nodes


def lying(liar: int) -> Bend:
    """One of the sources sends garbage for each node."""

    def bend(source: int, nodes: Nodes) -> Nodes:
        if source != liar:
            return nodes
        return Nodes(tuple(Node(each.path, each.digest, b"x") for each in nodes.nodes))

    return bend


def certify(ahead: Lab, behind: Lab) -> Effects:
    """Tell `behind` of the checkpoint where `ahead` is."""
    status = ahead.replica.status()
    proof = behind.proof(status.state_digest_at, status.state_digest, (0, 1, 3))
    return behind.feed(StableProof(proof))


def transfer(ahead: Lab, behind: Lab, bend: Bend = truly, rounds: int = 40) -> list[object]:
    """Until `behind` has caught up, at most `rounds` status intervals; what happened there."""
    turns = [certify(ahead, behind)]
    events: list[object] = []
    for _ in range(rounds):
        turns.append(behind.idle(0.1))
        ahead.idle(0.1)
        while turns:
            effects = turns.pop()
            events += effects.events
            for send in effects.messages:
                turns += _carry(ahead, behind, send, bend)
        status = behind.replica.status()
        caught_up = status.executed >= ahead.replica.status().state_digest_at
        if caught_up and not status.transferring:
            break
    return events


def _carry(ahead: Lab, behind: Lab, send: Send, bend: Bend) -> list[Effects]:
    if not isinstance(send.message, FetchNodes):
        return []
    done = []
    for source in send.to:
        for nodes in of_type(ahead.feed(send.message, peer=behind.me), Nodes):
            given = bend(int(source), nodes) if isinstance(nodes, Nodes) else None
            if given is not None:
                done.append(behind.feed(given, peer=int(source)))
    return done


def asked(behind: Lab) -> list[bytes]:
    """The digest of every node that `behind` has asked for, in order."""
    fetches = (message for message in behind.sent if isinstance(message, FetchNodes))
    return [place.digest for fetch in fetches for place in fetch.places]
