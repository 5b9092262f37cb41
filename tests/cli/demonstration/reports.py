"""Made-up status reports."""

from pbft.control import StatusReport
from pbft.core.status import ReplicaStatus


def report(
    replica: int,
    *,
    view: int = 0,
    active: bool = True,
    executed: int = 20,
    checkpoints: dict[int, bytes] | None = None,
    evidence: dict[int, list[str]] | None = None,
    drops: dict[str, int] | None = None,
    acted: int = 0,
) -> StatusReport:
    """A report of `replica`, with checkpoints at 8 and 16 unless told otherwise."""
    held = checkpoints if checkpoints is not None else {8: b"a" * 32, 16: b"b" * 32}
    at = max(held, default=0)
    status = ReplicaStatus(
        replica=replica,
        view=view,
        active=active,
        voting=True,
        primary=view % 4,
        low_watermark=8,
        high_watermark=72,
        executed=executed,
        waiting=0,
        transferring=False,
        state_digest_at=at,
        state_digest=held.get(at, bytes(32)),
        checkpoints=held,
        drops=drops or {},
        evidence=evidence or {},
    )
    return StatusReport(1, status, "memory", 1.0, 10, 10, acted)
