"""A replica in the world: the driver of one `Replica`, its sockets, its clock and its store.

One turn: wait; absorb one bounded burst *before* any timer fires, so that a stall of this process
does not become suspicion (T56); then, for each of the core's outputs, (1) make the records durable,
(2) send, (3) arm the timer, (4) report. The next turn does not wait for (1): the outbox holds what
is to be sent and reported until the records of its own and of every earlier turn are durable (T45).

Replicas and clients have a socket each: a flood of the one does not drown the other (T40).
"""

import asyncio
import logging
import platform
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from pbft import control
from pbft.cluster import Cluster, Member
from pbft.control import StatusReport
from pbft.core.effects import (
    Committed,
    Damaged,
    Diverged,
    Effects,
    Event,
    Executed,
    Forgotten,
    Send,
)
from pbft.core.errors import ForgottenVotesError
from pbft.core.ids import SECOND, Instant, Packet, Principal, ReplicaId
from pbft.core.replica import Replica
from pbft.core.service import Service
from pbft.core.status import ReplicaStatus
from pbft.core.wire import MAX_MESSAGE_BYTES
from pbft.crypto.keyfiles import Identity
from pbft.crypto.link_state import Admit
from pbft.door import Door
from pbft.evidence import EvidenceFolder
from pbft.nuisances import Nuisances
from pbft.outbox import Outbox
from pbft.store import MemoryStore, Store
from pbft.transport.alarm import Alarm, Steps, instant
from pbft.transport.endpoint import Arrival, Endpoint, EndpointLimits, open_endpoint
from pbft.transport.frames import CONTROL, MESSAGE
from pbft.typed.hosting import Hosted, hosted
from pbft.typed.permissions import Permissions, judge_names

log = logging.getLogger(__name__)

BURST_DATAGRAMS = 512
"""At most so many from each socket are absorbed before the core acts."""
HELD_PACKETS = 1024
HELD_BYTES = 2 * MAX_MESSAGE_BYTES
"""What may wait for the core while the outbox is full; the protocol repeats what is dropped."""
ANSWER_US = 100
"""What answering a question about our status costs, about."""
PENDING_BYTES = 256 * 1024
BULK_BYTES = 2 * MAX_MESSAGE_BYTES
"""Of large messages sent to one other replica, kept for the fragments that get lost."""


class ReplicaLike(Protocol):
    """What the driver drives: a `Replica`, or a behaviour wrapped around one."""

    def receive(self, packets: Sequence[Packet], now: Instant) -> Effects: ...
    def expire(self, now: Instant) -> Effects: ...
    @property
    def deadline(self) -> int | None: ...
    def status(self) -> ReplicaStatus: ...


def _as_it_is(replica: Replica) -> ReplicaLike:
    return replica


