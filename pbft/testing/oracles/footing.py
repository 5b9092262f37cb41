"""Where a replica stands, seen from inside: above its low watermark, in its view, and ever further.

A slot that is settled, a vote of a view that was left, a checkpoint that was passed over, a state
that was overtaken and put back: each is healed by what comes next, and so hides from all who look
at the outcome (T22, T29, T46, T51).
"""

from collections.abc import Iterator

from msgspec import Struct

from pbft.core.effects import Effects, EnteredView
from pbft.core.ids import ReplicaId, SequenceNumber
from pbft.core.state.log import Slot
from pbft.core.state.replica_state import ReplicaState
from pbft.testing.host import Host
from pbft.testing.inside import state_of
from pbft.testing.observers import Observer


class Stand(Struct, frozen=True):
    """How far a replica was after its last turn. Only one whose state is damaged may go back."""

    life: int
    executed: SequenceNumber
    diverged: bool


class Footing(Observer):
    """Complains of a log that holds what is over, and of an execution that goes back or passes a
    checkpoint over."""

    def __init__(self) -> None:
        self._stands: dict[ReplicaId, Stand] = {}

    def turned(self, now: int, host: Host, effects: Effects) -> None:
        state = state_of(host) if host.correct else None
        if state is None:
            return
        entered = any(isinstance(each, EnteredView) for each in effects.events)
        here = Stand(host.life, state.executed, state.checkpoints.diverged)
        before = self._stands.get(host.number, here)
        self._stands[host.number] = here
        for what in (
            *_settled(state),
            *(_of_other_views(state) if entered and state.views.active else ()),
            *(_passed_over(state) if host.replica.deadline != 0 else ()),
        ):
            self.complain(f"footing: replica {host.number} {what}")
        back = here.life == before.life and here.executed < before.executed
        if back and not before.diverged:
            text = f"went back from {before.executed} to {here.executed}"
            self.complain(f"footing: replica {host.number} {text}")


def _settled(state: ReplicaState) -> Iterator[str]:
    low = state.log.low_watermark
    for sequence in state.log.slots:
        if sequence <= low:
            yield f"keeps a slot for {sequence}, and {low} is stable"


def _of_other_views(state: ReplicaState) -> Iterator[str]:
    for slot in state.log.slots.values():
        for view in {*_views(slot)} - {state.views.view}:
            yield f"counts what was said in view {view} about {slot.sequence} in another"


def _views(slot: Slot) -> Iterator[int]:
    if slot.pre_prepare is not None:
        yield slot.pre_prepare.message.view
    yield from (vote.message.view for vote in slot.prepares.values())
    yield from (vote.message.view for vote in slot.commits.values())


def _passed_over(state: ReplicaState) -> Iterator[str]:
    """The last multiple of K that was executed has its snapshot, unless it is settled."""
    checkpoints = state.checkpoints
    last = state.executed - state.executed % state.config.checkpoint_interval
    settled = last <= checkpoints.stable.sequence or last in checkpoints.own
    if not (settled or checkpoints.diverged):
        yield f"has executed {state.executed} and took no checkpoint at {last}"
