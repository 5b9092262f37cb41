"""Who is let in though the cluster file does not name it: guests, by the tickets that they show.

A ticket whose signature was good before costs nothing to judge. To look at another one costs a
verification, and anybody can send forged ones, from addresses where it receives. So there is only
so much of that for each group of addresses: in a flood of forgeries, a guest that was never here
before waits if it is at the same address, or in its group by chance.
"""

from pbft.core.authentication import Authentication
from pbft.crypto.link_state import Address
from pbft.transport.pacing import Pace

TICKETS_PER_SECOND = 20
"""Signatures of tickets that are looked at, per group: a thousandth of one processor."""
TICKETS_BURST = 64
ADDRESS_GROUPS = 64


class Door:
    """`judge` knows the cluster file."""

    def __init__(self, judge: Authentication) -> None:
        self._judge = judge
        self._paces = [Pace(TICKETS_PER_SECOND, TICKETS_BURST) for _ in range(ADDRESS_GROUPS)]

    def admit(self, raw: bytes, address: Address, now: int) -> tuple[str, bytes] | None:
        """The name and the X25519 key of a guest at `address`, at `now` (monotonic ns); none for
        whoever is none, or has to try again later."""
        pace = self._paces[hash(address[0]) % ADDRESS_GROUPS]
        if not self._judge.knows(raw) and pace.left(now) < 1:
            return None
        checks = self._judge.checks
        ticket = self._judge.ticket(raw)
        pace.spend(self._judge.checks - checks)
        return None if ticket is None else (ticket.client, ticket.link)