class Node:
    """One replica of `cluster`: `await node.run()` serves until `stop` is called.

    `wrap` builds a behaviour around the honest core, for experiments with faulty replicas.
    `evidence` is where what an audit may need is kept, if anywhere.
    """

    def __init__(
        self,
        cluster: Cluster,
        replica_id: ReplicaId,
        identity: Identity,
        service: Service | object,
        *,
        wrap: Callable[[Replica], ReplicaLike] = _as_it_is,
        store: Store | None = None,
        evidence: EvidenceFolder | None = None,
    ) -> None:
        self._cluster = cluster
        self._me: Member = cluster.member(replica_id)
        self._identity = identity
        self._store: Store = store or MemoryStore()
        hosting = hosted(service)
        if isinstance(hosting, Hosted):
            judge_names(cluster.permitted, hosting.names)
        self._evidence = evidence
        first = instant()
        self._steps = Steps(first)
        honest = Replica(
            cluster.config,
            replica_id,
            signer=identity.signing,
            verifier=cluster.verifier(),
            service=hosting,
            guard=Permissions(cluster.permitted, named=isinstance(hosting, Hosted)),
            records=self._store.load(),
            now=first,
        )
        self._mend = honest.mend
        self._replica = wrap(honest)
        self._drops: Counter[str] = Counter()
        self._principals: dict[str, Principal] = {each.name: each.id for each in cluster.replicas}
        self._names = tuple(each.name for each in cluster.replicas)
        self._started = time.monotonic_ns()
        self._stopping = False
        self._alarm: Alarm | None = None
        self._outbox = Outbox(self._store, self._ring)
        self._heard: list[Packet] = []
        self._nuisances = Nuisances(cluster.admits)
        self._warned: set[str] = set()
        self._ends: tuple[Endpoint, ...] = ()
        self.serving = asyncio.Event()
        """Set once both sockets are bound."""

    def stop(self) -> None:
        """Let `run` return after the turn under way."""
        self._stopping = True
        self._ring()

    async def run(self) -> None:
        """Serve. Raises `ConfigurationError` where a port cannot be had, `ForgottenVotesError`
        where this replica has voted in an earlier life that it does not remember, and
        `StorageError` where its store has failed: nothing is sent after that."""
        self._alarm = Alarm()
        try:
            await self._open(self._alarm)
            self.serving.set()
            while not self._stopping:
                await self._alarm.wait(self._deadline())
                await self._turn(self._steps.noted(instant()))
            await self._outbox.drained()
            await self._release(time.monotonic_ns())
        finally:
            self._alarm.close()
            if self._evidence is not None:
                self._evidence.close()
            for end in self._ends:
                await end.close()

    def status(self, nonce: int = 0) -> StatusReport:
        """A frozen look at the core, with what the transport dropped beside its own drops."""
        core = self._replica.status()
        counts = [end.counts for end in self._ends]
        return StatusReport(
            nonce=nonce,
            status=msgspec.structs.replace(core, drops={**core.drops, **self._drops}),
            durability=self._store.durability,
            uptime_seconds=(time.monotonic_ns() - self._started) / SECOND,
            datagrams_received=sum(received for received, _ in counts),
            datagrams_sent=sum(sent for _, sent in counts),
            acted=getattr(self._replica, "acted", 0),
            unsynced_turns=self._outbox.waiting,
            python=platform.python_version(),
        )

    # -- the turn -----------------------------------------------------------------------------

    async def _turn(self, now: Instant) -> None:
        if self._outbox.waiting:
            await self._release(now.monotonic)
        self._warn()
        self._shun(now.monotonic)
        self._heard += (each for end in self._ends for each in self._absorb(end, now.monotonic))
        if self._outbox.full:
            self._heard = self._held_back(self._heard)
        else:
            packets, self._heard = self._heard, []
            if packets:
                effects = self._replica.receive(packets, now)
                for peer, cost in effects.nuisance.items():
                    self._nuisances.charge(self._name(peer), cost, now.monotonic)
                self._outbox.put(effects)
            rotten = self._store.rotten()
            if rotten.leaves or rotten.places:
                self._outbox.put(self._mend(rotten.leaves, rotten.places, now))
            deadline = self._replica.deadline
            if deadline is not None and deadline <= now.monotonic:
                self._outbox.put(self._replica.expire(now))
        if any(end.waiting for end in self._ends):
            self._ring()
        for end in self._ends:
            end.expire(now.monotonic)
        await self._release(now.monotonic)

    def _shun(self, now: int) -> None:
        """Who makes us work for nothing is not heard for a while (FL5)."""
        for end in self._ends:
            for name, cost in end.nuisance.items():
                self._nuisances.charge(name, cost, now)
            end.nuisance.clear()
        shunned = self._nuisances.shunned(now)
        for end in self._ends:
            end.shunned = shunned

    def _warn(self) -> None:
        """Once of everybody whose link does not open, since it has another cluster file (CF4)."""
        for end in self._ends:
            for name in sorted(end.mismatched - self._warned):
                log.warning(
                    "%s: %s runs with another cluster.toml, and neither hears the other: give both"
                    " the same file, and start them again",
                    self._me.name,
                    name,
                )
            self._warned |= end.mismatched

    def _name(self, peer: Principal) -> str:
        return self._names[peer] if isinstance(peer, int) else peer

    def _held_back(self, packets: list[Packet]) -> list[Packet]:
        """While the disk is behind, what came first is kept, and questions are answered."""
        size = 0
        for at, packet in enumerate(packets):
            size += len(packet.data)
            if at == HELD_PACKETS or size > HELD_BYTES:
                self._drops["heard while the disk is behind"] += len(packets) - at
                return packets[:at]
        return packets

    async def _release(self, now: int) -> None:
        """Send and report what the disk has the records of."""
        for effects in self._outbox.ready():
            self._post(effects.messages)
            self._post(effects.replies)
            for event in effects.events:
                self._report(event)
            if self._evidence is not None:
                self._evidence.report(effects)
            for evidence in effects.evidence:
                log.warning("replica %d convicted itself: %s", evidence.culprit, evidence.kind)
        for end in self._ends:
            await end.flush(now)

    def _ring(self) -> None:
        if self._alarm is not None:
            self._alarm.ring()

    def _post(self, sends: Sequence[Send]) -> None:
        replicas, clients = self._ends
        for send in sends:
            if isinstance(send.to[0], int):
                names = [self._names[to] for to in send.to if isinstance(to, int)]
                replicas.post(names, MESSAGE, send.data)
            else:
                clients.post([to for to in send.to if isinstance(to, str)], MESSAGE, send.data)

    def _absorb(self, end: Endpoint, now: int) -> list[Packet]:
        packets = []
        for arrival in end.take(BURST_DATAGRAMS, now):
            if arrival.kind == MESSAGE:
                peer = self._principals.get(arrival.peer, arrival.peer)
                packets.append(Packet(peer, arrival.data))
            else:
                self._answer(end, arrival)
        return packets

    def _answer(self, end: Endpoint, arrival: Arrival) -> None:
        query = control.decode_query(arrival.data)
        if query is None:
            self._drops["malformed control message"] += 1
            return
        end.nuisance[arrival.peer] += ANSWER_US
        end.post([arrival.peer], CONTROL, control.encode(self.status(query.nonce)))

    def _report(self, event: Event) -> None:
        if isinstance(event, Forgotten):
            raise ForgottenVotesError(
                f"{self._me.name} has voted in this cluster before and does not remember it, as"
                " after a lost or restored disk: it must not rejoin like that, since it could"
                " contradict itself"
            )
        if isinstance(event, Damaged | Diverged):
            log.warning(
                "%s: its state is damaged and fetched anew: %s", self._me.name, _told(event)
            )
        elif not isinstance(event, Executed | Committed):
            log.info("%s: %s", self._me.name, event)

    def _deadline(self) -> int | None:
        deadlines = [end.deadline for end in self._ends]
        if not self._outbox.full:
            deadlines.append(self._replica.deadline)
        return min((each for each in deadlines if each is not None), default=None)

    # -- opening ------------------------------------------------------------------------------

    async def _open(self, alarm: Alarm) -> None:
        others = [each for each in self._cluster.replicas if each is not self._me]
        config = self._cluster.config
        replicas = await self._endpoint(
            alarm,
            self._me.port,
            {each.name: each.keys.link for each in others},
            self._limits(MAX_MESSAGE_BYTES, 2 * MAX_MESSAGE_BYTES, PENDING_BYTES, BULK_BYTES),
        )
        self._ends = (replicas,)
        clients = await self._endpoint(
            alarm,
            self._me.client_port,
            {name: keys.link for name, keys in self._cluster.clients.items()},
            self._limits(
                config.request_max_bytes, 8 * config.request_max_bytes, 0, config.reply_max_bytes
            ),
            Door(self._cluster.judge()).admit if any(self._cluster.admits.values()) else None,
        )
        self._ends = (replicas, clients)
        now = time.monotonic_ns()
        for each in others:
            await replicas.open(each.name, each.host, each.port, now)
        await replicas.flush(now)

    def _limits(self, message: int, reassembly: int, pending: int, bulk: int) -> EndpointLimits:
        datagram_bytes = self._cluster.file.transport.datagram_bytes
        return EndpointLimits(datagram_bytes, message, reassembly, pending, bulk)

    async def _endpoint(
        self,
        alarm: Alarm,
        port: int,
        peers: dict[str, bytes],
        limits: EndpointLimits,
        admit: Admit | None = None,
    ) -> Endpoint:
        return await open_endpoint(
            self._me.name,
            self._identity.link,
            peers,
            cluster_id=self._cluster.config.cluster_id,
            agreed=self._cluster.digest,
            bind=(self._me.host, port),
            limits=limits,
            drops=self._drops,
            wake=alarm.ring,
            admit=admit,
        )


def _told(event: Damaged | Diverged) -> str:
    if isinstance(event, Damaged):
        return f"{event.leaves} leaves at {event.sequence} are not what they were"
    own, certified = (each.hex()[:16] for each in (event.own, event.certified))
    return f"at {event.sequence} it is {own}, and {certified} at the others"
