"""What we hold of each other replica's votes, to be shown to it: who forgot a vote that it cast
could contradict itself (T35). Of what it said itself, and of what is in our log and proofs.
"""

from collections.abc import Iterator

from pbft.core.ids import Principal, ReplicaId
from pbft.core.messages import AnyMessage, Proposal, Signable, ViewChange, Witness, sender
from pbft.core.sizes import view_change_bytes
from pbft.core.state.log import Slot
from pbft.core.state.peers import Peer
from pbft.core.state.replica_state import ReplicaState
from pbft.core.turn import Turn
from pbft.core.wire import decode_signed

SHOWN_PER_TICK = 4
"""How often a peer is shown its votes in one status interval."""


def note(state: ReplicaState, peer: Principal, message: AnyMessage, raw: bytes) -> None:
    """Keep what a replica says in its own name. The link vouches that it said it; verified or
    not, it will only ever be shown to itself. Raises `DecodeError`."""
    known = state.peers.get(peer)
    if known is None or (isinstance(message, ViewChange) and _is_padded(state, raw)):
        return
    if isinstance(message, Proposal):
        raw = message.pre_prepare
        message = decode_signed(raw)
    if isinstance(message, Signable) and sender(message) == peer:
        known.votes.add(message, raw)


def _is_padded(state: ReplicaState, view_change: bytes) -> bool:
    """Larger than any that counts: whoever signed it would have us send it back many times."""
    return len(view_change) > view_change_bytes(state.config.n, state.config.window)


def show(state: ReplicaState, turn: Turn, replica: ReplicaId, peer: Peer) -> None:
    """Answer a replica that asks what we hold of its votes, in whatever mode we are."""
    if peer.shown >= SHOWN_PER_TICK or peer.spent >= state.config.answer_max_bytes:
        return
    peer.shown += 1
    for raw in _held(state, replica) if peer.shown == 1 else ():  # it costs what the log holds
        vote = decode_signed(raw)
        if sender(vote) == replica:
            peer.votes.add(vote, raw)
    shown = Witness(peer.votes.all(), state.checkpoints.stable.proof)
    peer.spent += sum(map(len, shown.votes))
    turn.send((replica,), shown)


def _held(state: ReplicaState, replica: ReplicaId) -> Iterator[bytes]:
    """What may be signed by `replica` in our log, certificates and proofs."""
    yield from state.checkpoints.stable.proof
    view_change = state.views.view_changes.get(replica)
    if view_change is not None:
        yield view_change.signed.raw
    for slot in state.log.slots.values():
        yield from _in_slot(slot, replica)


def _in_slot(slot: Slot, replica: ReplicaId) -> Iterator[bytes]:
    for votes in (slot.prepares, slot.commits):
        if replica in votes:
            yield votes[replica].raw
    if slot.pre_prepare is not None:
        yield slot.pre_prepare.raw
    if slot.prepared is not None:
        yield from (slot.prepared.certificate.pre_prepare, *slot.prepared.certificate.prepares)
    if slot.decision is not None:
        yield from (slot.decision.pre_prepare.raw, *slot.decision.commits)
