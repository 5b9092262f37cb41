"""Which views a replica has left by its VIEW-CHANGEs, and whether anybody but itself can know.

A replica votes in no view that it has left, also after its disk was lost and made good (T35): the
others show it what it said. What reached nobody, or only those whom a crash has made forget it, no
one can show, and no one can hold against it or build a NEW-VIEW from (docs/decisions/012).
"""

from pbft.core.ids import ReplicaId, View

ON_A_DISK = -1
"""In the place of a holder: no crash makes it forget."""


class Departures:
    """Of all correct replicas of one run. A VIEW-CHANGE is known by its bytes."""

    def __init__(self) -> None:
        self._left: dict[ReplicaId, dict[bytes, View]] = {}
        self._holders: dict[bytes, set[int]] = {}

    def leave(self, replica: ReplicaId, raw: bytes, view: View) -> None:
        """`replica` says that it moves to `view`, whoever will hear it."""
        self._left.setdefault(replica, {})[raw] = view
        self._holders.setdefault(raw, set())

    def view(self, replica: ReplicaId) -> View:
        """The latest that it moved to: it votes in none before."""
        return max(self._left.get(replica, {}).values(), default=0)

    def heard(self, holder: ReplicaId, raw: bytes) -> None:
        """Anything has reached a replica that runs."""
        if raw in self._holders:
            self._holders[raw].add(holder)

    def recorded(self, raw: bytes) -> None:
        """A correct replica has it on its disk, as part of a NEW-VIEW."""
        self.heard(ON_A_DISK, raw)

    def died(self, holder: ReplicaId) -> None:
        """A correct replica has lost what was in its memory alone."""
        for holders in self._holders.values():
            holders.discard(holder)

    def forgot(self, replica: ReplicaId) -> None:
        """It does not know itself any more where it moved: what others hold stands."""
        known = self._left.get(replica, {})
        self._left[replica] = {raw: view for raw, view in known.items() if self._holders[raw]}
