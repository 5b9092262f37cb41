"""What a correct replica holds of others is proven, and in the one encoding (T4, T8, T15, T18).

A message that proves nothing is dropped whole. Where it is kept, it mostly does no harm yet: so the
replica is looked into after each turn, with the checks of the second reading (`new_view_oracle`).
"""

from collections import Counter
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from pbft.core.effects import Effects, EnteredView, Send
from pbft.core.errors import DecodeError
from pbft.core.ids import Packet, Principal, ReplicaId, SequenceNumber
from pbft.core.messages import Checkpoint, Node, Nodes, PrePrepare, Proposal, Signable
from pbft.core.state.replica_state import ReplicaState
from pbft.core.verified import StableCheckpoint
from pbft.core.wire import batch_digest, decode_signed, split_signed
from pbft.crypto.trie import branch_digest, leaf_digest
from pbft.testing.host import Host
from pbft.testing.inside import state_of
from pbft.testing.new_view_oracle import NewViewOracle
from pbft.testing.observers import Observer

if TYPE_CHECKING:
    from pbft.testing.simulator import Simulation

UNREAD = "too much of no use in one turn"


class Bodiless(Struct, frozen=True):
    """A pre-prepare that came with another body than it names."""

    sequence: SequenceNumber
    raw: bytes
    digest: bytes


class Fed(Struct, frozen=True):
    """A node of the state that is not what was asked for came from `peer`, for that target."""

    peer: ReplicaId
    target: StableCheckpoint


