"""Who may vote in a new life: whoever remembers its votes, or has made good that it forgot (T35).

Every replica begins by asking the others what they hold of its votes. A vote that its records do
not hold betrays a lost or older disk, and the driver stops. Nobody can forge such a vote, and what
an intact disk has let go is covered (`Memory.remembers`): no lie makes a correct replica stop.

A replica that recovers is silent, CHECKPOINTs apart, until its own stable checkpoint has reached
H = the highest proven stable checkpoint of n - f others + 2L: all that it voted for lies below. It
takes up the highest VIEW-CHANGE of its own that it is shown, and so votes in no earlier view.
"""

from pbft.core.effects import Forgotten
from pbft.core.ids import Principal, ReplicaId, SequenceNumber
from pbft.core.messages import Status, sender
from pbft.core.protocol import checkpointing, execution, view_change
from pbft.core.records import Began, Recovering
from pbft.core.state.replica_state import ReplicaState
from pbft.core.turn import Turn
from pbft.core.verified import Testimony

PATIENCE_TICKS = 5
"""Status intervals that a replica without records waits for *all* others before q suffice."""
NULLS_PER_TICK = 32
"""Null batches proposed per status interval while a peer recovers and nothing else waits."""
GRANT_WINDOWS = 8
"""So many times L numbers at most are filled with nulls for one peer..."""
GRANT_TICKS = 600
"""... in so many status intervals: what a liar that always recovers can cost."""


# -- what others hold of us -------------------------------------------------------------------


def status(state: ReplicaState) -> Status:
    """Where we are, and whether we ask what is held of us."""
    views, recovery = state.views, state.recovery
    asks = not state.voting and len(recovery.answers) < len(state.others)
    low = state.log.low_watermark
    slow, recovers = state.pace.slow, recovery.recovering
    return Status(views.view, views.active, low, state.executed, asks, slow, recovers)


def ask_back(state: ReplicaState, turn: Turn, replica: ReplicaId) -> None:
    """Whoever speaks to us is up: ask it now, if it has not answered, not at the next interval."""
    recovery = state.recovery
    if not (state.voting or replica in recovery.answers or replica in recovery.asked):
        recovery.asked.add(replica)
        turn.send((replica,), status(state))


def on_witness(state: ReplicaState, turn: Turn, peer: Principal, testimony: Testimony) -> None:
    """A peer has shown what it holds of our votes; a forgotten one ends this life, unless it is
    known that we forgot."""
    recovery = state.recovery
    if not isinstance(peer, int):
        return
    for vote in testimony.votes:
        ours = sender(vote.message) == state.me and not recovery.recovering
        if ours and not recovery.memory.remembers(vote.message, vote.raw):
            turn.event(Forgotten(vote.raw))
            return
    change = testimony.view_change
    if recovery.recovering and change is not None and sender(change.signed.message) == state.me:
        view_change.take_up(state, turn, change)
    checkpointing.on_stable(state, turn, peer, testimony.stable)
    recovery.answers[peer] = testimony.stable.sequence


def begin(state: ReplicaState, turn: Turn) -> bool:
    """Give ourselves leave to vote: q replicas, we among them, hold nothing that we do not
    remember. Without records, rather all of them."""
    recovery, config = state.recovery, state.config
    if state.voting:
        return False
    if recovery.recovering:
        return _recover(state, turn)
    began = recovery.memory.began
    patient = not began and state.timers.fired.get("status", 0) < PATIENCE_TICKS
    if len(recovery.answers) + 1 < (config.n if patient else config.quorum):
        return False
    _vote(state)
    if not began:
        turn.record(Began())
    return True


def _recover(state: ReplicaState, turn: Turn) -> bool:
    recovery, config = state.recovery, state.config
    if not recovery.floor and len(recovery.answers) >= config.n - config.f:
        floor = max(recovery.answers.values()) + 2 * config.window
        recovery.floor = max(floor, recovery.memory.floor)
        turn.record(Recovering(recovery.floor))
        execution.withhold_reads(state, turn, recovery.floor)
    if not recovery.floor or state.checkpoints.stable.sequence < recovery.floor:
        return False
    recovery.recovering = False
    _vote(state)
    turn.record(Began(recovery.floor))
    if state.is_primary and not state.views.active:
        # The NEW-VIEW of this view may be among what we have forgotten: there is no second one.
        view_change.suspect(state, turn, "recovered in a view that we may have led before")
    return True


def _vote(state: ReplicaState) -> None:
    state.voting = True
    state.log.touched = dict.fromkeys(state.log.slots)


# -- what others need of us while they recover --------------------------------------------------


def tick(state: ReplicaState) -> None:
    """A new status interval: ask anew; decide for whom nulls are proposed, how far."""
    recovery, ticks = state.recovery, state.timers.fired.get("status", 0)
    recovery.asked = set()
    recovery.nulls = 0
    for replica, peer in state.peers.by_id.items():
        if peer.status is None or not peer.status.recovering:
            continue
        recovery.nulls = NULLS_PER_TICK
        granted = recovery.granted.get(replica)
        if granted is None or ticks - granted[1] >= GRANT_TICKS:
            limit = state.executed + GRANT_WINDOWS * state.config.window
            recovery.granted[replica] = (limit, ticks)


def nulls_are_owed(state: ReplicaState) -> bool:
    """Whether a correct primary would number a null now: while no half of a grant is used up, so
    that it does not matter when each replica first heard of the peer."""
    return state.executed < _reach(state, GRANT_WINDOWS * state.config.window // 2)


def null_is_due(state: ReplicaState) -> bool:
    """Whether the next number is to be filled with a null for a peer that waits for H; it is
    taken off the interval's share."""
    recovery = state.recovery
    if not recovery.nulls or state.log.next_sequence > _reach(state, 0):
        return False
    recovery.nulls -= 1
    return True


def _reach(state: ReplicaState, short: int) -> SequenceNumber:
    """How far numbers are filled for any peer that recovers: to its grant, or so much short of it.
    One that does not follow, since it is down, gets no more: what it is granted would be spent
    before it is back."""
    found = 0
    for replica, (limit, _) in state.recovery.granted.items():
        said = state.peers.by_id[replica].status
        if said is not None and said.recovering:
            found = max(found, min(limit - short, said.executed + state.config.window))
    return found
