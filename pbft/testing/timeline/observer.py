"""The observer that records a simulation.

recorder = Recorder()
run(plan, [recorder])
write(Path("run.html"), recorder.recording("a run"))
"""

from pbft.core.effects import Effects, Send
from pbft.core.ids import SECOND, ClientId, Principal
from pbft.testing.host import Host
from pbft.testing.observers import Observer
from pbft.testing.plan import Partition, Plan
from pbft.testing.reductions import events, summary
from pbft.testing.simulator import Simulation
from pbft.testing.telling import sentences
from pbft.testing.timeline import describing
from pbft.testing.timeline.collecting import Collector
from pbft.testing.timeline.recording import (
    ARRIVED,
    CUT,
    EVERYBODY,
    LOST,
    Line,
    Recording,
    Span,
)
from pbft.testing.workload import Workload

FEW = 15
"""Of plans with at most so many events each call is told; faults are told in any case."""
DEATHS = ("crash", "refused to run")
BOOKED = ("evidence",)
"""What the simulation counts as well, and is told of otherwise."""


class Recorder(Observer):
    """Sees one run; then `recording` gives it."""

    def begin(self, simulation: Simulation) -> None:
        """As every observer\'s."""
        self._simulation = simulation
        self._plan = plan = simulation.plan
        clients = [*(plan.scripts or ()), *dict.fromkeys(o.client for o in plan.outbursts or ())]
        notes: dict[Principal, str] = {
            each: "twins" if plan.twins else name for each, name in plan.traitors.items()
        }
        notes |= {each.client: "a faulty client" for each in plan.outbursts or ()}
        self._keyed = plan.service is None
        self._collector = Collector([*range(plan.config.n), *clients], self._keyed, notes)
        self._complaints = 0
        for host in simulation.hosts:
            self._collector.began(host.number, 0, 0, True)

    def posted(self, now: int, source: Principal, send: Send, arrivals: list[int]) -> None:
        """As every observer\'s."""
        self._look(now)
        ends = (source, send.to[0])
        for when in arrivals:
            self._collector.arrow(ends, now, when, ARRIVED, send.data)
        if not arrivals:
            fate = CUT if _is_cut(self._plan, ends, now) else LOST
            self._collector.arrow(ends, now, None, fate, send.data)

    def turned(self, now: int, host: Host, effects: Effects) -> None:
        """As every observer\'s."""
        for event in effects.events:
            self._collector.event(host.number, now, event)
        for each in effects.evidence if host.correct else ():
            text = f"has evidence against replica {each.culprit}: {each.kind}"
            self._collector.mark(host.number, now, "evidence", text)
        self._look(now)

    def fault(self, now: int, what: str, replica: int | None) -> None:
        """As every observer\'s."""
        if replica is None or what in BOOKED:
            if what not in BOOKED:
                self._collector.mark(None, now, "fault", what)
        elif what in DEATHS:
            self._collector.died(replica, now, what)
        elif what == "restart":
            status = self._simulation.hosts[replica].replica.status()
            self._collector.began(replica, now, status.view, status.active)
        else:
            self._collector.mark(replica, now, "fault", what)
        self._look(now)

    def completed(self, now: int, client: str, call: int) -> None:
        """As every observer\'s."""
        self._look(now)

    def _look(self, now: int) -> None:
        """Whether an oracle has complained since."""
        complaints = self._simulation.checkers.complaints
        for text in complaints[self._complaints :]:
            self._collector.mark(None, now, "violation", text)
        self._complaints = len(complaints)

    # -- afterwards ---------------------------------------------------------------------------

    def recording(self, title: str) -> Recording:
        """What was seen, once the run is over."""
        simulation, end = self._simulation, max(self._simulation.now, 1)
        self._look(end)
        for name, work in simulation.workloads.items():
            self._calls(name, work, end)
        for each in self._plan.partitions:
            if each.begin < end:
                text = _parted(each)
                span = Span(EVERYBODY, each.begin, min(each.end, end), "partition", text, -1)
                self._collector.spans.append(span)
        return self._collector.recording(title, end, self._facts(end))

    def _calls(self, name: ClientId, work: Workload, end: int) -> None:
        for call, asked in work.asked.items():
            text = describing.operation(work.operations[call], self._keyed)
            answer = work.answers.get(call)
            told = "no answer" if answer is None else describing.result(answer)
            content = self._collector.content(f"{name}, call {call}\n{text}\n{told}")
            until = work.answered_at.get(call, end)
            lane = self._collector.lane(name)
            self._collector.spans.append(Span(lane, asked, until, "call", text, content))

    def _facts(self, end: int) -> list[Line]:
        plan, config = self._plan, self._plan.config
        told = [each for each in sentences(plan) if " calls " in each and events(plan) <= FEW]
        what = "the key-value service" if self._keyed else plan.service
        works = self._simulation.workloads.values()
        asked, answered = (sum(map(len, (getattr(w, at) for w in works))) for at in _COUNTED)
        calm = f"calm from {plan.gst_ns / SECOND:.2f} s on"
        return [
            Line("fact", f"n = {config.n}, f = {config.f}, {what}, seed {plan.seed}; {calm}"),
            Line("fact", f"the plan: {summary(plan)}"),
            *(Line("fact", f"– {text}") for text in told),
            Line("fact", f"{answered} of {asked} calls were answered in {end / SECOND:.2f} s"),
        ]


_COUNTED = ("asked", "answers")


def _parted(each: Partition) -> str:
    group = ", ".join(map(str, sorted(each.group)))
    return f"nothing from {{{group}}} to the rest" + ("" if each.one_way else ", nor back")


def _is_cut(plan: Plan, ends: tuple[Principal, Principal], now: int) -> bool:
    """Whether a partition is between them."""
    source, target = ends
    if not (isinstance(source, int) and isinstance(target, int)):
        return False
    return any(
        each.begin <= now < each.end
        and (source in each.group) != (target in each.group)
        and not (each.one_way and target in each.group)
        for each in plan.partitions
    )
