"""View changes: suspect, join, lead, enter (OSDI'99 §4.4, §4.5.2; T13-T28).

Whoever suspects moves to the next view at once, inactive, and says so with all that it has
prepared. f+1 ahead of us pull us along; q for one view let its primary lead; a valid NEW-VIEW for
our view or a later one lets us enter.
"""

from pbft.core.effects import EnteredView, Evidence, ViewChangeStarted
from pbft.core.ids import Principal, View
from pbft.core.messages import NewView, PrePrepare, Signed, ViewChange
from pbft.core.protocol import checkpointing
from pbft.core.protocol.new_view import choose, refusal
from pbft.core.records import ViewChanged, ViewEntered
from pbft.core.state.replica_state import ReplicaState
from pbft.core.turn import Turn
from pbft.core.verified import PreparedProof, ProvenNewView, ProvenViewChange

# -- absorb ---------------------------------------------------------------------------------


def on_view_change(
    state: ReplicaState, turn: Turn, peer: Principal, view_change: ProvenViewChange
) -> None:
    """Keep the VIEW-CHANGE of each sender's highest view, the first of that view (FL5, EQ9)."""
    message = view_change.signed.message
    if message.replica == state.me:  # of a life that we have forgotten: `take_up` sees to it
        return
    known = state.views.view_changes.get(message.replica)
    if known is None or known.signed.message.view < message.view:
        state.views.view_changes[message.replica] = view_change
    elif known.signed.message.view == message.view and known.signed.raw != view_change.signed.raw:
        statements = (known.signed.raw, view_change.signed.raw)
        evidence = Evidence("conflicting view changes", message.replica, statements)
        if state.keep_evidence(evidence):
            turn.blame(evidence)


def on_new_view(state: ReplicaState, turn: Turn, peer: Principal, new_view: ProvenNewView) -> None:
    """Keep a NEW-VIEW until the rule `enter` judges it; the first per view (T26)."""
    message = new_view.signed.message
    known = state.views.pending.get(message.replica)
    if known is None or known.signed.message.view < message.view:
        state.views.pending[message.replica] = new_view


# -- act --------------------------------------------------------------------------------------


def suspect(state: ReplicaState, turn: Turn, reason: str) -> None:
    """Give up on the primary of the current view (§4.4)."""
    if state.voting:
        _start(state, turn, state.views.view + 1, reason)


def join(state: ReplicaState, turn: Turn) -> bool:
    """f+1 others are ahead: at least one correct replica is. Go to the largest view that f+1 of
    them have reached, not to the largest named (§4.5.2; T23)."""
    if not state.voting:
        return False
    ahead = sorted(
        (vc.signed.message.view for r, vc in state.views.view_changes.items() if r != state.me),
        reverse=True,
    )
    reached = ahead[state.config.f] if len(ahead) > state.config.f else 0
    if reached <= state.views.view:
        return False
    _start(state, turn, reached, "f+1 replicas are ahead")
    return True


def _start(state: ReplicaState, turn: Turn, view: View, reason: str) -> None:
    """Move to `view`, inactive, and say what we have prepared (§4.4; T14, T22, T33)."""
    views, config = state.views, state.config
    views.view = view
    views.active = False
    views.accepted = None
    stable = state.checkpoints.stable
    prepared: dict[int, PreparedProof] = {
        sequence: slot.prepared
        for sequence, slot in sorted(state.log.slots.items())
        if slot.prepared is not None
        and stable.sequence < sequence <= stable.sequence + config.window
    }
    certificates = tuple(proof.certificate for proof in prepared.values())
    message = ViewChange(view, stable.sequence, stable.proof, certificates, state.me)
    signed = state.authentication.sign(message)
    views.view_changes[state.me] = ProvenViewChange(signed, stable, prepared)
    turn.record(ViewChanged(signed.raw))
    turn.broadcast(signed)
    turn.event(ViewChangeStarted(view, reason))


def take_up(state: ReplicaState, turn: Turn, own: ProvenViewChange) -> None:
    """While recovering: a VIEW-CHANGE that we signed and forgot stands. We are in its view, or a
    later one, and vote in none before it (T33, T35)."""
    views, view = state.views, own.signed.message.view
    known = views.view_changes.get(state.me)
    if known is not None and known.signed.message.view >= view:
        return
    views.view_changes[state.me] = own
    turn.record(ViewChanged(own.signed.raw))
    if view > views.view:
        views.view, views.active, views.accepted = view, False, None
        turn.event(ViewChangeStarted(view, "we moved there in a life that is forgotten"))


