"""Who handles which message, and what is not even worth verifying (AU8, FL5).

`refusal` answers from the plain fields of a message, before any signature is checked. What is of a
view that was left ends here (RP4); of all else it saves time and decides nothing: every handler
judges again.
"""

from collections.abc import Callable
from typing import Any

from pbft.core.ids import Principal
from pbft.core.messages import (
    AnyMessage,
    Attest,
    Checkpoint,
    Commit,
    Decision,
    FetchBatch,
    FetchNodes,
    NewView,
    Nodes,
    Prepare,
    PrePrepare,
    Proposal,
    Read,
    Request,
    StableProof,
    Status,
    ViewChange,
    Witness,
)
from pbft.core.messages import BatchBody as BatchBodyMessage
from pbft.core.protocol import (
    checkpointing,
    execution,
    ordering,
    recovery,
    retransmission,
    state_transfer,
    view_change,
)
from pbft.core.state.replica_state import ReplicaState
from pbft.core.turn import Turn
from pbft.core.verified import ProvenNewView, ProvenViewChange
from pbft.core.wire import decode_signed, decode_ticket

WORK = (Request, Read, Proposal, Prepare, Commit, Decision, BatchBodyMessage, Nodes)
"""What there may be much of. The rest is talk, of which a correct peer makes little."""

Handler = Callable[[ReplicaState, Turn, Principal, Any], None]

HANDLERS: dict[type, Handler] = {
    Request: ordering.on_request,
    Read: execution.on_read,
    Attest: execution.on_attest,
    Proposal: ordering.on_proposal,
    Prepare: ordering.on_prepare,
    Commit: ordering.on_commit,
    Decision: ordering.on_decided,
    BatchBodyMessage: ordering.on_body,
    Checkpoint: checkpointing.on_checkpoint,
    StableProof: checkpointing.on_stable,
    ViewChange: view_change.on_view_change,
    NewView: view_change.on_new_view,
    Status: retransmission.on_status,
    Witness: recovery.on_witness,
    FetchBatch: retransmission.on_fetch_batch,
    FetchNodes: state_transfer.on_fetch_nodes,
    Nodes: state_transfer.on_nodes,
}


def refusal(state: ReplicaState, peer: Principal, message: AnyMessage) -> str | None:
    """Why `message` is dropped unverified, or none. Raises `DecodeError` on malformed insides."""
    if type(message) not in HANDLERS:
        return "not for a replica"
    if not isinstance(peer, int) and not isinstance(message, Request | Read | Attest):
        return "clients send requests only"
    judge = JUDGES.get(type(message))
    return None if judge is None else judge(state, peer, message)


def of_use(state: ReplicaState, message: AnyMessage | None) -> bool:
    """Whether a message that was taken in costs its sender nothing: work, and of talk what a view
    change needs, and CHECKPOINTs, the first from each sender. With a hundred replicas those are
    dear, and the first comes before we have moved ourselves."""
    match message:
        case ViewChange(view=view, replica=sender):
            known = state.views.view_changes.get(sender)
            near = state.views.view <= view <= state.views.view + 1
            return near and known is not None and _is(known, message)
        case NewView(replica=sender):
            pending = state.views.pending.get(sender)
            return pending is not None and _is(pending, message)
        case Checkpoint(sequence=sequence, replica=sender) if not _far(state, sequence):
            vote = state.checkpoints.votes.get(sequence, {}).get(sender)
            return vote is not None and vote.message is message
    return isinstance(message, WORK)


def _is(known: ProvenViewChange | ProvenNewView, message: AnyMessage) -> bool:
    return known.signed.message is message


def _old(old: bool) -> str | None:
    return "old or settled" if old else None


def _request(state: ReplicaState, peer: Principal, message: Request) -> str | None:
    if not isinstance(peer, int) and peer != message.client:
        return "request of another client"
    if isinstance(peer, int) and state.log.missing:
        return None  # it may be what a batch names, whatever waits under its timestamp
    key = (message.client, message.timestamp)
    full = len(state.requests.by_client.get(key[0], ())) >= state.config.client_window
    if full and key not in state.requests.waiting and state.sessions.answer(key) is None:
        return "client has too many requests waiting"
    forwarded = isinstance(peer, int) and message.timestamp <= state.sessions.floor(key[0])
    return _old(forwarded or key in state.requests.waiting)


