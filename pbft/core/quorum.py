"""Quorum arithmetic for any n >= 4 (OSDI'99 §2 gives n = 3f+1; T1 generalises).

Two quorums of q meet in at least 2q - n >= f + 1 replicas, so in a correct one; and q <= n - f,
so the correct replicas alone are a quorum. "2f+1" has the first property only for n = 3f+1.
"""

from pbft.core.ids import ReplicaId, View


def faults(n: int) -> int:
    """f: how many of `n` replicas may be faulty in any way."""
    return (n - 1) // 3


def quorum(n: int) -> int:
    """q = ceil((n + f + 1) / 2)."""
    return (n + faults(n) + 2) // 2


def weak_quorum(n: int) -> int:
    """f + 1: at least one of them is correct."""
    return faults(n) + 1


def primary(view: View, n: int) -> ReplicaId:
    """The primary of a view is replica v mod n (OSDI'99 §4)."""
    return view % n
