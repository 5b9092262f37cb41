"""Where nothing is wrong, nothing happens: no view change, no transfer, hardly a repetition.

A cluster that recovers from its own defects passes every other test.
"""

from collections import Counter
from typing import TYPE_CHECKING

from pbft.core.effects import Damaged, Diverged, Effects, TransferStarted, ViewChangeStarted
from pbft.core.ids import MILLISECOND
from pbft.testing.host import Host
from pbft.testing.observers import Observer
from pbft.testing.plan import Plan

if TYPE_CHECKING:
    from pbft.testing.simulator import Simulation

ALARMS = (ViewChangeStarted, TransferStarted, Diverged, Damaged)
MAX_DELAY_NS = 10 * MILLISECOND
REPEATED_SHARE = 0.25
"""Of the calls: one in fifty packets is ten times as late as the rest."""


def is_calm(plan: Plan) -> bool:
    """Whether nothing is wrong in a run of `plan`, from the beginning to the end."""
    faults = (
        *(plan.partitions, plan.crashes, plan.stops, plan.damages, plan.losses, plan.traitors),
        *(plan.loss, plan.duplicates, plan.outbursts, plan.faulty_clients, plan.round_cuts),
    )
    return not any(faults) and plan.delay_ns <= MAX_DELAY_NS


class Quietness(Observer):
    """Complains of any alarm in a calm run."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def begin(self, simulation: "Simulation") -> None:
        self._simulation = simulation
        self.judges = is_calm(simulation.plan)

    def turned(self, now: int, host: Host, effects: Effects) -> None:
        if self.judges:
            self._seen.update(type(e).__name__ for e in effects.events if isinstance(e, ALARMS))

    def ended(self, now: int) -> None:
        if not self.judges:
            return
        for what, count in sorted(self._seen.items()):
            self.complain(f"quietness: {what}, {count} times, and nothing was wrong")
        works = self._simulation.workloads.values()
        repeated = sum(work.session.retransmissions for work in works)
        if repeated > REPEATED_SHARE * sum(len(work.asked) for work in works):
            self.complain(f"quietness: clients asked {repeated} times again, and nothing was lost")
