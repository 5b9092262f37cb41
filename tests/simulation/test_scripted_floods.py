"""FL, TM, WF and AC6: floods, clocks, timeouts and grammar, in whole runs."""

import random
from collections.abc import Iterable
from dataclasses import replace

import msgspec
import pytest

from pbft.core.effects import Send, ViewChangeStarted
from pbft.core.ids import SECOND, Instant, Principal
from pbft.core.messages import (
    AnyMessage,
    BatchBody,
    Certificate,
    Checkpoint,
    Commit,
    Decision,
    FetchBatch,
    FetchNodes,
    NewView,
    Node,
    Nodes,
    Place,
    Prepare,
    PrePrepare,
    Proposal,
    Reply,
    Request,
    Signable,
    StableProof,
    Status,
    ViewChange,
    Witness,
)
from pbft.core.wire import batch_digest, decode_batch, decode_signed, encode_body
from pbft.testing.byzantine.behaviour import Behaviour
from pbft.testing.byzantine.ordering import Silent
from pbft.testing.byzantine.pacing import Slow, StarveOne
from pbft.testing.simulator import WALL
from pbft.transport.alarm import Steps
from tests.simulation.script import LOST, Script, calm, seconds


class ManyProposals(Behaviour):
    """As primary: forty more batches under each number, all valid."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        yield send
        if not isinstance(send.message, Proposal):
            return
        pp, batch = decode_signed(send.message.pre_prepare), decode_batch(send.message.batch)
        assert isinstance(pp, PrePrepare)
        for more in range(1, 41):
            raw = encode_body(msgspec.structs.replace(batch, time=batch.time + more))
            other = msgspec.structs.replace(pp, digest=batch_digest(raw))
            yield self.say(send, Proposal(self.signed(other), raw))


@pytest.mark.scenario("FL6", "T9", kills="T9 a later pre-prepare replaces the first")
def test_of_a_thousand_proposals_under_a_few_numbers_the_first_stand() -> None:
    run = Script(calm(), traitors={0: ManyProposals})
    report = run.held(within=2.0)
    assert report.faults["attack: scripted"] >= 1000
    assert run.kinds() == {"conflicting pre-prepares"}
    for host in run.correct:
        bodies = host.replica._state.log.bodies  # type: ignore[attr-defined]
        assert len(bodies) <= 1 + run.plan.config.window


@pytest.mark.scenario("TM1", "TM2", "T37")
@pytest.mark.parametrize("maker", [Slow, StarveOne])
def test_a_primary_below_the_timeout_is_replaced_and_nobody_is_convicted(
    maker: type[Behaviour],
) -> None:
    class AboveIt(maker):  # type: ignore[misc, valid-type]
        PART = 1.1
        span = seconds(1.1)

    run = Script(calm(), traitors={0: AboveIt})
    run.held(within=3.0)
    assert run.views() == {1}
    assert run.blamed() == set()


@pytest.mark.scenario("AC6", kills="AC6 whoever lets a view fail is blamed")
def test_silence_is_no_evidence() -> None:
    run = Script(calm(), traitors={0: Silent})
    run.held(within=2.0)
    assert run.views() == {1}
    assert run.blamed() == set()


@pytest.mark.scenario("TM3", "T25")
def test_after_views_have_failed_for_long_the_next_ones_come_within_the_cap() -> None:
    """No NEW-VIEW arrives for half a minute; then f+1 capped timeouts and a little."""
    bad = seconds(30)

    def rule(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        lost = run.now < bad and isinstance(message, NewView | Proposal)
        return LOST if lost else None

    plan = replace(calm(operations=12), gst_ns=bad)
    run = Script(plan, traitors={3: Silent}, network=rule)
    run.held()
    waited = max(
        at - max(work.asked[call], bad)
        for work in run.workloads.values()
        for call, at in work.answered_at.items()
    )
    cap = run.plan.config.timeout_max_ns
    assert waited < 2 * (cap + SECOND) + seconds(1)


@pytest.mark.scenario("TM5", "T31", kills="T31 waits end by their own body only")
def test_a_request_that_comes_after_its_batch_is_waited_for_by_nobody() -> None:
    def rule(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        early = isinstance(message, Request) and target != 0
        return seconds(0.2) if early else None

    class ToAll(Script):
        def post(self, source: Principal, send: Send, node: Principal | None = None) -> None:
            to = (0, 1, 2, 3) if isinstance(source, str) else send.to
            super().post(source, Send(to, send.data, send.message), node)

    run = ToAll(calm(), network=rule)
    report = run.held(within=1.0)
    assert report.view_changes == 0
    assert all(host.replica.status().waiting == 0 for host in run.hosts)


@pytest.mark.scenario("TM7", "T48", kills="T48 times must rise at receipt")
@pytest.mark.parametrize("jump", [3600 * SECOND, -3600 * SECOND])
def test_wall_clocks_that_jump_together_are_not_noticed(jump: int) -> None:
    """There and back, twenty times a second: much is under way each time."""
    steps = Steps(Instant(0, WALL))

    class Jumps(Script):
        @property
        def instant(self) -> Instant:
            now = super().instant
            there = self.now > seconds(0.5) and self.now // seconds(0.05) % 2
            return steps.noted(Instant(now.monotonic, now.wall + (jump if there else 0)))

    run = Jumps(calm(operations=60))
    report = run.held(within=1.0)
    assert report.view_changes == 0


@pytest.mark.scenario("TM11", "T23", kills="TM11 nobody joins those who are ahead")
def test_replicas_with_other_timeouts_come_together() -> None:
    plan = calm()
    configs = {
        replica: replace(plan.config, request_timeout_ns=seconds(factor))
        for replica, factor in enumerate((1, 2, 4, 1))
    }
    run = Script(plan, traitors={0: Silent}, configs=configs)
    run.held(within=3.0)
    assert run.views() == {1}


class Grammar(Behaviour):
    """Any message that its key can sign, about where the cluster is now, beside honest work."""

    PER_TURN = 3

    def __init__(self, honest: object) -> None:
        super().__init__(honest)  # type: ignore[arg-type]
        self._digests = [bytes(32)]
        self._raws = [b""]

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        self._digests = [*self._digests[-20:], getattr(send.message, "digest", bytes(32))]
        self._raws = [*self._raws[-40:], send.data]
        return (send,)

    def extra(self, now: Instant) -> Iterable[Send]:
        others = tuple(r for r in range(self.honest.config.n) if r != self.honest.number)
        for _ in range(self.PER_TURN):
            message = self._anything()
            to = tuple(self.rng.sample(others, self.rng.randrange(1, len(others) + 1)))
            yield self.say(Send(to, b"", message), message)

    def _anything(self) -> AnyMessage:
        pick, me = self.rng.choice, self.honest.number
        status = self.honest.status()
        view = max(0, status.view + pick((-1, 0, 0, 0, 1, 2, 4, 10**12)))
        number = max(0, pick((status.executed, status.low_watermark)) + pick((-1, 0, 1, 2, 8, 40)))
        digest, raws = pick(self._digests), tuple(self.rng.choices(self._raws, k=3))
        signed: list[Signable] = [
            Prepare(view, number, digest, me),
            Commit(view, number, digest, me),
            Checkpoint(number - number % 8, digest, pick((me, 0))),
            ViewChange(view, number, raws, (Certificate(raws[0], raws[1:]),), me),
            ViewChange(view, 0, (), (), me),
            NewView(view, raws, raws, me),
            Request("client-0", number, (b"",)),
        ]
        pre_prepare = self.signed(PrePrepare(view, number, digest, me))
        linked: list[AnyMessage] = [
            Proposal(pick((pre_prepare, raws[2])), pick(raws)),
            Status(view, pick((True, False)), number, number + 5, pick((True, False))),
            Witness(raws, raws),
            FetchBatch(digest),
            BatchBody(raws[0]),
            Decision(pre_prepare, raws, raws[1]),
            StableProof(raws),
            FetchNodes((Place(digest[:2], digest),) * 3),
            Nodes((Node(digest[:2], digest, raws[0]),)),
            Reply(view, number, digest, number, (raws[0],), me),
        ]
        return pick([*signed, *linked])


@pytest.mark.scenario("WF5", "T41", kills="T41 decoding errors escape")
@pytest.mark.parametrize("seed", [1, 2])
def test_anything_that_a_key_can_sign_harms_nobody(seed: int) -> None:
    run = Script(calm(seed=seed), traitors={3: Grammar})
    report = run.held()
    assert report.faults["attack: scripted"] > 300


class SmallScope(Behaviour):
    """In the first rounds, `changed` messages are changed a little and `dropped` are kept, for
    some of their receivers."""

    ROUNDS = 8
    cell = (0, 0, 0)

    def __init__(self, honest: object) -> None:
        super().__init__(honest)  # type: ignore[arg-type]
        changed, dropped, _ = self.cell
        self._dice = random.Random(f"{self.cell}")
        rounds = [self._dice.randrange(self.ROUNDS) for _ in range(changed + dropped)]
        self._change, self._drop = set(rounds[:changed]), set(rounds[changed:])
        self._old: list[Signable] = []

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        message = send.message
        if not isinstance(message, Prepare | Commit | Checkpoint | ViewChange | NewView):
            return (send,)
        number = getattr(message, "sequence", 0)
        some = tuple(to for to in send.to if self._dice.random() < 0.5)
        rest = tuple(to for to in send.to if to not in some)
        kept = [Send(rest, send.data, message)] if rest else []
        self._old.append(message)
        if number in self._drop:
            self.acted += 1
            return kept
        if number in self._change and some:
            other = self._changed(message)
            return [*kept, self.say(Send(some, b"", other), other)]
        return (send,)

    def _changed(self, message: Signable) -> Signable:
        if self._dice.random() < 0.2:
            return self._dice.choice(self._old)
        fields = ("view", "sequence", "digest", "replica")
        name = self._dice.choice([each for each in fields if each in message.__struct_fields__])
        if name == "digest":
            value: bytes | int = self.some_digest()
        elif name == "replica":
            value = (self.honest.number + 1) % self.honest.config.n
        else:
            value = max(0, getattr(message, name) + self._dice.choice((-1, 1)))
        return msgspec.structs.replace(message, **{name: value})


@pytest.mark.scenario(
    "WF6",
    control="tests/simulation/test_seeds.py::test_the_control_breaks_agreement_and_is_caught",
)
@pytest.mark.parametrize("changed", range(3))
@pytest.mark.parametrize("dropped", range(3))
def test_small_changes_in_the_first_rounds(changed: int, dropped: int) -> None:
    for traitor in (0, 3):
        maker = type("Cell", (SmallScope,), {"cell": (changed, dropped, traitor)})
        run = Script(calm(operations=12), traitors={traitor: maker}, network=None)
        run.held()
    assert not [e for _, _, e in run.happened if isinstance(e, ViewChangeStarted) and e.view > 4]
