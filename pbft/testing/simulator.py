"""A whole cluster on a virtual clock: the real core, a seeded network and disk, faults, oracles.

One seed gives one plan, one run and one trace, bit for bit: every choice comes from generators
seeded by it, and events at one time happen in the order in which they were made.
"""

import hashlib
import heapq
import random
from collections import Counter
from collections.abc import Callable

from msgspec import Struct

from pbft.core.authentication import Authentication, Ed25519Verifier, Signer, Verifier
from pbft.core.effects import Effects, EnteredView, Evidence, Send
from pbft.core.errors import PbftError
from pbft.core.ids import MILLISECOND, SECOND, Instant, Packet, Principal, ReplicaId
from pbft.core.records import AnyRecord, Began
from pbft.core.replica import Replica
from pbft.crypto.signing import SigningKey
from pbft.services.kv import KeyValueService
from pbft.testing.byzantine import ADVERSARIES, PACING, Behaviour, Twins
from pbft.testing.checkers import Checkers
from pbft.testing.clients import Clients, correct_names, faulty_names
from pbft.testing.disk import Disk, DiskDamagedError
from pbft.testing.failpoints import Boundary, Stops
from pbft.testing.host import Driven, Host, Pending
from pbft.testing.losses import schedule
from pbft.testing.network import Network
from pbft.testing.new_view_oracle import NewViewOracle
from pbft.testing.plan import Damage, Plan, draw, termination_bound_ns
from pbft.testing.reference import check_answers
from pbft.testing.tags import TagSigner, TagVerifier

WALL = 1_700_000_000 * SECOND
TURN_DELAY_NS = MILLISECOND // 5
"""A burst: what arrives within this of its first packet is one turn."""
SETTLING_NS = 5 * SECOND
"""After the last answer, how long correct replicas may take to reach the same state."""
MAX_EVENTS = 400_000


class Report(Struct, frozen=True):
    """What a run showed."""

    seed: int
    finished: bool
    violations: list[str]
    operations: int
    faults: dict[str, int]
    trace_digest: str
    view_changes: int
    longest_wait_ns: int
    bound_ns: int
    virtual_ns: int