def _read(state: ReplicaState, peer: Principal, message: Read) -> str | None:
    if not state.config.fast_reads and not message.stale:
        return "read without fast reads"
    if isinstance(peer, int):
        return "read of no client"
    ticket = decode_ticket(message.ticket)
    if ("/" in peer) if ticket is None else ticket.client != peer:
        return "read of another client"
    most = state.config.request_max_operations
    return "read with too many operations" if len(message.operations) > most else None


def _attest(state: ReplicaState, peer: Principal, message: Attest) -> str | None:
    key = (str(peer), message.timestamp)
    return None if state.sessions.answer(key) else "receipt of nothing that has executed"


def _place(state: ReplicaState, view: int, sequence: int) -> str | None:
    """Why nothing is kept of this view and number, or none: a laggard hears much that is beyond
    it (T47), and has no time to verify it."""
    if view < state.views.view or sequence <= state.log.low_watermark:
        return "old or settled"
    here = view == state.views.view and state.views.active
    return "outside the window" if here and _far(state, sequence) else None


def _far(state: ReplicaState, sequence: int) -> bool:
    return sequence > state.log.low_watermark + 2 * state.config.window


def _vote(state: ReplicaState, peer: Principal, message: Prepare | Commit) -> str | None:
    """Surplus votes for what is settled cost nothing: most of the traffic at n = 4. While a view
    change is under way the slots still hold the votes of the view before."""
    place = _place(state, message.view, message.sequence)
    if place is not None:
        return place
    slot = state.log.slots.get(message.sequence)
    if slot is None or message.view != state.views.view or not state.views.active:
        return None
    votes = slot.prepares if isinstance(message, Prepare) else slot.commits
    known = votes.get(message.replica)
    if known is not None:
        return _old(known.message.digest == message.digest)
    settled = slot.committed if isinstance(message, Prepare) else slot.decision is not None
    agrees = slot.pre_prepare is not None and slot.pre_prepare.message.digest == message.digest
    return _old(settled and agrees)


def _proposal(state: ReplicaState, peer: Principal, message: Proposal) -> str | None:
    pp = decode_signed(message.pre_prepare)
    if not isinstance(pp, PrePrepare):
        return "inner message of another type"
    place = _place(state, pp.view, pp.sequence)
    if place is not None:
        return place
    slot = state.log.slots.get(pp.sequence)
    if slot is None or slot.pre_prepare is None or pp.view != state.views.view:
        return None
    same = slot.pre_prepare.message.digest == pp.digest
    return _old(same and pp.digest in state.log.bodies)


def _decision(state: ReplicaState, peer: Principal, message: Decision) -> str | None:
    pp = decode_signed(message.pre_prepare)
    if not isinstance(pp, PrePrepare):
        return "inner message of another type"
    slot = state.log.slots.get(pp.sequence)
    if _far(state, pp.sequence):
        return "outside the window"
    known = slot is not None and slot.decision is not None and pp.digest in state.log.bodies
    return _old(pp.sequence <= state.log.low_watermark or known)


def _view_change(state: ReplicaState, peer: Principal, message: ViewChange) -> str | None:
    known = state.views.view_changes.get(message.replica)
    if known is not None and known.signed.message.view > message.view:
        return "old or settled"
    return _old(message.view < state.views.view)


def _checkpoint(state: ReplicaState, peer: Principal, message: Checkpoint) -> str | None:
    return _old(message.sequence <= state.log.low_watermark)


def _new_view(state: ReplicaState, peer: Principal, message: NewView) -> str | None:
    views = state.views
    return _old(message.view < views.view or (message.view == views.view and views.active))


def _stable(state: ReplicaState, peer: Principal, message: StableProof) -> str | None:
    return None if message.checkpoints else "empty proof"


def _witness(state: ReplicaState, peer: Principal, message: Witness) -> str | None:
    asked = not state.voting and peer not in state.recovery.answers
    return None if asked else "witness that was not asked for"


JUDGES: dict[type, Callable[[ReplicaState, Principal, Any], str | None]] = {
    Request: _request,
    Read: _read,
    Attest: _attest,
    Prepare: _vote,
    Commit: _vote,
    Proposal: _proposal,
    Decision: _decision,
    Checkpoint: _checkpoint,
    ViewChange: _view_change,
    NewView: _new_view,
    StableProof: _stable,
    Witness: _witness,
}
