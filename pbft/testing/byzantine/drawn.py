"""Attacks drawn at random: a few small parts for each traitor, about the same things for all of
them where they collude.
"""

import random

from pbft.core.ids import MILLISECOND, SECOND, ReplicaId
from pbft.testing.byzantine.attacks import (
    AnyAct,
    Attack,
    Change,
    Delay,
    Duplicate,
    Flip,
    Forge,
    Fork,
    Form,
    Fuzz,
    Ignore,
    Imitate,
    Mutate,
    Omit,
    Repeat,
    Target,
)
from pbft.testing.byzantine.imitating import IMITATED

KINDS: tuple[tuple[str, ...], ...] = (
    (),
    ("Proposal",),
    ("Prepare",),
    ("Commit",),
    ("Prepare", "Commit"),
    ("ViewChange", "NewView"),
    ("NewView",),
    ("Checkpoint", "StableProof"),
    ("Status", "Witness"),
    ("Decision", "BatchBody", "Nodes"),
    ("Reply", "ReadReply"),
)
"""What an attack may be about: everything, or what belongs together."""
HEARD = (("Proposal",), ("Prepare", "Commit"), ("Request",), ("Status",), ("ViewChange",))
PARTS_OF_T = (0.1, 0.5, 0.9, 0.95, 1.2)
"""How long something is held back, as part of the request timeout."""


def attacks(
    rng: random.Random, n: int, traitors: list[ReplicaId], timeout_ns: int
) -> dict[ReplicaId, tuple[Attack, ...]]:
    """One to four attacks for each of `traitors`; now and then the same for all."""
    fork = _fork(rng, n, traitors) if rng.random() < 0.15 else None
    drawn = {each: _several(rng, n, each, timeout_ns, fork) for each in traitors}
    if drawn and rng.random() < 0.3:
        return dict.fromkeys(drawn, drawn[traitors[0]])
    return drawn


def _several(
    rng: random.Random, n: int, us: ReplicaId, timeout_ns: int, fork: Attack | None
) -> tuple[Attack, ...]:
    count = rng.choice((1, 1, 2, 3, 4))
    several = [_attack(rng, n, us, timeout_ns) for _ in range(count)]
    return (*several[1:], fork) if fork is not None else tuple(several)


def _fork(rng: random.Random, n: int, traitors: list[ReplicaId]) -> Attack:
    correct = [r for r in range(n) if r not in traitors]
    group = rng.sample(correct, rng.randrange(1, len(correct)))
    begin = rng.randrange(4 * SECOND)
    return Attack(Fork(tuple(sorted(group))), Target(times=(begin, 2**62)))


def _attack(rng: random.Random, n: int, us: ReplicaId, timeout_ns: int) -> Attack:
    act = _act(rng, timeout_ns)
    kinds = rng.choice(KINDS)
    if isinstance(act, Forge):
        kinds = rng.choice((("ViewChange",), ("NewView",)))
    if isinstance(act, Ignore):
        kinds = rng.choice(HEARD)
    if isinstance(act, Fuzz):
        kinds = rng.choice(((), (), *KINDS[1:]))
    others = [r for r in range(n) if r != us]
    some = rng.sample(others, rng.randrange(1, len(others))) if rng.random() < 0.5 else []
    return Attack(act, _limited(rng, kinds, tuple(sorted(some))))


def _limited(rng: random.Random, kinds: tuple[str, ...], to: tuple[ReplicaId, ...]) -> Target:
    """When: mostly always; else in some views, for some numbers, for a while, by chance."""
    chance = rng.choice((1.0, 1.0, 0.5, 0.1))
    match rng.randrange(8):
        case 0:
            first = rng.randrange(3)
            return Target(kinds, to, views=(first, first + rng.choice((1, 2, 100))), chance=chance)
        case 1:
            first = rng.randrange(1, 20)
            numbers = (first, first + rng.choice((1, 4, 16)))
            return Target(kinds, to, numbers=numbers, chance=chance)
        case 2:
            begin = rng.randrange(4 * SECOND)
            times = (begin, begin + rng.randrange(SECOND // 4, 4 * SECOND))
            return Target(kinds, to, times=times, chance=chance)
    return Target(kinds, to, chance=chance)


def _act(rng: random.Random, timeout_ns: int) -> AnyAct:
    match rng.randrange(12):
        case 0:
            return Omit()
        case 1:
            return Delay(round(rng.choice(PARTS_OF_T) * timeout_ns))
        case 2:
            return Duplicate(rng.choice((1, 3)))
        case 3:
            return Flip(rng.choice((1, 1, 8)))
        case 4 | 5:
            fields = ("", "view", "sequence", "digest", "replica", "results", "executed")
            return Mutate(rng.choice(fields), rng.choice(list(Change)))
        case 6:
            return Forge(rng.choice((None, *Form)))
        case 7:
            return Repeat(rng.choice((1, 3)), rng.choice((20, 100)) * MILLISECOND)
        case 8:
            return Ignore()
        case 9:
            return Fuzz(rng.choice((1, 3)), rng.choice((20, 100)) * MILLISECOND)
    return Imitate(rng.choice(sorted(IMITATED)))
