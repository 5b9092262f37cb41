"""What happens to the replicas of a simulation: crashes and restarts, stops at fail points, disks
that are damaged or lost.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

from pbft.testing.checkers import Checkers
from pbft.testing.disk import DiskDamagedError, Harm
from pbft.testing.failpoints import Boundary, Stops
from pbft.testing.host import Host
from pbft.testing.losses import schedule
from pbft.testing.observers import Observer
from pbft.testing.plan import Damage, Plan


class Stage(Protocol):
    """The simulation, as this sees it."""

    plan: Plan
    now: int
    faults: Counter[str]
    checkers: Checkers
    hosts: list[Host]
    observers: Sequence[Observer]

    def at(self, time: int, action: Callable[[], None]) -> None: ...
    def wake(self, host: Host) -> None: ...


class Misfortunes:
    """Of one run."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._stops = Stops(stage.plan.stops)

    @property
    def hosts(self) -> list[Host]:
        """Of all replicas."""
        return self._stage.hosts

    def at(self, time: int, action: Callable[[], None]) -> None:
        """Have `action` happen then."""
        self._stage.at(time, action)

    def schedule(self) -> None:
        """Have everything happen that the plan has a time for."""
        plan = self._stage.plan
        for crash in plan.crashes:
            host = self.hosts[crash.replica]
            self.at(crash.begin, lambda host=host: self.crash(host))  # type: ignore[misc]
            self.at(crash.end, lambda host=host: self.restart(host))  # type: ignore[misc]
        for damage in plan.damages:
            self.at(damage.begin, lambda damage=damage: self._harm(damage))  # type: ignore[misc]
        for loss in plan.losses:
            schedule(self, loss)

    def count(self, what: str, replica: int | None = None) -> None:
        """Note that it happened."""
        self._stage.faults[what] += 1
        for each in self._stage.observers:
            each.fault(self._stage.now, what, replica)

    def crash(self, host: Host) -> None:
        """It dies here and now, if it runs."""
        if host.up:
            self.count("crash", host.number)
            host.crash()
            if host.correct:
                self._stage.checkers.departures.died(host.number)

    def restart(self, host: Host) -> None:
        """It begins again from its disk, if it is down and may."""
        if host.up or host.refused:
            return
        try:
            records = host.restart()
        except DiskDamagedError:
            self.refuse(host)
            return
        self.count("restart", host.number)
        self._stage.checkers.restarted(host.number, host.replica.status().executed, records)
        self._stage.wake(host)

    def recovered(self, host: Host) -> None:
        """The operator has had it recover."""
        self.count("recovered", host.number)
        self._stage.checkers.forgot(host.number)

    def refuse(self, host: Host) -> None:
        """It stops for good. A whole disk must never lead here."""
        self.count("refused to run", host.number)
        if host.up:
            host.crash()
        host.refused = True
        if host.correct:
            text = f"persistence: replica {host.number} refuses its whole disk"
            self._stage.checkers.complain(text)

    def stopped(self, host: Host, boundary: Boundary, kinds: set[str]) -> bool:
        """Whether the host has just died at a fail point."""
        now, plan = self._stage.now, self._stage.plan
        if now >= plan.gst_ns or host.number in plan.traitors:
            return False
        stop = self._stops.reached(boundary, kinds)
        if stop is None:
            return False
        self.count("fail point", host.number)
        for each in self.hosts if stop.everyone else [host]:
            self.crash(each)
            back = min(now + stop.down_ns, plan.gst_ns)
            self.at(back, lambda each=each: self.restart(each))  # type: ignore[misc]
        return True

    def _harm(self, damage: Damage) -> None:
        """From here on this replica counts among the f, unless it is to put that right itself."""
        host = self.hosts[damage.replica]
        if not host.up and host.disk.damage(damage.harm):
            self.count(f"disk: {damage.harm.value}", host.number)
            host.correct = host.correct and damage.harm is Harm.LEAF
