"""CL and RP: clients that misbehave or are mistreated, and what is said again, in whole runs."""

import copy
from collections.abc import Iterable, Sequence

import msgspec
import pytest

from pbft.core.effects import Effects, Send
from pbft.core.ids import Instant, Packet, Principal
from pbft.core.messages import (
    AnyMessage,
    Batch,
    Commit,
    PrePrepare,
    Proposal,
    Read,
    ReadReply,
    Reply,
    Request,
)
from pbft.core.replica import Replica
from pbft.core.wire import batch_digest, decode, decode_batch, decode_signed, encode_body
from pbft.testing.byzantine.behaviour import Behaviour
from pbft.testing.byzantine.lying import LieToClients
from pbft.testing.byzantine.ordering import Replay
from pbft.testing.plan import Plan
from tests.simulation.script import LOST, Rule, Script, calm, place, seconds
from tests.simulation.test_equivocation import HalfSilent


class Kept(Script):
    """Remembers the first request of the first client, and the replies to it."""

    def __init__(self, plan: Plan, network: Rule | None = None) -> None:
        super().__init__(plan, network=network)
        self.first: Send | None = None
        self.replies: list[tuple[int, Principal]] = []

    def post(self, source: Principal, send: Send, node: Principal | None = None) -> None:
        message = send.message
        if self.first is None and isinstance(message, Request) and source == "client-0":
            self.first = send
        if isinstance(message, Reply) and send.to == ("client-0",) and message.timestamp == 1:
            self.replies.append((self.now, source))
        super().post(source, send, node)


@pytest.mark.scenario("CL1", "T55", kills="CL1 whoever asks again is not answered")
def test_a_request_that_is_sent_a_thousand_times_executes_once_and_is_answered() -> None:
    run = Kept(calm())

    def storm() -> None:
        assert run.first is not None
        for _ in range(1000):
            run.arrives("client-0", Send((0, 1, 2, 3), run.first.data, run.first.message))

    run.at(seconds(1.5), storm)
    run.held(within=1.0)
    later = [each for each in run.replies if each[0] > seconds(1.5)]
    assert 4 <= len(later) < 500


