"""How the primary of this view keeps up with what is asked of it.

A client's *debt* is how much longer its requests have taken, from when each could have been
proposed until it executed, than is expected of a primary. It never falls below nothing: what was
quick for a while is no credit for what is slow later.
"""

from dataclasses import dataclass, field

from pbft.core.ids import ClientId, SequenceNumber, View


@dataclass(slots=True)
class Pace:
    view: View = 0
    """Whose primary the debts are about."""
    debt: dict[ClientId, int] = field(default_factory=dict)
    """Nanoseconds, by client and, under the empty name, of all; those that owe nothing are left
    out."""
    voted: dict[SequenceNumber, int] = field(default_factory=dict)
    """When we prepared what no f other backups have prepared yet (monotonic ns)."""
    echoes: list[int] = field(default_factory=list)
    """How long after our own vote theirs came, of the last numbers (ns)."""
    slow: bool = False
    """Some debt is too large: we ask the others whether they find so too."""
    replaced: int = 0
    """Primaries replaced for slowness since one was quick: with f+1 in a row, one was correct and
    too much was expected."""
    others_at: int = -(2**63)
    """When we last proposed, as primary, what a client asked that is not greedy (monotonic ns)."""
    quick: int = 0
    """Turns in a row in which all was served well within what is expected."""
