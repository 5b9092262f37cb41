"""What a correct replica is told by another in its view, it keeps, and acts on in the same turn.

Messages come in any order, and what arrives early is worth as much (T7, T47): a vote, proposal,
decision or CHECKPOINT within reach is kept until its view or its number is over, whatever happens
meanwhile (T46, T51). Who has what it takes to commit, to execute or to propose does so at once, or
asks to be called again (T28, T49). Who says twice that it is behind is told all that it
lacks (T53). Retransmission heals what is dropped or put off, and so hides
it from all who look at the outcome.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from pbft.core.effects import Effects, EnteredView, Installed, Send, ViewChangeStarted
from pbft.core.ids import Packet, Principal, ReplicaId, SequenceNumber, View
from pbft.core.messages import (
    Checkpoint,
    Commit,
    Decision,
    Prepare,
    PrePrepare,
    Proposal,
    StableProof,
    Status,
)
from pbft.core.state.log import Slot
from pbft.core.state.replica_state import ReplicaState
from pbft.core.wire import decode_signed, encode_link
from pbft.testing.host import Host
from pbft.testing.inside import state_of
from pbft.testing.observers import Observer

if TYPE_CHECKING:
    from pbft.testing.simulator import Simulation

IN_VIEW = (Proposal, Prepare, Commit)


class Heard(Struct, frozen=True):
    """A statement of a correct replica."""

    kind: type
    view: View
    sequence: SequenceNumber
    sender: ReplicaId


class Place(Struct, frozen=True):
    """Where a replica was after its last turn: what it could take in."""

    life: int
    view: View
    active: bool
    low: SequenceNumber


class Attention(Observer):
    """Complains of what is forgotten, and of what is not done."""

    def __init__(self) -> None:
        self._said: dict[bytes, Heard | None] = {}
        self._fresh: defaultdict[tuple[ReplicaId, int], list[Heard]] = defaultdict(list)
        self._kept: defaultdict[ReplicaId, set[Heard]] = defaultdict(set)
        self._places: dict[ReplicaId, Place] = {}
        self._hosts: list[Host]

    def begin(self, simulation: "Simulation") -> None:
        self._hosts = simulation.hosts

    def posted(self, now: int, source: Principal, send: Send, arrivals: list[int]) -> None:
        if isinstance(source, int) and self._hosts[source].correct and send.data not in self._said:
            self._said[send.data] = _heard(source, send)

    def arrived(self, now: int, host: Host, packet: Packet) -> None:
        heard = self._said.get(packet.data)
        if heard is None or not host.correct:
            return
        if heard.kind is Status and isinstance(packet.peer, int):  # many say the same
            heard = Heard(Status, heard.view, 0, packet.peer)
        self._fresh[host.number, host.life].append(heard)

    def turned(self, now: int, host: Host, effects: Effects) -> None:
        number = host.number
        fresh = [] if host.inbox else self._fresh.pop((number, host.life), [])  # a timer was first
        state = state_of(host) if host.correct else None
        if state is None:
            return
        views, before = state.views, self._places.get(number)
        here = Place(host.life, views.view, views.active, state.log.low_watermark)
        self._places[number] = here
        if before is None or before.life != host.life:
            self._kept[number].clear()
            return
        kept = [each for each in fresh if _counts(state, each, before, here)]
        moved = any(isinstance(e, MOVES) for e in effects.events)
        known = self._kept[number]
        if moved:
            known = self._kept[number] = {e for e in known if _counts(state, e, before, here)}
        for each in [*kept, *(known if moved else ())]:
            if not _holds(state, each):
                self._forgotten(state, each)
        known.update(each for each in kept if each.kind is not Decision)
        for each in {heard.sender for heard in fresh if heard.kind is Status}:
            self._answered(state, each, effects)
        if host.replica.deadline != 0:
            self._act(state, {each.sequence for each in kept})

    def _forgotten(self, state: ReplicaState, heard: Heard) -> None:
        what = f"{heard.kind.__name__} of replica {heard.sender} for {heard.sequence}"
        self.complain(f"attention: replica {state.me} has not kept the {what}")

    def _act(self, state: ReplicaState, touched: set[SequenceNumber]) -> None:
        for sequence in touched:
            slot = state.log.slots.get(sequence)
            if slot is not None and _is_prepared(state, slot):
                self._idle(state, f"has prepared {sequence} and does not commit it")
        if _may_execute(state):
            self._idle(state, f"does not execute {state.executed + 1}, which is decided")
        if _may_propose(state):
            self._idle(state, f"has room for {state.log.next_sequence} and does not propose it")

    def _answered(self, state: ReplicaState, asks: ReplicaId, effects: Effects) -> None:
        """Unless its share of the interval is used up."""
        peer = state.peers.by_id[asks]
        if peer.status is None or not peer.stalled or peer.spent >= state.config.answer_max_bytes:
            return
        told = {send.data for send in effects.messages if asks in send.to}
        for what, data in _lacked(state, peer.status):
            if data not in told:
                text = f"does not tell replica {asks} the {what} that it lacks"
                self.complain(f"attention: replica {state.me} {text}")

    def _idle(self, state: ReplicaState, what: str) -> None:
        self.complain(f"attention: replica {state.me} {what}, and does not ask to be called again")


MOVES = (Installed, ViewChangeStarted, EnteredView)
"""After these, what was kept before is looked at again."""


def _heard(source: ReplicaId, send: Send) -> Heard | None:
    """What a message of a correct replica says itself; of a decision, whoever passes it on."""
    message = send.message
    if isinstance(message, Proposal | Decision):
        pp = decode_signed(message.pre_prepare)
        if isinstance(pp, PrePrepare):
            return Heard(type(message), pp.view, pp.sequence, source)
    if isinstance(message, Prepare | Commit) and message.replica == source:
        return Heard(type(message), message.view, message.sequence, source)
    if isinstance(message, Checkpoint) and message.replica == source:
        return Heard(Checkpoint, 0, message.sequence, source)
    if isinstance(message, Status):
        return Heard(Status, message.view, 0, source)
    return None


def _counts(state: ReplicaState, heard: Heard, before: Place, here: Place) -> bool:
    """Whether it was within reach all the time: of the view, in the window and as much beyond."""
    reach = before.low + 2 * state.config.window
    if not here.low < heard.sequence <= reach:
        return False
    if heard.kind not in IN_VIEW:
        return True
    same = heard.view == before.view == here.view
    return same and before.active and here.active


def _holds(state: ReplicaState, heard: Heard) -> bool:
    if heard.kind is Checkpoint:
        return heard.sender in state.checkpoints.votes.get(heard.sequence, {})
    slot = state.log.slots.get(heard.sequence)
    if slot is None:
        return False
    if heard.kind is Decision:
        return slot.decision is not None
    if heard.kind is Proposal:
        return slot.pre_prepare is not None
    if heard.kind is Prepare:
        return slot.committed or heard.sender in slot.prepares
    return slot.decision is not None or heard.sender in slot.commits


def _lacked(state: ReplicaState, status: Status) -> Iterator[tuple[str, bytes]]:
    """What a peer in that state lacks and this replica has: the proof of a checkpoint, its word
    and the new primary's about the view, decisions with their bodies, and votes (T12, T24, T53)."""
    stable, views, log = state.checkpoints.stable, state.views, state.log
    if status.low_watermark < stable.sequence:
        yield "proof of a checkpoint", encode_link(StableProof(stable.proof))
    if status.view < views.view or (status.view == views.view and not status.active):
        own = views.view_changes.get(state.me)
        if own is not None and own.signed.message.view >= status.view:
            yield "VIEW-CHANGE", own.signed.raw
        if views.accepted is not None:
            yield "NEW-VIEW", views.accepted.raw
    for sequence in range(max(status.executed, log.low_watermark) + 1, state.executed + 1):
        decision = log.slots[sequence].decision if sequence in log.slots else None
        body = log.bodies.get(decision.pre_prepare.message.digest) if decision else None
        if decision is not None and body is not None:
            said = Decision(decision.pre_prepare.raw, decision.commits, body.raw)
            yield "decision", encode_link(said)
    if views.active and status.view == views.view:
        yield from _votes(state, max(status.executed, state.executed, log.low_watermark))


