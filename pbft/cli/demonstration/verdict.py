"""What a demonstration has shown: each claim by itself, and the figures beside it."""

from dataclasses import dataclass
from typing import Any

from pbft.cli.demonstration.load import Load
from pbft.cli.demonstration.watch import Watch
from pbft.cli.figures import milliseconds
from pbft.core.ids import SequenceNumber
from pbft.core.quorum import faults

DETHRONED = frozenset({"equivocate", "silent"})
"""Behaviours of a primary under which nothing, or not everything, can be ordered."""


@dataclass(frozen=True, slots=True)
class Run:
    """A finished demonstration. `compared_at`: the checkpoint at which all n replicas were
    compared, none where they did not get that far."""

    load: Load
    watch: Watch
    behaviour: str
    compared_at: SequenceNumber | None
    wrong_replies_seen: dict[str, int]
    """Replies that the client received and refused to believe, by replica."""

    @property
    def digests(self) -> dict[str, str]:
        """By replica, at `compared_at`."""
        if self.compared_at is None:
            return {}
        return {
            str(status.replica): status.checkpoints[self.compared_at].hex()
            for _, status in sorted(self.watch.latest.items())
        }

    @property
    def agreement(self) -> bool:
        """Whether the correct replicas were never seen to differ, and were equal at the end."""
        traitor = str(self.watch.traitor)
        final = {digest for by, digest in self.digests.items() if by != traitor}
        return len(final) == 1 and not self.watch.conflicts


def claims(run: Run) -> list[tuple[bool, str]]:
    """All that must hold, each with whether it does."""
    load, watch = run.load, run.watch
    answered = f"every request was answered ({load.answered} of {load.asked})"
    found = [
        (load.answered == load.asked > 0, answered),
        (load.wrong == 0, f"no wrong answer was believed ({load.wrong} were)"),
        (run.agreement, "the correct replicas agree on the log and the state" + _where(run)),
        (not watch.framed(), "no correct replica was accused with proof"),
    ]
    if watch.traitor is not None:
        attacks = f"the traitor really attacked ({watch.acted} times)"
        found.append((watch.acted > 0, attacks))
    if run.behaviour in DETHRONED:
        primary = watch.view % watch.n
        found.append(
            (primary != watch.traitor, f"the traitor was replaced as primary (by {primary})")
        )
    return found


def _where(run: Run) -> str:
    if run.compared_at is None:
        return ": but no checkpoint was common to all of them"
    return f", compared at sequence number {run.compared_at}"


def as_json(run: Run) -> dict[str, Any]:
    """The one object that `--json` prints."""
    load, watch = run.load, run.watch
    return {
        "n": watch.n,
        "f": faults(watch.n),
        "requests": load.asked,
        "answered": load.answered,
        "wrong_replies": load.wrong,
        "view": watch.view,
        "view_changes": watch.view,
        "agreement": run.agreement,
        "state_digests": run.digests,
        "state_digests_at": run.compared_at,
        "byzantine": {
            "id": watch.traitor,
            "behaviour": run.behaviour,
            "acted": watch.acted,
            "noticed": watch.noticed(),
            "noticed_by_client": run.wrong_replies_seen,
        },
        "recovery_seconds": round(load.longest_gap(), 3),
        "latency_ms": milliseconds(load.latencies),
        "ops_per_second": round(load.answered / load.duration, 1) if load.duration else 0.0,
        "ok": all(holds for holds, _ in claims(run)),
    }
