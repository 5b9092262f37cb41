"""A whole cluster on a virtual clock: the real core, a seeded network and disk, faults, oracles.

One plan gives one run and one trace, bit for bit: every choice comes from generators seeded by it,
and events at one time happen in the order in which they were made. One seed gives one plan.
"""

import hashlib
import heapq
import random
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from msgspec import Struct, structs

from pbft.core.authentication import Authentication
from pbft.core.effects import Effects, EnteredView, Send
from pbft.core.ids import SECOND, Instant, Packet, Principal, RequestKey
from pbft.testing.casting import Casting
from pbft.testing.checkers import Checkers
from pbft.testing.clients import Clients
from pbft.testing.driving import Driving
from pbft.testing.host import Host
from pbft.testing.inside import state_of
from pbft.testing.misfortunes import Misfortunes
from pbft.testing.network import Network
from pbft.testing.new_view_oracle import NewViewOracle
from pbft.testing.observers import Observer
from pbft.testing.oracles import every_oracle
from pbft.testing.patience import ENDLESS, RUN_SECONDS, Endless, limited
from pbft.testing.plan import Plan, draw, explicit, termination_bound_ns
from pbft.testing.reference import check_answers
from pbft.testing.subjects import subject

WALL = 1_700_000_000 * SECOND
POWER_CUT_NS = SECOND // 10
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


class Traced(Observer):
    """The digest of everything that arrives anywhere, and how many views were entered."""

    def __init__(self) -> None:
        self._trace = hashlib.sha256()
        self.views_entered = 0

    def arrived(self, now: int, host: Host, packet: Packet) -> None:
        self._trace.update(b"%d %d " % (now, host.number) + packet.data)

    def turned(self, now: int, host: Host, effects: Effects) -> None:
        if host.correct:
            self.views_entered += sum(isinstance(each, EnteredView) for each in effects.events)

    def digest(self) -> str:
        """In hexadecimal."""
        return self._trace.hexdigest()


