"""What correct replicas keep for an audit convicts traitors alone; and where agreement is broken,
it convicts f+1 of them.

Each correct replica keeps the certificates of what it decided, the NEW-VIEWs that it accepted, and
evidence (`pbft.evidence`). Nobody who is correct may be convicted by all of that together. Where
two correct replicas have decided different batches for one number, their two certificates and what
*one* of them has kept, the one that decided in the later view, must convict f+1.
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

from msgspec import Struct

from pbft.core.effects import Effects
from pbft.core.ids import ReplicaId, SequenceNumber
from pbft.core.messages import Commit
from pbft.core.quorum import quorum
from pbft.core.wire import decode_signed
from pbft.evidence import DECISION, Kept, worth_keeping
from pbft.forensics import Casebook, Verdict, verdict
from pbft.testing.host import Host
from pbft.testing.observers import Observer
from pbft.testing.plan import Plan, draw

if TYPE_CHECKING:
    from pbft.testing.simulator import Simulation


class Decision(Struct, frozen=True):
    """What one replica decided for one number."""

    view: int
    digest: bytes
    certificate: tuple[bytes, ...]


class Finding(Struct, frozen=True):
    """One number decided twice: in which views, and what the audit of one replica gives."""

    sequence: SequenceNumber
    views: tuple[int, int]
    witness: ReplicaId
    verdict: Verdict


class Accountability(Observer):
    """Complains of convictions that are wrong, and of forks that stay unexplained."""

    def __init__(self) -> None:
        self.kept: dict[ReplicaId, list[Kept]] = {}
        self.forks: list[Finding] = []
        self.complaints: list[str] = []
        """Of this oracle: where agreement is broken, those of others fill the report."""
        self.all: Verdict
        """What everything together proves, once the run has ended."""
        self._simulation: Simulation

    def begin(self, simulation: "Simulation") -> None:
        self._simulation = simulation

    def released(self, now: int, host: Host, effects: Effects) -> None:
        if host.correct:
            kept = self.kept.setdefault(host.number, [])
            kept += worth_keeping(effects)
            kept += [Kept(each.kind, each.statements) for each in effects.evidence]

    def ended(self, now: int) -> None:
        self.all = self._verdict(each for kept in self.kept.values() for each in kept)
        self._judge(self.all)
        decided = {replica: _decided(kept) for replica, kept in self.kept.items()}
        for one, other in combinations(sorted(decided), 2):
            fork = self._fork(one, decided[one], other, decided[other])
            if fork is not None:
                self.forks.append(fork)
                self._judge(fork.verdict)
                self._explained(fork)

    def _judge(self, found: Verdict) -> None:
        """Who lost a disk may contradict what it has forgotten."""
        for culprit, convictions in found.culprits.items():
            host = self._simulation.hosts[culprit]
            if host.correct and not host.lost:
                reason = convictions[0].reason
                self._say(f"accountability: replica {culprit} is convicted: {reason}")

    def _explained(self, fork: Finding) -> None:
        found = sorted(fork.verdict.culprits)
        if len(found) <= self._simulation.plan.config.f:
            self._say(
                f"accountability: number {fork.sequence} was decided twice, in views {fork.views},"
                f" and what replica {fork.witness} has kept convicts {found} alone"
            )

    def _say(self, complaint: str) -> None:
        self.complaints.append(complaint)
        self.complain(complaint)

    def _fork(
        self,
        one: ReplicaId,
        ones: dict[SequenceNumber, Decision],
        other: ReplicaId,
        others: dict[SequenceNumber, Decision],
    ) -> Finding | None:
        """The first number that they decided differently."""
        for sequence in sorted(ones.keys() & others.keys()):
            first, second = ones[sequence], others[sequence]
            if first.digest == second.digest:
                continue
            witness = other
            if first.view > second.view:
                first, second, witness = second, first, one
            certificate = Kept(DECISION, first.certificate)
            found = self._verdict([*self.kept[witness], certificate])
            return Finding(sequence, (first.view, second.view), witness, found)
        return None

    def _verdict(self, kept: Iterable[Kept]) -> Verdict:
        simulation = self._simulation
        clients = frozenset(simulation.workloads)
        book = Casebook(simulation.plan.config, simulation.checkers.judge, clients)
        for each in kept:
            for statement in each.statements:
                book.add(statement)
        return verdict(book)


def _decided(kept: list[Kept]) -> dict[SequenceNumber, Decision]:
    """The first decision for each number."""
    found: dict[SequenceNumber, Decision] = {}
    for each in kept:
        if each.kind == DECISION:
            commit = next(_commits(each.statements))
            decision = Decision(commit.view, commit.digest, each.statements)
            found.setdefault(commit.sequence, decision)
    return found


def _commits(statements: tuple[bytes, ...]) -> Iterator[Commit]:
    for raw in statements:
        message = decode_signed(raw)
        if isinstance(message, Commit):
            yield message


def across_views(seed: int, replicas: int = 4) -> Plan:
    """The control of a seed with a correct primary at first: one side of the fork decides in view
    0, and the other one has to change the view to decide anything else (AC3)."""
    plan = draw(seed, replicas, 2 * quorum(replicas) - replicas)
    rng = random.Random(f"across views {seed} {replicas}")
    chosen = sorted(rng.sample(range(1, replicas), len(plan.traitors)))
    return replace(plan, traitors=dict.fromkeys(chosen, "silent"))
