"""Who may waste how much of our processor (FL5).

Every message of no use costs its sender something: what it took to find that out. A peer that has
used up its allowance is not heard for a while, whatever it says: it spends less of our time then,
and no correct peer waits behind it. Correct peers stay far below: what arrives twice or too late
costs little, and what is of use costs nothing.

The guests of one client may waste, in the long run, as much together as one peer: otherwise one
client with many would have the whole processor. Each has its own part of that, so that a guest that
floods silences no other.
"""

import logging
from collections.abc import Mapping

from pbft.core.ids import ClientId, admitter
from pbft.transport.pacing import Pace

log = logging.getLogger(__name__)

NUISANCE_US_PER_SECOND = 25_000
"""Of each peer: a fortieth of one processor."""
NUISANCE_BURST_US = 250_000
GUEST_BURST_US = 25_000
"""Of each guest: more than all that one under way with the largest requests owes at a time."""


class Nuisances:
    """The allowances of all peers, by name; whoever never cost anything is not in it. `admits`: how
    many guests a client may have."""

    def __init__(self, admits: Mapping[ClientId, int]) -> None:
        self._admits = admits
        self._left: dict[str, Pace] = {}
        self._noted: set[str] = set()

    def charge(self, peer: str, cost_us: int, now: int) -> None:
        """`peer` has cost us so much for nothing; less than zero is given back."""
        pace = self._left.get(peer)
        if pace is None:
            pace = self._left[peer] = self._allowance(peer)
        if pace.left(now) - cost_us < 0 and peer not in self._noted:
            self._noted.add(peer)
            log.warning("%s sends so much of no use that it is not heard for a while", peer)
        pace.spend(cost_us)

    def _allowance(self, peer: str) -> Pace:
        if "/" not in peer:
            return Pace(NUISANCE_US_PER_SECOND, NUISANCE_BURST_US)
        parts = max(self._admits.get(admitter(peer), 1), 1)
        return Pace(NUISANCE_US_PER_SECOND // parts, GUEST_BURST_US)

    def shunned(self, now: int) -> frozenset[str]:
        """Who has nothing left at `now` (monotonic ns)."""
        return frozenset(peer for peer, pace in self._left.items() if pace.left(now) <= 0)
