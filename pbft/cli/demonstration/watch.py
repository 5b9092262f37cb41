"""What is seen of the replicas during a demonstration: their statuses, asked again and again.

Everything the verdict says about agreement and about who noticed what comes from here, and so from
the replicas' own answers; the traitor's honest core is asked like the others.
"""

from dataclasses import dataclass, field

from pbft.control import StatusReport
from pbft.core.ids import Digest, ReplicaId, SequenceNumber
from pbft.core.status import ReplicaStatus


@dataclass(slots=True)
class Watch:
    """The last status of each replica, and all checkpoint digests ever seen of any."""

    n: int
    traitor: ReplicaId | None
    latest: dict[ReplicaId, ReplicaStatus] = field(default_factory=dict)
    acted: int = 0
    checkpoints: dict[SequenceNumber, dict[ReplicaId, Digest]] = field(default_factory=dict)
    conflicts: set[SequenceNumber] = field(default_factory=set)
    """Where two correct replicas, or one at two times, gave different digests."""

    def see(self, report: StatusReport) -> list[str]:
        """Take a report in; sentences about what is new in it."""
        status = report.status
        before = self.latest.get(status.replica)
        self.latest[status.replica] = status
        if status.replica == self.traitor:
            self.acted = report.acted
        for sequence, digest in status.checkpoints.items():
            self._compare(status.replica, sequence, digest)
        return _news(before, status) if status.replica != self.traitor else []

    def _compare(self, replica: ReplicaId, sequence: SequenceNumber, digest: Digest) -> None:
        seen = self.checkpoints.setdefault(sequence, {})
        others = [other for by, other in seen.items() if by != self.traitor]
        if replica != self.traitor and any(other != digest for other in others):
            self.conflicts.add(sequence)
        seen[replica] = digest

    @property
    def correct(self) -> list[ReplicaStatus]:
        """The last statuses of the replicas that are not the traitor, those that answered."""
        return [s for _, s in sorted(self.latest.items()) if s.replica != self.traitor]

    @property
    def view(self) -> int:
        """The highest view that a correct replica is active in."""
        return max((status.view for status in self.correct if status.active), default=0)

    def common(self, at_least: SequenceNumber) -> SequenceNumber | None:
        """The newest checkpoint not below `at_least` that all n replicas hold now."""
        held = [set(status.checkpoints) for status in self.latest.values()]
        if len(held) < self.n:
            return None
        return max((s for s in set.intersection(*held) if s >= at_least), default=None)

    def level(self) -> bool:
        """Whether all correct replicas have executed equally far, in one view."""
        return len({(status.executed, status.view, status.active) for status in self.correct}) == 1

    def noticed(self) -> dict[str, dict[str, object]]:
        """By correct replica: kinds of evidence against the traitor, and drops by reason."""
        return {
            str(status.replica): {
                "evidence": sorted(set(status.evidence.get(self._traitor, []))),
                "drops": dict(sorted(status.drops.items())),
            }
            for status in self.correct
        }

    @property
    def _traitor(self) -> ReplicaId:
        return -1 if self.traitor is None else self.traitor

    def framed(self) -> list[ReplicaId]:
        """Correct replicas that somebody correct holds evidence against: there must be none."""
        culprits = {culprit for status in self.correct for culprit in status.evidence}
        return sorted(culprits - {self.traitor})


def _news(before: ReplicaStatus | None, now: ReplicaStatus) -> list[str]:
    me = f"replica {now.replica}"
    if before is None:
        return []
    news = []
    if now.view > before.view and not now.active:
        news.append(f"{me} suspects replica {before.primary} and moves to view {now.view}")
    elif now.active and (now.view, True) != (before.view, before.active):
        news.append(f"{me} works in view {now.view}, under primary {now.primary}")
    for culprit, kinds in now.evidence.items():
        new = set(kinds) - set(before.evidence.get(culprit, []))
        news += [f"{me} can prove against replica {culprit}: {kind}" for kind in sorted(new)]
    return news
