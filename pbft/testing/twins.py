"""Twins: replicas that run twice, by unmodified code under one key, while the network is divided
anew in every round (Bano et al., "Twins: BFT systems made robust"). Enumerated, not drawn.

A scenario is who is a twin, and for each round how the nodes are divided; a round is a timeout and
a half, so that a leader without a quorum loses its view in it: round r begins with the leader of
view r at the latest. Both copies hear the clients and whoever is on their side of the partition.

Two scenarios are the same up to symmetry when one becomes the other by exchanging the two copies of
a twin, or replicas that are no twins and lead in no round. Of these only the smallest is listed.
"""

from collections.abc import Iterator
from functools import cache
from itertools import combinations, permutations, product
from math import gcd
from typing import NamedTuple, TypeAlias

from pbft.core.ids import MILLISECOND, SECOND, ReplicaId
from pbft.services.kv import CompareAndSwap, Put, encode
from pbft.testing.plan import TWIN, Partition, Plan
from pbft.testing.scripts import Call, Script
from pbft.testing.small_scope import T, configuration, small

ROUND_NS = 3 * T // 2
BEGIN_NS = SECOND - 20 * MILLISECOND
"""Just before the clients begin: by then everybody has leave to vote."""
STRIDE = 0.6180339887498949
"""Of a family, how far neighbours in the list lie apart: any part of the list is a fair sample."""

Division: TypeAlias = tuple[frozenset[int], ...]
"""The nodes in groups; the second copy of twin r is node r + n."""
Symmetry: TypeAlias = tuple[int, ...]
"""Where each node goes, by its place in `Family.nodes`."""


class Family(NamedTuple):
    """Scenarios with the same twins. `groups`: in how many parts the network breaks at most."""

    n: int
    twins: tuple[ReplicaId, ...]
    rounds: int
    groups: int

    @property
    def nodes(self) -> tuple[int, ...]:
        """All replicas, and second copies."""
        return (*range(self.n), *(r + self.n for r in self.twins))


FAMILIES = (
    *(Family(4, (r,), rounds=3, groups=3) for r in range(4)),
    Family(4, (0,), rounds=5, groups=2),
    Family(7, (0, 1), rounds=3, groups=2),
    Family(7, (0, 3), rounds=4, groups=2),
    Family(7, (1, 5), rounds=3, groups=2),
)
"""f twins. Of the five rounds the twin leads the first and the last; of the seven replicas two that
follow each other, every third one, and one that leads beside one that does not."""
EXCESSIVE = tuple(Family(4, pair, rounds=3, groups=2) for pair in ((0, 1), (0, 2), (0, 3), (1, 2)))
"""f+1 twins: the control."""


def count(beyond: bool = False) -> int:
    """How many scenarios there are."""
    families = EXCESSIVE if beyond else FAMILIES
    return len(families) * min(_size(family) for family in families)