class Simulation:
    """One run of one plan. `observers` look on."""

    def __init__(self, plan: Plan, observers: Sequence[Observer] = ()) -> None:
        self.plan = plan = explicit(plan)
        self.subject = subject(plan.service)
        self.now = 0
        self.faults: Counter[str] = Counter()
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._made = 0
        self._traced = Traced()
        self.observers: Sequence[Observer] = (self._traced, *observers)
        self._watchers: list[Observer] = []
        self._network = Network(plan)
        attacks = [attack for each in plan.attacks.values() for attack in each]
        self._rounds_matter = plan.round_cuts or any(each.target.rounds for each in attacks)
        self.casting = cast = self.cast(plan)
        judge = Authentication(plan.config.cluster_id, cast.signers[0], cast.verifier)
        self.checkers = Checkers(NewViewOracle(plan.config, judge))
        self.hosts = cast.hosts()
        self._places: dict[Principal, list[Host]] = {}
        for host in self.hosts:
            self._places.setdefault(host.number, []).append(host)
        self.clients = Clients(self, cast.signers, cast.verifier)
        self.workloads = self.clients.workloads
        self.misfortunes = Misfortunes(self)
        self._driving = Driving(self)

    def cast(self, plan: Plan) -> Casting:
        """Who plays whom."""
        return Casting(plan, self.subject, lambda: self.instant, self._made_up)

    @property
    def instant(self) -> Instant:
        """Both clocks, now."""
        return Instant(self.now, WALL + self.now)

    # -- running it -----------------------------------------------------------------------------

    def at(self, time: int, action: Callable[[], None]) -> None:
        """Have `action` happen then; ties happen in the order of this call."""
        self._made += 1
        heapq.heappush(self._heap, (max(time, self.now), self._made, action))

    def wake(self, host: Host) -> None:
        """Arm the host's one timer."""
        self._driving.wake(host)

    def run(self) -> Report:
        """Until everything is answered and equal, or the bound has passed. An error that leaves
        a replica is a violation like any other, whatever it is."""
        for observer in self.observers:
            observer.complain = self.checkers.complain
            observer.begin(self)
        self._watchers = [o for o in self.observers if type(o).posted is not Observer.posted]
        self.misfortunes.schedule()
        for host in self.hosts:
            self.wake(host)
        self.clients.schedule()
        try:
            settled = self._until_settled()
            if settled and self.plan.power_cycle and not self.checkers.complaints:
                settled = self._power_cycle()
        except Endless as error:
            error.accept()
            self.checkers.complain(f"{ENDLESS}: {error}")
            settled = False
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a service may raise anything, SystemExit too
            where = traceback.extract_tb(error.__traceback__)[-1]
            text = f"robustness: {type(error).__name__} in {where.name}: {error}"
            self.checkers.complain(text)
            settled = False
        return self._report(settled)

    def _power_cycle(self) -> bool:
        """All lose power at one moment, come back from their disks, and answer every client once
        more: nothing that was acknowledged may be gone (NL, CR10)."""
        correct = [host for host in self.hosts if host.correct and self.plan.is_core(host.number)]
        for host in correct:
            self.misfortunes.crash(host)
            self.at(self.now + POWER_CUT_NS, partial(self.misfortunes.restart, host))
        dice = random.Random(f"power {self.plan.seed}")
        for name, work in self.workloads.items():
            work.once_more(self.subject.operation(dice))
            self.at(self.now + 2 * POWER_CUT_NS, partial(self.clients.arrive, name, []))
        return self._until_settled()

    def _until_settled(self) -> bool:
        begin = max(self.now, self.plan.gst_ns)
        limit = begin + 3 * termination_bound_ns(self.plan) + SETTLING_NS
        events, settled = 0, False
        while self._heap and self.now < limit and events < MAX_EVENTS and not settled:
            self.now, _, action = heapq.heappop(self._heap)
            action()
            events += 1
            settled = events % 64 == 0 and self._settled()
            if self.checkers.complaints and not self.plan.twins:
                break
        return settled or self._settled()

    def _settled(self) -> bool:
        """Every correct client is done and every correct replica is up, equal and calm: nothing
        waits, but for what greedy clients ask, for which no primary is replaced (FL5)."""
        if self.now < self.plan.gst_ns or not all(w.done for w in self.workloads.values()):
            return False
        correct = [host for host in self.hosts if host.correct and self.plan.is_core(host.number)]
        recovered = all(self.now > loss.recovered for loss in self.plan.losses)
        if not (recovered and all(host.up for host in correct)):
            return False
        statuses = [host.replica.status() for host in correct]
        states = [state_of(host) for host in correct]
        awaited = any(state and state.requests.oldest() for state in states)
        calm = all(s.voting for s in statuses) and not awaited
        return calm and len({s.executed for s in statuses}) == 1

    # -- the network ----------------------------------------------------------------------------

    def post(self, source: Principal, send: Send, node: Principal | None = None) -> None:
        """Put a message on the links to its receivers; `node`: from which copy of a twin."""
        begin = source if node is None else node
        for target in send.to:
            packet = Packet(source, send.data)
            for host in self._places.get(target, ()):
                for when in self._arrivals(source, begin, target, host.node, send):
                    self.at(when, lambda h=host, p=packet: self._driving.arrive(h, p))  # type: ignore[misc]
            if not isinstance(target, int):
                arrivals = self._arrivals(source, begin, target, target, send)
                for when in arrivals if target in self.workloads else ():
                    self.at(when, lambda t=target, p=packet: self.clients.arrive(t, [p]))  # type: ignore[misc]

    def _arrivals(
        self, source: Principal, begin: Principal, target: Principal, end: Principal, send: Send
    ) -> list[int]:
        """When a message arrives on the link from node `begin` to node `end`."""
        if self._rounds_matter:
            rounds = self.casting.rounds
            if source not in self.plan.traitors:
                rounds.of(send.message)
            cuts = self.plan.round_cuts if self.now < self.plan.gst_ns else ()
            if rounds.are_cut(cuts, source, target, send.message):
                self.faults["cut in a round"] += 1
                return []
        arrivals = self._network.arrivals(begin, end, self.now)
        for observer in self._watchers:
            one = Send((target,), send.data, send.message)
            observer.posted(self.now, source, one, arrivals)
        return arrivals

    def _made_up(self, key: RequestKey) -> None:
        """A traitor has made a request with a faulty client's key."""
        self.checkers.signed_by_clients.add(key)

    # -- judging it -----------------------------------------------------------------------------

    def _report(self, settled: bool) -> Report:
        longest, bound = self._longest_wait(), termination_bound_ns(self.plan)
        try:
            if not self.checkers.complaints:
                check_answers(self.checkers, self.workloads, self.plan, self.subject)
        except Endless as error:
            error.accept()
            self.checkers.complain(f"{ENDLESS}: {error}")
        if longest > bound:
            self.checkers.complain(f"termination: an answer took {longest / SECOND:.1f} s")
        for observer in self.observers:
            observer.ended(self.now)
        self._count_faults()
        return Report(
            seed=self.plan.seed,
            finished=settled,
            violations=list(self.checkers.complaints),
            operations=sum(len(w.answers) for w in self.workloads.values()),
            faults=dict(sorted(self.faults.items())),
            trace_digest=self._traced.digest(),
            view_changes=self._traced.views_entered,
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
            for name, count in self.casting.attacks(host):
                self.faults[f"attack: {name}"] += count


def simulate(seed: int, replicas: int = 4, traitors: int | None = None) -> Report:
    """Run one seed."""
    return run(draw(seed, replicas, traitors))


def run(plan: Plan, observers: Sequence[Observer] = (), *, seconds: float = RUN_SECONDS) -> Report:
    """Run a plan under every oracle. The random numbers of Python itself are the plan's meanwhile,
    so that a service which draws from them fails alike every time. A run that takes longer than
    `seconds` is interrupted, and violates `endless`. Raises `ServiceError` where a replica of it
    cannot be made."""
    state = random.getstate()
    random.seed(plan.seed)
    try:
        with limited(seconds) as limit:
            report = Simulation(plan, [*every_oracle(), *observers]).run()
    finally:
        random.setstate(state)
    return report if limit.told is None else _ended(report, f"{ENDLESS}: {limit.told}")


def _ended(report: Report, complaint: str) -> Report:
    """It may have swallowed its end, or have come to another one through it."""
    rest = [each for each in report.violations if each != complaint]
    return structs.replace(report, finished=False, violations=[complaint, *rest])
