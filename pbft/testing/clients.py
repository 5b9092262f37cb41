"""The clients' part of a simulation: correct sessions with their workloads, and faulty clients."""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol

from pbft.client_session import ClientEffects, ClientSession
from pbft.core.authentication import Authentication, Signer, Verifier
from pbft.core.effects import Send
from pbft.core.ids import SECOND, Instant, Packet, Principal
from pbft.testing.checkers import Checkers
from pbft.testing.plan import Plan
from pbft.testing.workload import FaultyClient, Workload


class Stage(Protocol):
    """The simulation, as its clients see it."""

    plan: Plan
    now: int
    faults: Counter[str]
    checkers: Checkers

    @property
    def instant(self) -> Instant: ...
    def at(self, time: int, action: Callable[[], None]) -> None: ...
    def post(self, source: Principal, send: Send) -> None: ...


def correct_names(plan: Plan) -> list[str]:
    """The correct clients of a plan."""
    return [f"client-{i}" for i in range(plan.clients)]


def faulty_names(plan: Plan) -> list[str]:
    """Those that sign whatever they like."""
    return [f"mallory-{i}" for i in range(plan.faulty_clients)]


class Clients:
    """All clients of one run."""

    def __init__(
        self, stage: Stage, signers: Mapping[Principal, Signer], verifier: Verifier
    ) -> None:
        self._stage = stage
        self._signers = signers
        self._verifier = verifier
        self._alarms: set[tuple[str, int]] = set()
        self.workloads = {name: self._workload(name) for name in correct_names(stage.plan)}

    def _workload(self, name: str) -> Workload:
        plan = self._stage.plan
        session = ClientSession(plan.config, name, signer=self._signers[name], first_timestamp=1)
        share = plan.operations // plan.clients
        return Workload(session, random.Random(f"{name} {plan.seed}"), share)

    def schedule(self) -> None:
        """Correct clients begin after a second; faulty ones act at twenty random times."""
        for name in self.workloads:
            self._stage.at(SECOND, lambda name=name: self.arrive(name, []))  # type: ignore[misc]
        plan = self._stage.plan
        for name in faulty_names(plan):
            authentication = Authentication(
                plan.config.cluster_id, self._signers[name], self._verifier
            )
            rng = random.Random(f"{name} {plan.seed}")
            client = FaultyClient(name, plan.config, authentication, rng)
            for _ in range(20):
                when = rng.randrange(SECOND, plan.gst_ns + SECOND)
                self._stage.at(when, lambda c=client, n=name: self._outburst(n, c))  # type: ignore[misc]

    def _outburst(self, name: str, client: FaultyClient) -> None:
        self._stage.faults["faulty client"] += 1
        for send in client.act():
            self._signs(send)
            self._stage.post(name, send)

    def _signs(self, send: Send) -> None:
        """Remember what clients really signed."""
        message = send.message
        key = (getattr(message, "client", ""), getattr(message, "timestamp", 0))
        self._stage.checkers.signed_by_clients.add(key)

    def arrive(self, name: str, packets: list[Packet]) -> None:
        """Packets for a correct client; or none, when it is time for it to act."""
        workload = self.workloads[name]
        if packets:
            self._client_done(name, workload.session.receive(packets, self._stage.instant))
        workload.go_on(self._stage.now)
        if not workload.done and workload.next_at > self._stage.now:
            self._alarm(name, workload.next_at)
        deadline = workload.session.deadline
        if deadline is not None and deadline <= self._stage.now:
            self._client_done(name, workload.session.expire(self._stage.instant))
            deadline = workload.session.deadline
        if deadline is not None:
            self._alarm(name, deadline)

    def _alarm(self, name: str, when: int) -> None:
        """Once per client and time."""
        if (name, when) not in self._alarms:
            self._alarms.add((name, when))
            self._stage.at(when, lambda: self.arrive(name, []))

    def _client_done(self, name: str, effects: ClientEffects) -> None:
        workload = self.workloads[name]
        for completed in effects.completed:
            workload.answers[completed.call] = completed.result
            workload.answered_at[completed.call] = self._stage.now
            if completed.read_at is not None:
                self._stage.faults["fast read"] += 1
                workload.read_at[completed.call] = completed.read_at
        for send in effects.messages:
            self._signs(send)
            self._stage.post(name, send)
