"""Bounded memory and bounded egress of correct replicas, whatever the others send (BM, BW).

The limits are those of `docs/limits.md`, looked up inside the replica after its turns.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pbft.core.effects import Effects, Send
from pbft.core.ids import Principal, ReplicaId
from pbft.core.messages import BatchBody, Decision, Nodes, StableProof, Witness
from pbft.core.protocol.references import MAX_PARTIAL
from pbft.core.state.checkpoints import BEYOND_PER_SENDER
from pbft.core.state.peers import MAX_VOTES
from pbft.core.state.replica_state import MAX_EVIDENCE, ReplicaState
from pbft.core.wire import MAX_MESSAGE_BYTES
from pbft.testing.host import Host
from pbft.testing.inside import state_of
from pbft.testing.observers import Observer

if TYPE_CHECKING:
    from pbft.testing.simulator import Simulation

LOOK_EVERY = 8
"""Turns of one replica between two looks at it."""
RESENT = (BatchBody, Decision, Nodes, StableProof, Witness)
"""What is only ever sent to whoever lacks it."""
PARTIALS = 2 * MAX_PARTIAL
"""Of this view, and what those of the last one have got."""
BODIES_PER_SLOT = 8
"""A body is kept for each view that a number was proposed in: so many views while one checkpoint
becomes stable is more than any run here has."""


class BoundedMemory(Observer):
    """Complains once for each table that is larger than its limit."""

    def __init__(self) -> None:
        self._turns: Counter[ReplicaId] = Counter()
        self._said: set[str] = set()

    def turned(self, now: int, host: Host, effects: Effects) -> None:
        self._turns[host.number] += 1
        state = state_of(host) if host.correct else None
        if state is None or self._turns[host.number] % LOOK_EVERY:
            return
        for what, size, limit in sizes(state):
            if size > limit and what not in self._said:
                self._said.add(what)
                text = f"replica {host.number} holds {size} of {what}, at most {limit} are allowed"
                self.complain(f"memory: {text}")


def sizes(state: ReplicaState) -> Iterator[tuple[str, int, int]]:
    """(what, how many, limit) for each table of a replica that others can fill."""
    config, log, requests = state.config, state.log, state.requests
    window = 2 * config.window
    yield "slots", len(log.slots), window + config.window  # O of a NEW-VIEW, to a laggard (T17 g)
    yield "bodies", len(log.bodies), BODIES_PER_SLOT * window + 1
    yield "partial batches", len(log.partial), MAX_PARTIAL
    large, batches = sum(len(each.raw) for each in log.large.values()), len(log.bodies)
    yield "bytes of large requests", large, 3 * config.request_max_bytes * (batches + PARTIALS)
    named = PARTIALS * config.batch_max_requests
    yield "digests that are asked for", len(log.missing), named + 2 * len(log.slots)
    yield (
        "early bytes",
        max((e.bytes for e in log.early.values()), default=0),
        (config.early_max_bytes),
    )
    yield (
        "requests of one client",
        max(map(len, requests.by_client.values()), default=0),
        (config.client_window),
    )
    sizes = [sum(each.values()) for each in requests.by_client.values()]
    passed_on = (config.n - 1) * config.request_max_bytes  # one of each peer, beyond the client's
    yield (
        "bytes of one client's requests",
        max(sizes, default=0),
        config.client_max_bytes + passed_on,
    )
    yield "view changes", len(state.views.view_changes), config.n
    yield "new views", len(state.views.pending), config.n
    beyond = Counter(
        sender
        for sequence, votes in state.checkpoints.votes.items()
        if sequence > log.low_watermark + window
        for sender in votes
    )
    yield "checkpoint votes beyond the window", max(beyond.values(), default=0), BEYOND_PER_SENDER
    yield "evidence", len(state.evidence), MAX_EVIDENCE
    kept = max((len(peer.votes.ordering) for peer in state.peers.by_id.values()), default=0)
    yield "votes of a peer", kept, MAX_VOTES
    answers = max((len(each.answers) for each in state.sessions.table.values()), default=0)
    yield "answers of one client", answers, config.client_window


class BoundedEgress(Observer):
    """What a correct replica sends to one peer again, or because it asked, stays within its share
    per status interval: no amplification (FL7, FL10)."""

    def __init__(self) -> None:
        self._sent: set[tuple[ReplicaId, Principal, bytes]] = set()
        self._again: defaultdict[tuple[ReplicaId, Principal], deque[tuple[int, int]]] = defaultdict(
            deque
        )
        self._bytes: Counter[tuple[ReplicaId, Principal]] = Counter()
        self._said = False

    def begin(self, simulation: "Simulation") -> None:
        config = simulation.plan.config
        self._hosts: list[Host] = simulation.hosts
        self._interval = config.status_interval_ns
        share = 3 * config.answer_max_bytes + config.transfer_max_bytes
        self.limit = 2 * share + MAX_MESSAGE_BYTES // 64
        """A sliding interval meets two fixed ones; and a last message may exceed its share."""

    def posted(self, now: int, source: Principal, send: Send, arrivals: list[int]) -> None:
        target = send.to[0]
        if not isinstance(source, int) or not isinstance(target, int):
            return
        if not self._hosts[source].correct or self._said:
            return
        key = (source, target, send.data)
        if key in self._sent or isinstance(send.message, RESENT):
            self._count(now, source, target, len(send.data))
        self._sent.add(key)

    def _count(self, now: int, source: ReplicaId, target: Principal, size: int) -> None:
        link = (source, target)
        recent = self._again[link]
        recent.append((now, size))
        self._bytes[link] += size
        while recent[0][0] <= now - self._interval:
            self._bytes[link] -= recent.popleft()[1]
        if self._bytes[link] > self.limit:
            self._said = True
            text = f"replica {source} re-sent {self._bytes[link]} bytes to {target}"
            self.complain(f"egress: {text} in a status interval, at most {self.limit} are allowed")
