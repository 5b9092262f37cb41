"""Why, and when, correct replicas leave a view: a second reading of §4.5.2 (T23, T24, T25, T37).

A view is left for a later one that f+1 others have reached; or after a wait which is doubled for
each view that gave nothing, once a quorum has come along; and what a replica waits for has its
timer, whatever else makes progress; and nobody blames a primary for a request that it has not
passed on to it (T38). That a cluster gets over a mistake in this is no excuse.
"""

from dataclasses import dataclass

from pbft.core.effects import Effects, EnteredView, Executed, Installed, Send, ViewChangeStarted
from pbft.core.ids import Principal, ReplicaId, View
from pbft.core.messages import Request
from pbft.core.state.replica_state import ReplicaState
from pbft.testing.host import Host
from pbft.testing.inside import state_of
from pbft.testing.observers import Observer

JOINED = "f+1 replicas are ahead"
WAITED = "no new view, or no progress in it, in time"
TIMED_OUT = "the oldest waiting request timed out"


@dataclass(slots=True)
class Wait:
    """Of one replica in one life. `failed`: views left in a row, nothing executed in between;
    `since`: when it came to its view; `awaits`: what it must not wait for beyond `until`."""

    life: int
    view: View
    since: int
    failed: int = 0
    awaits: tuple[object, ...] | None = None
    until: int = 0


class Suspicion(Observer):
    """Complains of a view that is left too early, or too late."""

    def __init__(self) -> None:
        self._waits: dict[ReplicaId, Wait] = {}
        self._told: set[tuple[object, ...]] = set()
        """(who, whom, and the request: client and timestamp)."""

    def posted(self, now: int, source: Principal, send: Send, arrivals: list[int]) -> None:
        if isinstance(send.message, Request):
            self._told.add((source, send.to[0], send.message.client, send.message.timestamp))

    def turned(self, now: int, host: Host, effects: Effects) -> None:
        state = state_of(host) if host.correct else None
        if state is None:
            return
        wait = self._waits.get(host.number)
        if wait is None or wait.life != host.life:
            wait = self._waits[host.number] = Wait(host.life, state.views.view, now)
        for event in effects.events:
            match event:
                case ViewChangeStarted(view, reason):
                    self._left(now, state, wait, view, reason)
                case EnteredView(view) if view > wait.view:
                    wait.view, wait.since = view, now
                case Executed() | Installed():
                    wait.failed = 0
        self._patient(now, state, wait)

    def _left(self, now: int, state: ReplicaState, wait: Wait, view: View, reason: str) -> None:
        who = f"suspicion: replica {state.me} left view {wait.view} for {view}"
        if reason == JOINED and len(_reached(state, view)) <= state.config.f:
            self.complain(f"{who}, which fewer than f+1 others have reached")
        if reason == WAITED:
            if len(_reached(state, wait.view)) + 1 < state.config.quorum:
                self.complain(f"{who}, and no quorum had come along")
            due = wait.since + _doubled(state, wait.failed)
            if now < due:
                self.complain(f"{who}, {due - now} ns too early")
        told = (state.me, wait.view % state.config.n, *(state.requests.oldest() or ()))
        if reason == TIMED_OUT and told[1] != state.me and told not in self._told:
            self.complain(f"{who}, for a request that it has not passed on")
        wait.view, wait.since, wait.failed = view, now, wait.failed + 1

    def _patient(self, now: int, state: ReplicaState, wait: Wait) -> None:
        awaited = _awaited(state)
        if awaited is None or awaited != wait.awaits:
            wait.awaits = awaited
            wait.until = now + _doubled(state, state.views.view - state.views.progressed)
        elif now > wait.until:
            text = f"replica {state.me} still waits for {awaited}, {now - wait.until} ns too long"
            self.complain(f"suspicion: {text}")


def _reached(state: ReplicaState, view: View) -> set[ReplicaId]:
    """Who else has moved to `view`, or beyond, as far as this replica knows."""
    changes = [each.signed.message for each in state.views.view_changes.values()]
    return {each.replica for each in changes if each.view >= view and each.replica != state.me}


def _doubled(state: ReplicaState, times: int) -> int:
    """T, doubled so often, capped (§4.5.2)."""
    config = state.config
    return min(config.request_timeout_ns << min(times, 32), config.timeout_max_ns)


def _awaited(state: ReplicaState) -> tuple[object, ...] | None:
    """What the primary of this view, or of the next one, has to give; none where nothing is due
    of it, where what is due may be in a state that is fetched, or without leave to move."""
    views = state.views
    if not state.voting:
        return None
    pending = views.awaited is not None and views.view > views.progressed
    if views.active and state.transfer.target is not None:
        return None
    if pending or not views.active:
        gathered = len(_reached(state, views.view)) + 1 >= state.config.quorum
        return ("the new view", views.view) if gathered else None
    oldest = state.requests.oldest()
    return None if oldest is None else ("the request", views.view, oldest)
