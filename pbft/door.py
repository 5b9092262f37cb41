"""Who is let in though the cluster file does not name it: guests, by the tickets that they show.

A ticket whose signature was good before costs nothing to judge. To look at another one costs a
verification, and anybody can send forged ones: so there is only so much of that for all strangers
together, and in a flood of forgeries a guest that was never here before waits.
"""

from pbft.core.authentication import Authentication
from pbft.transport.pacing import Pace

TICKETS_PER_SECOND = 100
"""Signatures of tickets that are looked at: half a hundredth of one processor."""
TICKETS_BURST = 64


class Door:
    """`judge` knows the cluster file."""

    def __init__(self, judge: Authentication) -> None:
        self._judge = judge
        self._pace = Pace(TICKETS_PER_SECOND, TICKETS_BURST)

    def admit(self, raw: bytes, now: int) -> tuple[str, bytes] | None:
        """The name and the X25519 key of a guest, at `now` (monotonic ns); none for whoever is
        none, or has to try again later."""
        if not self._judge.knows(raw) and self._pace.left(now) < 1:
            return None
        checks = self._judge.checks
        ticket = self._judge.ticket(raw)
        self._pace.spend(self._judge.checks - checks)
        return None if ticket is None else (ticket.client, ticket.link)