class Simulation:
    """One run of one plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.now = 0
        self.faults: Counter[str] = Counter()
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._made = 0
        self._trace = hashlib.sha256()
        self._network = Network(plan, random.Random(f"network {plan.seed}"))
        self._rng = random.Random(f"run {plan.seed}")
        self._signers, self._verifier = self._keys()
        judge = Authentication(plan.config.cluster_id, self._signers[0], self._verifier)
        self.checkers = Checkers(NewViewOracle(plan.config, judge))
        self._ledger: dict[bytes, set[int]] = {}
        self.hosts = [self._host(r) for r in range(plan.config.n)]
        self.clients = Clients(self, self._signers, self._verifier)
        self.workloads = self.clients.workloads
        self._stops = Stops(plan.stops)
        self.views_entered = 0

    # -- making it ------------------------------------------------------------------------------

    def _keys(self) -> tuple[dict[Principal, Signer], Verifier]:
        principals: list[Principal] = [*range(self.plan.config.n)]
        principals += [*correct_names(self.plan), *faulty_names(self.plan)]
        rng = random.Random(f"keys {self.plan.seed}")
        seeds = {principal: rng.randbytes(32) for principal in principals}
        if self.plan.real_keys:
            keys = {principal: SigningKey(seed) for principal, seed in seeds.items()}
            signers: dict[Principal, Signer] = dict(keys)
            return signers, Ed25519Verifier({p: key.public for p, key in keys.items()})
        return {p: TagSigner(seed) for p, seed in seeds.items()}, TagVerifier(seeds)

    def _host(self, number: ReplicaId) -> Host:
        correct = number not in self.plan.traitors

        def boot(records: list[AnyRecord]) -> Driven:
            if self.plan.twins and not correct:
                copies = (self._core(number, [Began()]), self._core(number, [Began()]))
                return Twins(copies, self._sides(), self._ledger)
            honest = self._core(number, records)
            if correct:
                return honest
            return {**ADVERSARIES, **PACING}[self.plan.traitors[number]](honest)

        disk = Disk(random.Random(f"disk {number} {self.plan.seed}"))
        return Host(number, correct, disk, boot)

    def _core(self, number: ReplicaId, records: list[AnyRecord]) -> Replica:
        return Replica(
            self.plan.config,
            number,
            signer=self._signers[number],
            verifier=self._verifier,
            service=KeyValueService(),
            records=records,
            now=self.instant,
        )

    def _sides(self) -> dict[ReplicaId, int]:
        """Which side of a fork each correct replica is on."""
        correct = [r for r in range(self.plan.config.n) if r not in self.plan.traitors]
        return {replica: index % 2 for index, replica in enumerate(correct)}

    @property
    def instant(self) -> Instant:
        return Instant(self.now, WALL + self.now)

    # -- running it -----------------------------------------------------------------------------

    def at(self, time: int, action: Callable[[], None]) -> None:
        """Have `action` happen then; ties happen in the order of this call."""
        self._made += 1
        heapq.heappush(self._heap, (max(time, self.now), self._made, action))

    def run(self) -> Report:
        """Until everything is answered and equal, or the bound has passed."""
        self._schedule_faults()
        for host in self.hosts:
            self._wake(host)
        self.clients.schedule()
        bound = termination_bound_ns(self.plan)
        limit = self.plan.gst_ns + 3 * bound + SETTLING_NS
        events, settled = 0, False
        while self._heap and self.now < limit and events < MAX_EVENTS and not settled:
            self.now, _, action = heapq.heappop(self._heap)
            action()
            events += 1
            settled = events % 64 == 0 and self._settled()
            if self.checkers.complaints and not self.plan.twins:
                break
        return self._report(settled or self._settled(), bound)

    def _settled(self) -> bool:
        """Every correct client is done and every correct replica is up, equal and calm."""
        if self.now < self.plan.gst_ns or not all(w.done for w in self.workloads.values()):
            return False
        correct = [host for host in self.hosts if host.correct]
        recovered = all(self.now > loss.recovered for loss in self.plan.losses)
        if not (recovered and all(host.up for host in correct)):
            return False
        statuses = [host.replica.status() for host in correct]
        calm = all(s.voting and not s.waiting for s in statuses)
        return calm and len({s.executed for s in statuses}) == 1

    def _schedule_faults(self) -> None:
        for crash in self.plan.crashes:
            host = self.hosts[crash.replica]
            self.at(crash.begin, lambda host=host: self.crash(host))  # type: ignore[misc]
            self.at(crash.end, lambda host=host: self.restart(host))  # type: ignore[misc]
        for damage in self.plan.damages:
            self.at(damage.begin, lambda damage=damage: self._harm(damage))  # type: ignore[misc]
        for loss in self.plan.losses:
            schedule(self, loss)

    def crash(self, host: Host) -> None:
        """It dies here and now, if it runs."""
        if host.up:
            self.faults["crash"] += 1
            host.crash()

    def restart(self, host: Host) -> None:
        """It begins again from its disk, if it is down and may."""
        if host.up or host.refused:
            return
        try:
            records = host.restart()
        except DiskDamagedError:
            self._refuse(host)
            return
        self.faults["restart"] += 1
        self.checkers.restarted(host.number, host.replica.status().executed, records)
        self._wake(host)

    def recovered(self, host: Host) -> None:
        """The operator has had it recover."""
        self.faults["recovered"] += 1
        self.checkers.forgot(host.number)

    def _harm(self, damage: Damage) -> None:
        """From here on this replica counts among the f."""
        host = self.hosts[damage.replica]
        if not host.up and host.disk.damage(damage.harm):
            self.faults[f"disk: {damage.harm.value}"] += 1
            host.correct = False

    def _refuse(self, host: Host) -> None:
        """It stops for good. A whole disk must never lead here."""
        self.faults["refused to run"] += 1
        if host.up:
            host.crash()
        host.refused = True
        if host.correct:
            self.checkers.complain(f"persistence: replica {host.number} refuses its whole disk")

    def _stopped(self, host: Host, boundary: Boundary, kinds: set[str]) -> bool:
        """Whether the host has just died at a fail point."""
        if self.now >= self.plan.gst_ns or host.number in self.plan.traitors:
            return False
        stop = self._stops.reached(boundary, kinds)
        if stop is None:
            return False
        self.faults["fail point"] += 1
        for each in self.hosts if stop.everyone else [host]:
            self.crash(each)
            back = min(self.now + stop.down_ns, self.plan.gst_ns)
            self.at(back, lambda each=each: self.restart(each))  # type: ignore[misc]
        return True

    # -- replicas -------------------------------------------------------------------------------

    def _arrive(self, host: Host, packet: Packet) -> None:
        if not host.up:
            return
        self._trace.update(b"%d %d " % (self.now, host.number) + packet.data)
        host.inbox.append(packet)
        if host.turn_at is None:
            host.turn_at = self.now + TURN_DELAY_NS
            life = host.life
            self.at(host.turn_at, lambda: self._turn(host, life))

    def _turn(self, host: Host, life: int) -> None:
        if host.life != life:
            return
        host.turn_at = None
        packets, host.inbox = host.inbox, []
        self._done(host, host.replica.receive(packets, self.instant))

    def _wake(self, host: Host) -> None:
        """Arm the host's one timer."""
        deadline = host.replica.deadline
        if deadline is None:
            return
        when = max(deadline, self.now)
        if host.alarm_at is not None and host.alarm_at <= when:
            return
        host.alarm_at = when
        life = host.life
        self.at(when, lambda: self._ring(host, life, when))

    def _ring(self, host: Host, life: int, when: int) -> None:
        if host.life != life or host.alarm_at != when:
            return
        host.alarm_at = None
        deadline = host.replica.deadline
        if deadline is not None and deadline <= self.now:
            self._done(host, host.replica.expire(self.instant))
        else:
            self._wake(host)

    def _done(self, host: Host, effects: Effects) -> None:
        """Steps 1 to 4 of the driver, with the disk's delay between the first two."""
        if host.correct:
            for event in effects.events:
                self.checkers.happened(host.number, event)
                self.views_entered += isinstance(event, EnteredView)
        for evidence in effects.evidence:
            self._accused(host, evidence)
        transaction = host.disk.write(effects.records) if effects.records else 0
        pending = Pending(host.life, transaction, effects)
        if "Forgotten" in pending.kinds and host.number not in self.plan.traitors:
            self._refuse(host)
            return
        if self._stopped(host, Boundary.UNSYNCED, pending.kinds):
            return
        disk = self._rng.randrange(self.plan.disk_delay_ns + 1) if effects.records else 0
        host.durable_until = max(host.durable_until, self.now + disk)
        if host.durable_until <= self.now:
            self._release(host, pending)
        else:
            self.at(host.durable_until, lambda: self._release(host, pending))
        self._wake(host)

    def _release(self, host: Host, pending: Pending) -> None:
        """The records are durable: what they promise may leave, if nothing stops us."""
        if host.life != pending.life:
            return
        effects = pending.effects
        host.disk.sync(pending.transaction)
        if host.correct:
            for record in effects.records:
                self.checkers.durable(host.number, record)
        if self._stopped(host, Boundary.SYNCED, pending.kinds):
            return
        if not all(self._leaves(host, send) for send in effects.messages):
            return
        if effects.replies and self._stopped(host, Boundary.UNANSWERED, {"Reply"}):
            return
        for send in effects.replies:
            self._leaves(host, send)
        if not host.replica.status().active:
            self._stopped(host, Boundary.INACTIVE, {"turn"})

    def _leaves(self, host: Host, send: Send) -> bool:
        """One message, receiver by receiver; whether the host lives on."""
        if host.correct:
            self.checkers.sent(host.number, send)
        kinds = {type(send.message).__name__}
        for count, target in enumerate(send.to):
            self.post(host.number, Send((target,), send.data, send.message))
            boundary = (Boundary.FIRST, Boundary.SECOND)[count : count + 1]
            if boundary and self._stopped(host, boundary[0], kinds):
                return False
        return True

    def _accused(self, host: Host, evidence: Evidence) -> None:
        if host.correct:
            self.faults["evidence"] += 1
            culprit = self.hosts[evidence.culprit]
            if culprit.correct and not culprit.lost:
                text = f"accountability: {evidence.kind} blames replica {evidence.culprit}"
                self.checkers.complain(text)

    # -- the network ----------------------------------------------------------

    def post(self, source: Principal, send: Send) -> None:
        for target in send.to:
            packet = Packet(source, send.data)
            for when in self._network.arrivals(source, target, self.now):
                if isinstance(target, int):
                    host = self.hosts[target]
                    self.at(when, lambda h=host, p=packet: self._arrive(h, p))  # type: ignore[misc]
                elif target in self.workloads:
                    self.at(when, lambda t=target, p=packet: self.clients.arrive(t, [p]))  # type: ignore[misc]

    # -- judging it -----------------------------------------------------------------------------

    def _report(self, settled: bool, bound: int) -> Report:
        longest = self._longest_wait()
        if not self.checkers.complaints:
            check_answers(self.checkers, self.workloads, self.plan)
        if longest > bound:
            self.checkers.complain(f"termination: an answer took {longest / SECOND:.1f} s")
        self._count_faults()
        return Report(
            seed=self.plan.seed,
            finished=settled,
            violations=list(self.checkers.complaints),
            operations=sum(len(w.answers) for w in self.workloads.values()),
            faults=dict(sorted(self.faults.items())),
            trace_digest=self._trace.hexdigest(),
            view_changes=self.views_entered,
            longest_wait_ns=longest,
            bound_ns=bound,
            virtual_ns=self.now,
        )

    def _longest_wait(self) -> int:
        """Of any correct client's call, since it was made or since GST, whichever is later."""
        waits = [
            work.answered_at.get(call, self.now) - max(asked, self.plan.gst_ns)
            for work in self.workloads.values()
            for call, asked in work.asked.items()
        ]
        return max(waits, default=0)

    def _count_faults(self) -> None:
        self.faults["lost"] = self._network.lost
        self.faults["duplicated"] = self._network.duplicated
        self.faults["cut by partition"] = self._network.cut
        self.faults["named request"] = len(self.checkers.large)
        for host in self.hosts:
            if isinstance(host.replica, Behaviour | Twins):
                name = "twins" if self.plan.twins else self.plan.traitors[host.number]
                self.faults[f"attack: {name}"] += host.replica.acted


def simulate(seed: int, replicas: int = 4, traitors: int | None = None) -> Report:
    """Run one seed."""
    return run(draw(seed, replicas, traitors))


def run(plan: Plan) -> Report:
    """Run a plan. An error that leaves the core is a violation like any other."""
    simulation = Simulation(plan)
    try:
        return simulation.run()
    except PbftError as error:
        simulation.checkers.complain(f"robustness: {type(error).__name__}: {error}")
        return simulation._report(False, termination_bound_ns(plan))