def twins(index: int, *, beyond: bool = False) -> Plan:
    """Scenario `index` of `count(beyond)`, all of them different. Raises `IndexError` outside."""
    if not 0 <= index < count(beyond):
        raise IndexError(f"there are {count(beyond)} scenarios, from 0 on: no {index}")
    families = EXCESSIVE if beyond else FAMILIES
    family = families[index % len(families)]
    size = _size(family)
    return _plan(index, family, scenario(family, index // len(families) * _stride(size) % size))


def scenario(family: Family, number: int) -> tuple[Division, ...]:
    """The divisions of each round, of scenario `number` in the family."""
    group, found = _symmetries(family), []
    for left in range(family.rounds - 1, -1, -1):
        for division, kept in _choices(family, group):
            below = _below(family, kept, left)
            if number < below:
                found.append(division)
                group = kept
                break
            number -= below
    return tuple(found)


# -- counting up to symmetry ----------------------------------------------------------------------


def _size(family: Family) -> int:
    return _below(family, _symmetries(family), family.rounds)


def _stride(size: int) -> int:
    """Near the golden section of `size`, with no divisor in common."""
    stride = int(size * STRIDE)
    while gcd(stride, size) != 1:
        stride += 1
    return stride


@cache
def _below(family: Family, group: frozenset[Symmetry], rounds: int) -> int:
    """How many different continuations of so many rounds there are, up to `group`."""
    if rounds == 0:
        return 1
    return sum(_below(family, kept, rounds - 1) for _, kept in _choices(family, group))


@cache
def _choices(
    family: Family, group: frozenset[Symmetry]
) -> tuple[tuple[Division, frozenset[Symmetry]], ...]:
    """Of the divisions that `group` turns into each other the first, with the symmetries that leave
    it as it is: those alone are left for the rounds to come."""
    seen: set[frozenset[frozenset[int]]] = set()
    found = []
    for division in _divisions(family):
        if frozenset(division) in seen:
            continue
        kept = set()
        for symmetry in group:
            turned = _turned(family, division, symmetry)
            seen.add(turned)
            if turned == frozenset(division):
                kept.add(symmetry)
        found.append((division, frozenset(kept)))
    return tuple(found)


def _turned(family: Family, division: Division, symmetry: Symmetry) -> frozenset[frozenset[int]]:
    to = dict(zip(family.nodes, symmetry, strict=True))
    return frozenset(frozenset(to[node] for node in group) for group in division)


@cache
def _symmetries(family: Family) -> frozenset[Symmetry]:
    """Exchanges of copies, and permutations of who is no twin and leads no round."""
    n = family.n
    idle = [r for r in range(family.rounds, n) if r not in family.twins]
    found = set()
    for swaps in product((False, True), repeat=len(family.twins)):
        swapped = {r for r, swap in zip(family.twins, swaps, strict=True) if swap}
        for order in permutations(idle):
            to = dict(zip(idle, order, strict=True))
            for r in swapped:
                to[r], to[r + n] = r + n, r
            found.add(tuple(to.get(node, node) for node in family.nodes))
    return frozenset(found)


@cache
def _divisions(family: Family) -> tuple[Division, ...]:
    """All ways to divide the nodes into at most so many groups."""
    return tuple(_split(family.nodes, family.groups))


def _split(nodes: tuple[int, ...], groups: int) -> Iterator[Division]:
    """The first node's group is any subset that holds it, the rest is divided likewise."""
    first, rest = nodes[0], nodes[1:]
    for size in range(len(rest), -1, -1):
        for beside in combinations(rest, size):
            group = frozenset((first, *beside))
            left = tuple(node for node in rest if node not in group)
            if not left:
                yield (group,)
            elif groups > 1:
                yield from ((group, *others) for others in _split(left, groups - 1))


# -- as a plan ------------------------------------------------------------------------------------


def _plan(index: int, family: Family, rounds: tuple[Division, ...]) -> Plan:
    end = BEGIN_NS + len(rounds) * ROUND_NS
    partitions = [
        Partition(BEGIN_NS + turn * ROUND_NS, BEGIN_NS + (turn + 1) * ROUND_NS, group, False)
        for turn, division in enumerate(rounds)
        for group in division[1:]
    ]
    return small(
        index,
        configuration(b"twins", family.n, pipeline=2, batch_max_requests=1),
        traitors=dict.fromkeys(family.twins, TWIN),
        gst_ns=end,
        operations=2 * (family.rounds + 1),
        partitions=partitions,
        scripts={name: _script(name, family.rounds) for name in ("client-0", "client-1")},
    )


def _script(client: str, rounds: int) -> Script:
    """A call at the beginning of each round and after the last, answered or not."""
    name = client.encode()
    calls = [encode(Put(b"key", name))]
    calls += [encode(CompareAndSwap(b"key", name, b"%s %d" % (name, r))) for r in range(rounds)]
    return Script(len(calls), tuple(Call(each, ROUND_NS) for each in calls))
