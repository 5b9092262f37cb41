"""The clients' part of a simulation: correct sessions with their scripts, and faulty clients."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from pbft.client_session import ClientEffects, ClientSession
from pbft.core.authentication import Authentication, Verifier
from pbft.core.effects import Send
from pbft.core.ids import SECOND, ClientId, Instant, Packet, Principal
from pbft.core.messages import Read, Request
from pbft.core.wire import encode_link
from pbft.testing.checkers import Checkers
from pbft.testing.guests import Keyed, made_out, may_admit, tickets
from pbft.testing.observers import Observer
from pbft.testing.plan import Plan
from pbft.testing.scripts import Outburst, Saying, Script
from pbft.testing.subjects import Subject
from pbft.testing.workload import Workload


class Stage(Protocol):
    """The simulation, as its clients see it."""

    plan: Plan
    subject: Subject
    now: int
    faults: Counter[str]
    checkers: Checkers
    observers: Sequence[Observer]

    @property
    def instant(self) -> Instant: ...
    def at(self, time: int, action: Callable[[], None]) -> None: ...
    def post(self, source: Principal, send: Send) -> None: ...


class Clients:
    """All clients of one run. The plan is an explicit one."""

    def __init__(
        self, stage: Stage, signers: Mapping[Principal, Keyed], verifier: Verifier
    ) -> None:
        self._stage = stage
        self._signers = signers
        cluster = stage.plan.config.cluster_id
        self._signing = {
            name: Authentication(cluster, signer, verifier)
            for name, signer in signers.items()
            if isinstance(name, str)
        }
        self._tickets = tickets(signers, self._signing)
        self._alarms: set[tuple[str, int]] = set()
        self._last: dict[ClientId, Send] = {}
        """The last request of each correct client: anybody may have seen it."""
        scripts = (stage.plan.scripts or {}).items()
        self.workloads = {name: self._workload(name, script) for name, script in scripts}

    def _workload(self, name: ClientId, script: Script) -> Workload:
        signer = self._signers[name]
        session = ClientSession(
            self._stage.plan.config,
            name,
            signer=signer,
            first_timestamp=1,
            ticket=self._tickets.get(name, b""),
        )
        return Workload(session, script, self._stage.subject.reads)

    def schedule(self) -> None:
        """Correct clients begin after a second, or later; faulty ones act when the plan says."""
        for name, work in self.workloads.items():
            begin = max(SECOND, work.next_at)
            self._stage.at(begin, lambda name=name: self.arrive(name, []))  # type: ignore[misc]
        for outburst in self._stage.plan.outbursts or ():
            self._stage.at(outburst.at, lambda each=outburst: self._outburst(each))  # type: ignore[misc]

    def _outburst(self, outburst: Outburst) -> None:
        self._stage.faults["faulty client"] += 1
        helped = outburst.through in self._stage.plan.traitors
        for saying in outburst.says:
            source: Principal = outburst.client
            guest = saying.names or ""
            admitted = guest == saying.shows and may_admit(outburst.client, guest)
            if outburst.through is not None and helped:
                source = outburst.through
            elif admitted:
                source = guest
            send = self._said(outburst.client, saying)
            if saying.names is None or admitted:
                self._signs(send)
            for _ in range(saying.times):
                self._stage.post(source, send)

    def _said(self, client: ClientId, saying: Saying) -> Send:
        repeated = self._last.get(saying.repeats or "")
        if repeated is not None:
            return Send(saying.to, repeated.data, repeated.message)
        name, ticket = saying.names or client, self._shown(client, saying.shows)
        if saying.shows and saying.names is None:
            read = Read(1, saying.timestamp, saying.operations, stale=True, ticket=ticket)
            return Send(saying.to, encode_link(read), read)
        request = Request(name, saying.timestamp, saying.operations, ticket)
        signed = self._signing[client].sign(request)
        raw = bytearray(signed.raw)
        if saying.flipped is not None:
            raw[saying.flipped % len(raw)] ^= 1
        return Send(saying.to, bytes(raw), signed.message)

    def _shown(self, client: ClientId, guest: ClientId | None) -> bytes:
        """Anybody may have seen the tickets of others."""
        if guest is None or guest in self._tickets:
            return self._tickets.get(guest or "", b"")
        return made_out(guest, self._signers[client], self._signing[client])

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
            for observer in self._stage.observers:
                observer.completed(self._stage.now, name, completed.call)
            if completed.read_at is not None:
                self._stage.faults["fast read"] += 1
                workload.read_at[completed.call] = completed.read_at
        for send in effects.messages:
            self._signs(send)
            if isinstance(send.message, Request):
                self._last[name] = send
            self._stage.post(name, send)