@pytest.mark.scenario("CL3", "T38", kills="T38 no forwarding")
@pytest.mark.parametrize("told", [(2,), (2, 3), (0,)])
def test_a_request_that_reaches_some_replicas_only_is_passed_on_at_once(
    told: tuple[int, ...],
) -> None:
    def rule(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        return LOST if isinstance(source, str) and target not in told else None

    class ToAll(Script):
        def post(self, source: Principal, send: Send, node: Principal | None = None) -> None:
            to = (0, 1, 2, 3) if isinstance(source, str) else send.to
            super().post(source, Send(to, send.data, send.message), node)

    run = ToAll(calm(), network=rule)
    report = run.held(within=0.15)
    assert report.view_changes == 0


class UnsignedRequests(Behaviour):
    """As primary: one bit of the first request's signature is another in every batch."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        if not isinstance(send.message, Proposal):
            return (send,)
        batch = decode_batch(send.message.batch)
        first = bytearray(batch.requests[0])
        first[10] ^= 1
        raw = encode_body(Batch(batch.time, (bytes(first), *batch.requests[1:])))
        return (self.say(send, _signed_anew(self, send.message, raw)),)


def _signed_anew(traitor: Behaviour, proposal: Proposal, batch: bytes) -> Proposal:
    pp = decode_signed(proposal.pre_prepare)
    assert isinstance(pp, PrePrepare)
    return Proposal(traitor.signed(msgspec.structs.replace(pp, digest=batch_digest(batch))), batch)


@pytest.mark.scenario("CL4", "AC1", kills="CL4 a primary is not blamed for what nobody signed")
def test_a_primary_that_proposes_what_no_client_signed_convicts_itself() -> None:
    run = Script(calm(), traitors={0: UnsignedRequests})
    run.held(within=2.0)
    assert run.kinds() == {"proposal with a bad request"}
    assert run.views() == {1}


@pytest.mark.scenario("CL7", kills="CL7 the newest timestamp closes all before it")
def test_what_was_asked_before_executes_after_what_was_asked_last() -> None:
    """The fifth of five requests that are under way is ordered first."""

    def rule(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        first = isinstance(message, Request) and message.timestamp < 5
        return seconds(0.3) if first and run.now < seconds(1.2) else None

    order: list[int] = []
    run = Script(calm(seed=3, operations=60), network=rule)
    assert max(work._at_once for work in run.workloads.values()) == 4
    run.held(within=1.0)
    for key, sequence in sorted(run.checkers.executed_at.items(), key=lambda item: item[1]):
        order += [key[1]] if key[0] == "client-0" else []
        assert sequence > 0
    assert len(order) == len(set(order))


@pytest.mark.scenario("CL9", "T32", kills="T32 one reply is enough")
def test_wrong_replies_that_come_first_are_not_believed() -> None:
    def rule(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        return seconds(0.05) if isinstance(message, Reply) and source != 3 else None

    run = Script(calm(), traitors={3: LieToClients}, network=rule)
    report = run.held(within=1.0)
    assert report.faults["attack: scripted"] >= 30


class LivesInThePast(Behaviour):
    """From a time on it answers reads from what it knew then, and is honest in all else."""

    SINCE = seconds(1.4)
    _old: Replica | None = None

    def receive(self, packets: Sequence[Packet], now: Instant) -> Effects:
        if now.monotonic >= self.SINCE and self._old is None:
            self._old = copy.deepcopy(self.honest)
        if self._old is None:
            return super().receive(packets, now)
        reads = [p for p in packets if isinstance(decode(p.data), Read)]
        self.acted += len(reads)
        effects = super().receive([p for p in packets if p not in reads], now)
        effects.replies += self._old.receive(reads, now).replies
        return effects


@pytest.mark.scenario("CL11", "T32", kills="T32 f+1 answers are enough for a fast read")
def test_a_traitor_and_a_laggard_that_agree_about_the_past_are_not_believed() -> None:
    """R2 is correct and hears no replica from the same moment on; nothing was under way then."""

    def rule(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        pause = LivesInThePast.SINCE - seconds(0.2) <= run.now < LivesInThePast.SINCE
        if pause and isinstance(message, Proposal):
            return LivesInThePast.SINCE + seconds(0.02) - run.now
        behind = LivesInThePast.SINCE <= run.now < seconds(3)
        if behind and target == 2 and isinstance(source, int):
            return LOST
        slow = isinstance(message, ReadReply) and source in (0, 1) and behind
        return seconds(0.05) if slow else None

    plan = calm(seed=3, operations=120, fast_reads=True, checkpoint_interval=64, window=128)
    run = Script(plan, traitors={3: LivesInThePast}, network=rule)
    report = run.held(within=4.0)
    assert report.faults["fast read"] > 0
    assert report.faults["attack: scripted"] > 10


@pytest.mark.scenario("CL12")
def test_reads_beside_writes_that_never_end_are_answered() -> None:
    """Where replicas are not equally far when they are asked, the read is ordered."""

    def rule(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        if isinstance(message, Commit):
            return seconds(0.02) * (int(target) if isinstance(target, int) else 0)
        return None

    run = Script(calm(seed=3, operations=90, fast_reads=True), network=rule)
    run.held(within=1.0)
    assert run.views() == {0}


class Starves(HalfSilent):
    """And answers no client itself."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        return () if isinstance(send.message, Reply) else super().bend(send, now)


@pytest.mark.scenario("CL13", "T32", kills="T12 no decision for laggards")
def test_a_primary_that_starves_a_replica_and_withholds_its_reply() -> None:
    """With fast reads every ordered call needs a quorum of replies: R3's among them."""
    run = Script(calm(operations=6, fast_reads=True), traitors={0: Starves})
    run.held(within=1.0)
    assert run.views() == {0}


class OldBatches(Behaviour):
    """As primary: every third number gets the batch of the first."""

    _first: bytes | None = None

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        message = send.message
        if not isinstance(message, Proposal):
            return (send,)
        self._first = self._first or message.batch
        if place(message)[1] % 3:
            return (send,)
        return (self.say(send, _signed_anew(self, message, self._first)),)


@pytest.mark.scenario("RP6", "T11", kills="T11 duplicates execute again")
def test_a_primary_that_proposes_an_executed_batch_again() -> None:
    run = Script(calm(), traitors={0: OldBatches})
    report = run.held(within=4.0)
    assert report.faults["attack: scripted"] > 0


class ReplaysTheDead(Replay):
    """Repeats only what replica 2 has said."""

    def _keep(self, data: bytes) -> None:
        message = decode(data)
        if getattr(message, "replica", None) == 2:
            super()._keep(data)


@pytest.mark.scenario("RP7", "RP2")
def test_what_a_dead_replica_said_does_not_keep_it_alive() -> None:
    """R2 has complained about view 0 when it dies; R3 repeats that, and its votes, for ever."""

    def rule(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        deaf = target == 2 and seconds(1.2) < run.now < seconds(3)
        return LOST if deaf and isinstance(source, int) else None

    run = Script(calm(7, operations=60), traitors={3: ReplaysTheDead}, network=rule)
    run.at(seconds(3), lambda: run.crash(run.hosts[2]))
    run.at(seconds(9), lambda: run.restart(run.hosts[2]))
    report = run.held(within=9.0)
    assert report.faults["attack: scripted"] > 20
    assert max(run.views()) <= 2