def _votes(state: ReplicaState, after: SequenceNumber) -> Iterator[tuple[str, bytes]]:
    """What this replica has said in its view about numbers that are not decided (T12)."""
    for sequence, slot in state.log.slots.items():
        if not after < sequence <= state.log.low_watermark + state.config.window:
            continue
        pp = slot.pre_prepare
        body = None if pp is None else state.log.bodies.get(pp.message.digest)
        if state.is_primary and slot.voted and pp is not None and body is not None:
            yield "proposal", encode_link(Proposal(pp.raw, body.raw))
        for vote in (slot.prepares.get(state.me), slot.commits.get(state.me)):
            if vote is not None:
                yield "vote", vote.raw


def _is_prepared(state: ReplicaState, slot: Slot) -> bool:
    """prepared(m, v, n), and nothing has come of it (§4.2)."""
    pp = slot.pre_prepare
    if slot.committed or not slot.voted or pp is None:
        return False
    if not (state.voting and state.views.active) or pp.message.digest not in state.log.bodies:
        return False
    votes = [vote.message for vote in slot.prepares.values()]
    matching = {each.replica for each in votes if each.digest == pp.message.digest}
    primary = state.views.view % state.config.n
    return len(matching - {primary}) >= state.config.quorum - 1


def _may_execute(state: ReplicaState) -> bool:
    slot = state.log.slots.get(state.executed + 1)
    if slot is None or slot.decision is None:
        return False
    return slot.decision.pre_prepare.message.digest in state.log.bodies


def _may_propose(state: ReplicaState) -> bool:
    """As primary, with what is not greedy to propose, and with room for it (§4.2)."""
    log, config = state.log, state.config
    if not (state.voting and state.views.active and state.is_primary):
        return False
    under_way = log.next_sequence - 1 - max(state.executed, log.low_watermark)
    if under_way >= config.pipeline or log.next_sequence > log.low_watermark + config.window:
        return False
    return any(not state.requests.greedy(client) for client, _ in state.requests.unproposed)
