"""A replica as its driver sees it: bursts of packets in, effects out (one *turn*).

    packets -> decode -> worth it? -> verify -> ABSORB -> ACT -> SETTLE -> Effects

Absorbing puts each message where it belongs. Then the rules below act, in this order and again,
until nothing changes. Only their order is written here; what each does is in `protocol`.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from pbft.core.authentication import Authentication, Signer, Verifier
from pbft.core.config import Configuration
from pbft.core.effects import Effects, Evidence
from pbft.core.errors import DecodeError
from pbft.core.ids import Digest, Instant, Packet, ReplicaId
from pbft.core.ingress import BadRequestError, DropError, Ingress
from pbft.core.messages import AnyMessage, Commit, Decision, Prepare, Proposal, Request
from pbft.core.protocol import (
    admission,
    checkpointing,
    deadlines,
    execution,
    ordering,
    performance,
    recovery,
    retransmission,
    state_transfer,
    view_change,
    witness,
)
from pbft.core.records import AnyRecord
from pbft.core.restore import restore
from pbft.core.service import Guard, Service
from pbft.core.state.machine import Machine
from pbft.core.state.replica_state import ReplicaState
from pbft.core.status import ReplicaStatus
from pbft.core.turn import Turn
from pbft.core.wire import decode
from pbft.crypto.trie import Path

Rule = Callable[[ReplicaState, Turn], bool]

RULES: tuple[Rule, ...] = (
    recovery.begin,
    view_change.join,
    view_change.lead,
    view_change.enter,
    ordering.replay,
    ordering.propose,
    ordering.prepare,
    ordering.commit,
    ordering.decide,
    execution.execute,
    view_change.progress,
    checkpointing.take,
    checkpointing.cast,
    checkpointing.certify,
    checkpointing.stabilise,
    state_transfer.repair,
    state_transfer.finish,
)
"""Until none of them acts any more: each may complete the guard of another."""

CLOSING: tuple[Rule, ...] = (
    ordering.look_for_bodies,
    ordering.forward,
    performance.watch,
    execution.answer,
    execution.answer_reads,
    execution.attest,
    execution.acknowledge,
    retransmission.answer,
    state_transfer.ask,
    state_transfer.serve,
)
"""Once per turn, after the others: they only send."""

ROUNDS_PER_TURN = 16

VOTE_US, MESSAGE_US, CHECK_US, BYTES_PER_US = 5, 20, 275, 1024
"""What a vote, proposal or decision costs that came too late, about, as some of every correct peer
do; another message; each signature that was checked; its size. A signature takes a fifth of that:
but correct peers hardly ever let us check one for nothing."""
LAGGARD_US = 1
"""What they cost while we know that we are behind: all that others say is beyond us then, and who
is not heard cannot help us to catch up."""
NUISANCE_PER_TURN_US = 20_000
"""What one peer may make us do for nothing, before the rest of what it sent is dropped unread."""


class Replica:
    """One replica of the cluster, honest by construction: misbehaviour is built around it.

    It votes only once a quorum, itself included, has shown no vote of its own that is not in
    `records`. `guard` says what each client may call. Raises `RecordError` where records contradict
    each other or the cluster.
    """

    def __init__(
        self,
        config: Configuration,
        replica: ReplicaId,
        *,
        signer: Signer,
        verifier: Verifier,
        service: Service,
        guard: Guard | None = None,
        records: Sequence[AnyRecord] = (),
        now: Instant,
    ) -> None:
        authentication = Authentication(config.cluster_id, signer, verifier)
        self.config = config
        self.number = replica
        self.authentication = authentication
        self._ingress = Ingress(config, authentication)
        self._state = ReplicaState(config, replica, authentication, Machine(service, guard))
        restore(self._state, self._ingress, records)
        self._again = False
        deadlines.settle(self._state, Turn(now, self._state.others))

    def receive(self, packets: Sequence[Packet], now: Instant) -> Effects:
        """Absorb a burst, then act once. Any bytes may come; none raise."""
        turn = Turn(now, self._state.others)
        nuisance = turn.effects.nuisance
        for packet in packets:
            if nuisance and nuisance.get(packet.peer, 0) > NUISANCE_PER_TURN_US:
                self._state.drops["too much of no use in one turn"] += 1
            else:
                self._absorb(turn, packet)
        return self._act(turn)

    def expire(self, now: Instant) -> Effects:
        """Fire the timers that are due, then act."""
        turn = Turn(now, self._state.others)
        for key in self._state.timers.due(now.monotonic):
            deadlines.fire(self._state, turn, key)
        return self._act(turn)

    def mend(self, leaves: Sequence[Digest], places: Sequence[Path], now: Instant) -> Effects:
        """Put on record again what has rotted on the disk: these leaves of the state, and which
        leaves lie at these places of the stable one (T54)."""
        turn = Turn(now, self._state.others)
        checkpointing.mend(self._state, turn, leaves, places)
        return self._act(turn)

    @property
    def deadline(self) -> int | None:
        """When `expire` wants to be called (monotonic ns); 0 for at once (T49)."""
        return 0 if self._again else self._state.timers.next()

    def _absorb(self, turn: Turn, packet: Packet) -> None:
        """Take a message in, and charge its sender for what was of no use (FL5)."""
        state = self._state
        checks, drops = state.authentication.checks, state.drops.total()
        message = self._take_in(turn, packet)
        if state.drops.total() > drops or not admission.of_use(state, message):
            effort = CHECK_US * (state.authentication.checks - checks)
            late = isinstance(message, Prepare | Commit | Proposal | Decision)
            late |= isinstance(message, Request) and isinstance(packet.peer, int)
            cost = VOTE_US if late else MESSAGE_US
            cost += len(packet.data) // BYTES_PER_US + effort
            if late and not effort and state_transfer.behind(state):
                cost = LAGGARD_US
            turn.charge(packet.peer, cost)

    def _take_in(self, turn: Turn, packet: Packet) -> AnyMessage | None:
        state = self._state
        try:
            message = decode(packet.data)
            witness.note(state, packet.peer, message, packet.data)
            reason = admission.refusal(state, packet.peer, message)
            if reason is not None:
                state.drops[reason] += 1
                return message
            verified = self._ingress.verify(message, packet.data)
        except DecodeError:
            state.drops["malformed"] += 1
            return None
        except DropError as rejected:
            state.drops[rejected.reason] += 1
            _blame(state, turn, rejected)
            return None
        handler: Callable[..., Any] = admission.HANDLERS[type(message)]
        handler(state, turn, packet.peer, verified)
        return message

    def _act(self, turn: Turn) -> Effects:
        state = self._state
        rounds = 0
        while rounds < ROUNDS_PER_TURN and _round(state, turn):
            rounds += 1
        for rule in CLOSING:
            rule(state, turn)
        self._again = rounds >= ROUNDS_PER_TURN
        if not self._again:
            state.log.touched.clear()
        deadlines.settle(state, turn)
        return turn.effects

    def status(self) -> ReplicaStatus:
        """A frozen look at this replica."""
        state = self._state
        own = state.checkpoints.own
        last = max(own, default=0)
        evidence: dict[ReplicaId, list[str]] = {}
        for kind, culprit in state.evidence:
            evidence.setdefault(culprit, []).append(kind)
        return ReplicaStatus(
            replica=state.me,
            view=state.views.view,
            active=state.views.active,
            voting=state.voting,
            primary=state.config.primary(state.views.view),
            low_watermark=state.log.low_watermark,
            high_watermark=state.high_watermark,
            executed=state.executed,
            waiting=len(state.requests.waiting),
            transferring=state.transfer.target is not None,
            state_digest_at=last,
            state_digest=own[last].root if own else bytes(32),
            checkpoints={sequence: each.root for sequence, each in own.items()},
            drops=dict(Counter(state.drops)),
            evidence=evidence,
            floor=state.recovery.floor if state.recovery.recovering else None,
        )


def _round(state: ReplicaState, turn: Turn) -> bool:
    """Give every rule its chance; whether any acted."""
    acted = False
    for rule in RULES:
        acted |= rule(state, turn)
    return acted


def _blame(state: ReplicaState, turn: Turn, rejected: DropError) -> None:
    """A primary that signed a batch with a request nobody signed has convicted itself (CL4)."""
    if isinstance(rejected, BadRequestError):
        pp = rejected.pre_prepare
        evidence = Evidence(
            "proposal with a bad request", pp.message.replica, (pp.raw, rejected.batch)
        )
        if state.keep_evidence(evidence):
            turn.blame(evidence)