class Holdings(Observer):
    """Complains of what is kept and should not be, of an agreed time that is to come, and of
    sources that lie and are asked on (ST1)."""

    def __init__(self) -> None:
        self._judged: set[bytes] = set()
        self._certified: dict[ReplicaId, bytes] = {}
        self._lies: dict[bytes, Bodiless | None] = {}
        self._came: dict[ReplicaId, list[Bodiless | Fed]] = {}
        self._nodes: dict[bytes, list[Node]] = {}
        self._garbled: set[bytes] = set()
        self._counts: Counter[ReplicaId] = Counter()
        self._drops: dict[ReplicaId, tuple[int, int, int]] = {}
        self._simulation: Simulation
        self._oracle: NewViewOracle

    def begin(self, simulation: "Simulation") -> None:
        self._simulation = simulation
        self._oracle = NewViewOracle(simulation.plan.config, simulation.checkers.judge)

    def posted(self, now: int, source: Principal, send: Send, arrivals: list[int]) -> None:
        hosts = self._simulation.hosts
        if isinstance(source, int) and not hosts[source].correct and send.data not in self._lies:
            self._lies[send.data] = _bodiless(send.data, send.message)
            if _garbled(send.data):
                self._garbled.add(send.data)
            if isinstance(send.message, Nodes):
                self._nodes[send.data] = list(filter(_is_wrong, send.message.nodes))

    def arrived(self, now: int, host: Host, packet: Packet) -> None:
        if packet.data not in self._lies or not host.correct:
            return
        self._counts[host.number] += packet.data in self._garbled
        lie, state = self._lies[packet.data], state_of(host)
        if state is None:
            return
        came = self._came.setdefault(host.number, [])
        if lie is not None:
            slot = state.log.slots.get(lie.sequence)
            if slot is None or slot.pre_prepare is None:
                came.append(lie)
        graft, target = state.transfer.graft, state.transfer.target
        for node in self._nodes.get(packet.data, ()) if graft and target else ():
            if graft and target and graft.wanted.get(node.path) == node.digest:
                came.append(Fed(int(packet.peer), target))

    def turned(self, now: int, host: Host, effects: Effects) -> None:
        state = state_of(host) if host.correct else None
        if state is None or host.inbox:  # a timer was first
            return
        garbled, came = self._counts.pop(host.number, 0), self._came.pop(host.number, [])
        self._proven(state)
        self._encoded(state, host.life, garbled)
        self._fed(state, came)
        if not any(isinstance(each, EnteredView) for each in effects.events):
            self._with_bodies(state, came)
        ahead = state.sessions.time - self._simulation.instant.wall
        if ahead > state.config.clock_bound_ns:
            self.complain(f"time: replica {state.me} executed what is dated {ahead} ns ahead")

    def _proven(self, state: ReplicaState) -> None:
        for each in state.views.view_changes.values():
            raw = each.signed.raw
            if raw not in self._judged:
                self._judged.add(raw)
                if not self._oracle.proves(raw):
                    sender = each.signed.message.replica
                    text = f"keeps a VIEW-CHANGE of replica {sender} that proves nothing"
                    self.complain(f"holdings: replica {state.me} {text}")
        views, certified = state.views, state.checkpoints.certified
        if views.active and views.view and views.accepted is None:  # T33, T44
            text = f"is active in view {views.view} without its NEW-VIEW"
            self.complain(f"holdings: replica {state.me} {text}")
        if certified.sequence and self._certified.get(state.me) != certified.digest:
            self._certified[state.me] = certified.digest
            vote = Checkpoint(certified.sequence, certified.digest, state.me)
            if not self._oracle.supports(vote, certified.proof):
                text = f"takes {certified.sequence} for stable, without q CHECKPOINTs"
                self.complain(f"holdings: replica {state.me} {text}")

    def _fed(self, state: ReplicaState, came: list[Bodiless | Fed]) -> None:
        """Whoever sends another node than it was asked for lies, and is asked no more."""
        transfer = state.transfer
        for each in came:
            same = isinstance(each, Fed) and transfer.target is each.target
            if isinstance(each, Fed) and same and not transfer.sources[each.peer].lied:
                text = f"goes on asking replica {each.peer}, whose nodes are wrong"
                self.complain(f"holdings: replica {state.me} {text}")

    def _with_bodies(self, state: ReplicaState, came: list[Bodiless | Fed]) -> None:
        """A proposal whose body is another one is no proposal (T6, T8, T10)."""
        for each in came:
            if not isinstance(each, Bodiless):
                continue
            slot = state.log.slots.get(each.sequence)
            taken = slot is not None and slot.pre_prepare and slot.pre_prepare.raw == each.raw
            if taken and each.digest not in state.log.bodies | state.log.partial:
                text = f"accepted a proposal for {each.sequence} whose body is another one"
                self.complain(f"holdings: replica {state.me} {text}")

    def _encoded(self, state: ReplicaState, life: int, garbled: int) -> None:
        """Whatever is not the encoding of its value is dropped as malformed (WF2)."""
        drops = (life, state.drops["malformed"], state.drops[UNREAD])
        before = self._drops.get(state.me, (life, 0, 0))
        self._drops[state.me] = drops
        same = (before[0], before[2]) == (life, drops[2])
        if same and drops[1] - before[1] < garbled:
            text = "took in a message in another encoding than that of its value"
            self.complain(f"encoding: replica {state.me} {text}")


def _is_wrong(node: Node) -> bool:
    digest = branch_digest if node.data[:1] == b"B" else leaf_digest
    return digest(node.data[1:]) != node.digest


def _bodiless(data: bytes, message: object) -> Bodiless | None:
    if not isinstance(message, Proposal):
        return None
    try:
        pp = decode_signed(message.pre_prepare)
    except DecodeError:
        return None
    if not isinstance(pp, PrePrepare) or batch_digest(message.batch) == pp.digest:
        return None
    return Bodiless(pp.sequence, message.pre_prepare, pp.digest)


def _garbled(data: bytes) -> bool:
    """Whether it decodes as a signed message, and its value has another encoding."""
    try:
        body = split_signed(data)[1]
        return msgspec.msgpack.encode(msgspec.msgpack.decode(body, type=Signable)) != body
    except (DecodeError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
