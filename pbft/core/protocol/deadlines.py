"""Which timers should run, as a function of the state, and what happens when one fires.

| key | waits for | delay |
|---|---|---|
| status, times fired | the next status | the status interval |
| request, view, oldest | the oldest waiting request, in an active view (T37) | T * 2^k |
| due, view, first | what has been due longest (`performance`), behind others too | 2T * 2^k + T/4 |
| recovering, view | a primary that says that it recovers, and so proposes nothing (T35) | T * 2^k |
| nulls, view, executed | a number, where nothing waits but a peer that recovers (T35) | 4T * 2^k |
| apart, view | a peer that left this view, alone: nobody else may ever follow it | its own |
| together, times | nobody being apart, for as long as one would be waited for now | the same |
| new view, view | a NEW-VIEW and then the awaited request, once q move (T24) | T * 2^k |
| fetch, times fired | bodies that we lack (T20) | a fourth of the status interval |
| lag, executed | decisions up to a certified checkpoint, before its snapshot | 2 intervals |
| crawl, executed / K | the same, where they come one by one | 10 intervals |
| transfer, times fired | nodes that were asked for | the status interval |
"""

from pbft.core.protocol import (
    performance,
    recovery,
    retransmission,
    state_transfer,
    view_change,
)
from pbft.core.state.replica_state import ReplicaState
from pbft.core.state.timers import TimerKey
from pbft.core.turn import Turn

LAG_INTERVALS = 2
CRAWL_INTERVALS = 10
PATIENCE = 2
"""In timeouts: a request that was due is waited for at most so long, also behind older ones."""
NULLS_PATIENCE = 4
"""In timeouts, for numbers that only a peer needs that recovers."""
APART_DOUBLINGS = 6
"""A peer alone in a later view is joined there after the longest timeout, then twice that, and so
on: it may be correct and lost for this view (T27), or lie to have the primary replaced for ever.
After as long without one it is half of that again: no bad hour is held against the next (T25)."""


def settle(state: ReplicaState, turn: Turn) -> None:
    """Bring the timer table in line with the state."""
    state.timers.settle(_wanted(state, turn.now.monotonic), turn.now.monotonic)


def _wanted(state: ReplicaState, now: int) -> dict[TimerKey, int]:
    fired, interval = state.timers.fired, state.config.status_interval_ns
    ticks = fired.get("status", 0)
    wanted: dict[TimerKey, int] = {("status", ticks): interval if ticks else 0}
    wanted.update(_suspicion(state, now))
    if state.log.missing:
        wanted["fetch", fired.get("fetch", 0)] = interval // retransmission.FETCH_STEPS
    if state.transfer.target is not None:
        wanted["transfer", fired.get("transfer", 0)] = interval
    elif state_transfer.behind(state):
        wanted["lag", state.executed] = LAG_INTERVALS * interval
        stage = state.executed // state.config.checkpoint_interval
        wanted["crawl", stage] = CRAWL_INTERVALS * interval
    return wanted


def _suspicion(state: ReplicaState, now: int) -> dict[TimerKey, int]:
    """At most one timer runs against the primary for a request or a view (§4.5.2). None while a
    transfer runs: what we wait for may be in it."""
    views, config = state.views, state.config
    delay = config.timeout(views.backoff)
    if views.active and state.transfer.target is not None:
        return {}
    awaiting = views.awaited is not None and views.view > views.progressed
    if not views.active or awaiting:
        if views.moving(views.view) >= config.quorum:
            return {("new view", views.view): delay}
        return {}
    if not state.voting:
        return {}
    wanted: dict[TimerKey, int] = {}
    oldest = state.requests.oldest()
    if oldest is not None:
        wanted["request", views.view, oldest] = delay
    primary = state.peers.get(config.primary(views.view))
    if primary is not None and primary.status is not None and primary.status.recovering:
        wanted["recovering", views.view] = delay
    if oldest is None and not state.is_primary and recovery.nulls_are_owed(state):
        wanted["nulls", views.view, state.executed] = NULLS_PATIENCE * delay
    requests = state.requests
    due = next((each for each in requests.due.items() if not requests.greedy(each[0][0])), None)
    if due is not None:
        patience = PATIENCE * delay + performance.expected(state)
        wanted["due", views.view, due[0]] = due[1] + patience - now
    doublings = min(state.timers.fired.get("apart", 0), APART_DOUBLINGS)
    if views.moving(views.view + 1):
        wanted["apart", views.view] = config.timeout_max_ns << doublings
    elif doublings:
        wanted["together", doublings] = config.timeout_max_ns << doublings
    return wanted


def fire(state: ReplicaState, turn: Turn, key: TimerKey) -> None:
    """What each timer stands for."""
    match key[0]:
        case "status":
            performance.tick(state, turn)
            retransmission.tick(state, turn)
        case "fetch":
            retransmission.fetch(state, turn)
        case "request" | "due" | "recovering" | "nulls" | "apart" if not state.views.active:
            pass  # another of them fired before, in this turn
        case "request":
            view_change.suspect(state, turn, "the oldest waiting request timed out")
        case "due":
            view_change.suspect(state, turn, "a request that was due timed out behind others")
        case "recovering":
            view_change.suspect(state, turn, "the primary recovers")
        case "nulls":
            view_change.suspect(state, turn, "the primary lets a peer wait that recovers")
        case "apart":
            view_change.suspect(state, turn, "a replica has been alone in a later view")
        case "together":
            doublings = min(state.timers.fired.get("apart", 0), APART_DOUBLINGS)
            state.timers.fired["apart"] = max(doublings - 1, 0)
        case "new view":
            view_change.suspect(state, turn, "no new view, or no progress in it, in time")
        case "lag" | "crawl":
            state_transfer.start(state, turn)
        case "transfer":
            state_transfer.tick(state, turn)
