"""Small-scope rounds: a handful of faults in the first steps of the protocol, and none besides.

After Winter et al., "Randomized testing of Byzantine fault tolerant algorithms": few faults are
enough where they hit the right step, and the right steps are early. So of the first `ROUNDS` rounds
some lose what passes between two groups (`d` times), and some have what one traitor says in them
changed in one small way for some receivers (`c` times). Then the network heals.
"""

import random

from pbft.core.config import Configuration
from pbft.core.ids import SECOND, ReplicaId
from pbft.testing.byzantine.attacks import AnyAct, Attack, Change, Mutate, Omit, Target
from pbft.testing.byzantine.composed import COMPOSED
from pbft.testing.plan import Plan
from pbft.testing.rounds import RoundCut
from pbft.testing.small_scope import configuration, small

ROUNDS = 8
MOST = 2
"""Of either kind of fault."""
HEALED_NS = 4 * SECOND

SMALL: tuple[AnyAct, ...] = (
    Mutate("view", Change.PLUS),
    Mutate("view", Change.MINUS),
    Mutate("sequence", Change.PLUS),
    Mutate("sequence", Change.MINUS),
    Mutate("digest", Change.OTHER),
    Mutate("replica", Change.RANDOM),
    Mutate("", Change.OLD),
    Omit(),
)
"""The ways in which a traitor's message is changed."""


def cells() -> list[tuple[int, int]]:
    """Every (d, c)."""
    return [(d, c) for d in range(MOST + 1) for c in range(MOST + 1)]


def byzzfuzz(d: int, c: int, seed: int, replicas: int = 4) -> Plan:
    """`d` network faults and `c` process faults, drawn by `seed`."""
    rng = random.Random(f"byzzfuzz {d} {c} {seed} {replicas}")
    traitor = rng.randrange(replicas)
    attacks = tuple(_process_fault(rng, replicas, traitor) for _ in range(c))
    return small(
        seed,
        _configuration(rng, replicas),
        traitors={traitor: COMPOSED} if c else {},
        gst_ns=HEALED_NS,
        operations=8,
        attacks={traitor: attacks} if c else {},
        round_cuts=tuple(_network_fault(rng, replicas) for _ in range(d)),
    )


def _network_fault(rng: random.Random, n: int) -> RoundCut:
    group = rng.sample(range(n), rng.randrange(1, n))
    return RoundCut(rng.randrange(ROUNDS), frozenset(group))


def _process_fault(rng: random.Random, n: int, traitor: ReplicaId) -> Attack:
    number = rng.randrange(ROUNDS)
    others = [r for r in range(n) if r != traitor]
    some = tuple(sorted(rng.sample(others, rng.randrange(1, n))))
    return Attack(rng.choice(SMALL), Target(to=some, rounds=(number, number + 1)))


def _configuration(rng: random.Random, n: int) -> Configuration:
    """One number at a time, mostly: the rounds follow one another as in the paper."""
    return configuration(
        b"byzzfuzz", n, pipeline=rng.choice((1, 1, 2)), batch_max_requests=rng.choice((1, 2))
    )
