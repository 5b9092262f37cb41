"""The four steps of the driver on a virtual clock: records durable, messages sent, one timer armed,
events reported. A turn is what arrives within `TURN_DELAY_NS` of its first packet.
"""

import random
from collections.abc import Callable, Sequence
from typing import Protocol

from pbft.core.effects import Effects, Evidence, Send
from pbft.core.ids import MILLISECOND, Instant, Packet, Principal
from pbft.core.records import AnyRecord
from pbft.testing.checkers import Checkers
from pbft.testing.failpoints import Boundary
from pbft.testing.host import Host, Pending
from pbft.testing.misfortunes import Misfortunes
from pbft.testing.observers import Observer
from pbft.testing.plan import Plan

TURN_DELAY_NS = MILLISECOND // 5
"""A burst: what arrives within this of its first packet is one turn."""


class Stage(Protocol):
    """The simulation, as this sees it."""

    plan: Plan
    now: int
    checkers: Checkers
    hosts: list[Host]
    observers: Sequence[Observer]
    misfortunes: Misfortunes

    @property
    def instant(self) -> Instant: ...
    def at(self, time: int, action: Callable[[], None]) -> None: ...
    def post(self, source: Principal, send: Send, node: Principal | None = None) -> None: ...


class Driving:
    """Of all hosts of one run."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._rng = random.Random(f"run {stage.plan.seed}")

    def arrive(self, host: Host, packet: Packet) -> None:
        """A packet for a replica: lost where that is down."""
        if not host.up:
            return
        for each in self._stage.observers:
            each.arrived(self._stage.now, host, packet)
        self._stage.checkers.departures.heard(host.number, packet.data)
        host.inbox.append(packet)
        if host.turn_at is None:
            host.turn_at = self._stage.now + TURN_DELAY_NS
            life = host.life
            self._stage.at(host.turn_at, lambda: self._turn(host, life))

    def _turn(self, host: Host, life: int) -> None:
        if host.life != life:
            return
        host.turn_at = None
        packets, host.inbox = host.inbox, []
        self._done(host, host.replica.receive(packets, self._stage.instant))

    def wake(self, host: Host) -> None:
        """Arm the host's one timer, unless it has died in the turn that set it."""
        deadline = host.replica.deadline
        if deadline is None or not host.up:
            return
        when = max(deadline, self._stage.now)
        if host.alarm_at is not None and host.alarm_at <= when:
            return
        host.alarm_at = when
        life = host.life
        self._stage.at(when, lambda: self._ring(host, life, when))

    def _ring(self, host: Host, life: int, when: int) -> None:
        if host.life != life or host.alarm_at != when:
            return
        host.alarm_at = None
        deadline = host.replica.deadline
        if deadline is not None and deadline <= self._stage.now:
            self._done(host, host.replica.expire(self._stage.instant))
        else:
            self.wake(host)

    def _done(self, host: Host, effects: Effects) -> None:
        """Steps 1 to 4 of the driver, with the disk's delay between the first two."""
        stage = self._stage
        if host.correct:
            for event in effects.events:
                stage.checkers.happened(host.number, event)
        for observer in stage.observers:
            observer.turned(stage.now, host, effects)
        for evidence in effects.evidence:
            self._accused(host, evidence)
        transaction = host.disk.write(effects.records) if effects.records else 0
        pending = Pending(host.life, transaction, effects)
        if "Forgotten" in pending.kinds and host.number not in stage.plan.traitors:
            stage.misfortunes.refuse(host)
            return
        if stage.misfortunes.stopped(host, Boundary.UNSYNCED, pending.kinds):
            return
        disk = self._rng.randrange(stage.plan.disk_delay_ns + 1) if effects.records else 0
        host.durable_until = max(host.durable_until, stage.now + disk)
        if host.durable_until <= stage.now:
            self._release(host, pending)
        else:
            stage.at(host.durable_until, lambda: self._release(host, pending))
        self.wake(host)

    def _release(self, host: Host, pending: Pending) -> None:
        """The records are durable: what they promise may leave, if nothing stops us."""
        if host.life != pending.life:
            return
        effects, stopped = pending.effects, self._stage.misfortunes.stopped
        host.disk.sync(pending.transaction)
        for record in effects.records:
            self._durable(host, record)
        for observer in self._stage.observers:
            observer.released(self._stage.now, host, effects)
        if stopped(host, Boundary.SYNCED, pending.kinds):
            return
        if not all(self._leaves(host, send) for send in effects.messages):
            return
        if effects.replies and stopped(host, Boundary.UNANSWERED, {"Reply"}):
            return
        for send in effects.replies:
            self._leaves(host, send)
        if not host.replica.status().active:
            stopped(host, Boundary.INACTIVE, {"turn"})

    def _durable(self, host: Host, record: AnyRecord) -> None:
        if host.correct:
            self._stage.checkers.durable(host.number, record)
        for observer in self._stage.observers:
            observer.durable(self._stage.now, host, record)

    def _leaves(self, host: Host, send: Send) -> bool:
        """One message, receiver by receiver; whether the host lives on."""
        if host.correct:
            self._stage.checkers.sent(host.number, send)
        kinds = {type(send.message).__name__}
        for count, target in enumerate(send.to):
            one = Send((target,), send.data, send.message)
            self._stage.post(host.number, one, host.node)
            boundary = (Boundary.FIRST, Boundary.SECOND)[count : count + 1]
            if boundary and self._stage.misfortunes.stopped(host, boundary[0], kinds):
                return False
        return True

    def _accused(self, host: Host, evidence: Evidence) -> None:
        if not host.correct:
            return
        self._stage.misfortunes.count("evidence")
        culprit = self._stage.hosts[evidence.culprit]
        if culprit.correct and not culprit.lost:
            text = f"accountability: {evidence.kind} blames replica {evidence.culprit}"
            self._stage.checkers.complain(text)
