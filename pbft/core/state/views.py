"""The view, and the messages about the next ones (OSDI'99 §4.4).

`view` only rises. `active` is false from sending VIEW-CHANGE(view) until NEW-VIEW(view) is
accepted. One VIEW-CHANGE per sender is kept, that of its highest view (FL5).
"""

from dataclasses import dataclass, field

from pbft.core.ids import ReplicaId, RequestKey, View
from pbft.core.messages import NewView, Signed
from pbft.core.verified import ProvenNewView, ProvenViewChange


@dataclass(slots=True)
class Views:
    view: View = 0
    active: bool = True
    view_changes: dict[ReplicaId, ProvenViewChange] = field(default_factory=dict)
    pending: dict[ReplicaId, ProvenNewView] = field(default_factory=dict)
    """NEW-VIEWs not yet judged, one per signer."""
    accepted: Signed[NewView] | None = None
    """The NEW-VIEW of the current view; none in view 0 and while inactive."""
    led: View = 0
    """The view whose NEW-VIEW we have made and recorded in this life. Another one of ours comes
    from a life that is forgotten, and has to be recorded like anybody's (T34, T35)."""
    progressed: View = 0
    """The last view in which a new request executed: the back-off counts from it (T25)."""
    awaited: RequestKey | None = None
    """The oldest waiting request when this view began: until it executes, the timer that the view
    change started keeps running (§4.5.2)."""
    entered_at: int = 0
    """The agreed time when this view was entered: later execution is progress."""

    @property
    def backoff(self) -> int:
        """k in T * 2^k."""
        return self.view - self.progressed

    def supporters(self, view: View) -> list[ProvenViewChange]:
        """View changes to exactly `view`."""
        return [v for v in self.view_changes.values() if v.signed.message.view == view]

    def moving(self, view: View) -> int:
        """How many distinct senders have a view change to `view` or later (T24)."""
        return sum(v.signed.message.view >= view for v in self.view_changes.values())