def lead(state: ReplicaState, turn: Turn) -> bool:
    """As primary of the view we moved to, with q view changes to exactly it, ours included: send
    NEW-VIEW, and enter by the same rule as everybody (§4.4). Over more it may not be a message."""
    views, q = state.views, state.config.quorum
    leads = state.voting and state.is_primary and not views.active
    if not leads or state.me not in views.view_changes:
        return False
    pending = views.pending.get(state.me)
    if pending is not None and pending.signed.message.view >= views.view:
        return False
    supporters = views.supporters(views.view)
    if len(supporters) < q:
        return False
    chosen = sorted(supporters, key=lambda vc: vc is not views.view_changes[state.me])[:q]
    pre_prepares = tuple(
        state.authentication.sign(PrePrepare(views.view, sequence, digest, state.me))
        for sequence, digest in choose(chosen).digests.items()
    )
    raws = tuple(vc.signed.raw for vc in chosen)
    message = NewView(views.view, raws, tuple(pp.raw for pp in pre_prepares), state.me)
    signed = state.authentication.sign(message)
    views.led = views.view
    views.pending[state.me] = ProvenNewView(signed, tuple(chosen), pre_prepares)
    turn.record(ViewEntered(signed.raw))
    turn.broadcast(signed)
    return True


def enter(state: ReplicaState, turn: Turn) -> bool:
    """Accept a valid NEW-VIEW for our view or a later one, at most one per view (T17, T26)."""
    views = state.views
    if not views.pending:
        return False
    best = max(views.pending.values(), key=lambda nv: nv.signed.message.view)
    message = best.signed.message
    if message.view < views.view or (message.view == views.view and views.active):
        views.pending = {}
        return True
    reason = refusal(best)
    if reason is not None:
        del views.pending[message.replica]
        state.drops[reason] += 1
        evidence = Evidence("invalid new view", message.replica, (best.signed.raw,))
        if state.keep_evidence(evidence):
            turn.blame(evidence)
        return True
    views.pending = {}
    for view_change in best.view_changes:  # another of one sender than we have heard convicts it
        on_view_change(state, turn, message.replica, view_change)
    if message.replica != state.me or message.view != views.led:
        turn.record(ViewEntered(best.signed.raw))
    stand_in(state, best)
    checkpointing.on_stable(state, turn, message.replica, choose(best.view_changes).stable)
    turn.event(EnteredView(message.view))
    return True


def stand_in(state: ReplicaState, new_view: ProvenNewView) -> None:
    """Stand in the view of an accepted NEW-VIEW: its number, its O, the next number (T21)."""
    views, choice = state.views, choose(new_view.view_changes)
    views.view = new_view.signed.message.view
    views.active = True
    views.accepted = new_view.signed
    views.awaited = state.requests.oldest()
    views.entered_at = state.sessions.time
    for view_change in new_view.view_changes:
        sender = view_change.signed.message.replica
        known = views.view_changes.get(sender)
        if known is None or known.signed.message.view < views.view:
            views.view_changes[sender] = view_change
    state.log.start_view(views.view, state.log.low_watermark + 2 * state.config.window)
    state.log.next_sequence = max(choice.highest, state.log.low_watermark) + 1
    state.requests.start_view()
    for pre_prepare in new_view.pre_prepares:
        _accept(state, pre_prepare)


def _accept(state: ReplicaState, pre_prepare: Signed[PrePrepare]) -> None:
    """Log a PRE-PREPARE of O as if received; judged by the NEW-VIEW, not by clocks (T44, T48)."""
    sequence = pre_prepare.message.sequence
    if sequence <= state.log.low_watermark:
        return
    slot = state.log.slot(sequence)
    slot.pre_prepare = pre_prepare
    state.log.touched[sequence] = None
    body = state.log.bodies.get(pre_prepare.message.digest)
    if body is not None:
        state.log.keep_body(body, sequence)


def progress(state: ReplicaState, turn: Turn) -> bool:
    """The back-off ends when what we waited for at the view's start has executed (T25). If its
    client has turned greedy since, nobody is blamed for it, and it is no progress either."""
    views, requests = state.views, state.requests
    waits = views.awaited if views.awaited in requests.waiting else None
    if waits is not None and not requests.greedy(waits[0]):
        return False
    if views.active and views.progressed < views.view:
        executed = state.sessions.time > views.entered_at
        if views.awaited != waits or executed:
            views.progressed = views.view
    views.awaited = None
    return False
