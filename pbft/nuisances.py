"""Who may waste how much of our processor (FL5).

Every message of no use costs its sender something: what it took to find that out. A peer that has
used up its allowance is not heard for a while, whatever it says: it spends less of our time then,
and no correct peer waits behind it. Correct peers stay far below: what arrives twice or too late
costs little, and what is of use costs nothing.
"""

import logging

from pbft.core.ids import Principal, account
from pbft.transport.pacing import Pace

log = logging.getLogger(__name__)

NUISANCE_US_PER_SECOND = 25_000
"""Of each peer: a fortieth of one processor."""
NUISANCE_BURST_US = 250_000


class Nuisances:
    """The allowances of all peers, by account; whoever never cost anything is not in it."""

    def __init__(self) -> None:
        self._left: dict[Principal, Pace] = {}
        self._noted: set[Principal] = set()

    def charge(self, peer: str, cost_us: int, now: int) -> None:
        """`peer` has cost us so much for nothing; less than zero is given back."""
        payer = account(peer)
        pace = self._left.get(payer)
        if pace is None:
            pace = self._left[payer] = Pace(NUISANCE_US_PER_SECOND, NUISANCE_BURST_US)
        if pace.left(now) - cost_us < 0 and payer not in self._noted:
            self._noted.add(payer)
            log.warning("%s sends so much of no use that it is not heard for a while", payer)
        pace.spend(cost_us)

    def shunned(self, now: int) -> frozenset[Principal]:
        """The accounts that have nothing left at `now` (monotonic ns)."""
        return frozenset(payer for payer, pace in self._left.items() if pace.left(now) <= 0)
