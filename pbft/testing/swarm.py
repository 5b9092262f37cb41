"""Swarm testing: which faults there are at all is drawn for each seed, and the sizes with them.

A run in which everything goes wrong at once hides what needs one thing to go wrong and another to
go well. So each class of faults is on or off by a coin, and a seed without, say, losses is common.
At most f replicas are faulty in any way: traitors, and those whose disks are damaged or lost.
What coins hardly ever bring together, a mood does (`moods`).
"""

import random
from dataclasses import dataclass, replace
from typing import Any

from pbft.core.config import Configuration
from pbft.core.ids import MILLISECOND, SECOND, ReplicaId
from pbft.core.quorum import faults, quorum
from pbft.testing import moods
from pbft.testing.byzantine import PACING
from pbft.testing.byzantine.attacks import Attack, Fork
from pbft.testing.byzantine.composed import COMPOSED
from pbft.testing.byzantine.drawn import attacks
from pbft.testing.disk import Harm
from pbft.testing.failpoints import POINTS, Stop
from pbft.testing.guests import invited
from pbft.testing.losses import Loss
from pbft.testing.malice import malice
from pbft.testing.ordeals import quiet
from pbft.testing.plan import Crash, Damage, Partition, Plan, explicit
from pbft.testing.plan_limits import MAX_NS
from pbft.testing.scripts import Script
from pbft.testing.subjects import subject

SIZES = (4,) * 10 + (5,) * 2 + (6,) * 2 + (7,) * 5 + (10,)
REAL_KEYS_EVERY = 16
CLASSES = (
    *("loss", "duplicates", "delay", "partitions", "crashes", "stops", "disks"),
    *("traitors", "clients", "large requests", "fast reads", "slow disks"),
    *("pacing", "core", "power cycle"),
)
"""Of faults, and of ways to use the cluster, that are there or not."""
OFTEN = {"traitors": 0.8, "disks": 0.25, "crashes": 0.4, "pacing": 0.05, "core": 0.2}
NEVER_NS = MAX_NS
"""Longer than any run, and still what a plan file may say."""
PACED_CALLS = 24
"""Of each client: enough for a debt of four timeouts, in calls of half of one."""
FOUND_OUT = ("slow-40%", "slow-60%", "slow-90%", "starve-one")
"""Of `PACING`: whom f+1 others find too slow, before anything times out."""
INVITED = 0.25
"""Of all runs have guests among their clients."""
CALLS = 200
"""Of all clients, times replicas, at most: larger clusters get fewer, so that all take alike."""


@dataclass(frozen=True, slots=True)
class _Draw:
    """What a seed begins from."""

    rng: random.Random
    on: frozenset[str]
    n: int
    gst: int

    def has(self, name: str) -> bool:
        return name in self.on


def swarm(
    seed: int, service: str | None = None, *, replicas: int | None = None, beyond: bool = False
) -> Plan:
    """The plan of a seed, about the key-value service or `module:Class`. `beyond`: the control, in
    which as many traitors as it takes to make two quorums fork together: agreement must break."""
    rng = random.Random(f"swarm {seed} {replicas}")
    on = frozenset(each for each in CLASSES if rng.random() < OFTEN.get(each, 0.5))
    n = replicas or rng.choice(SIZES)
    drawn = _Draw(rng, on, n, rng.randrange(3 * SECOND // 2, 4 * SECOND))
    plan = _calm(drawn, seed, service)
    if beyond:
        return _forked(plan)
    plan = _with_faulty(drawn, plan)
    plan = replace(
        plan,
        partitions=_partitions(drawn, plan.config.request_timeout_ns),
        crashes=[*plan.crashes, *_crashes(drawn, plan)],
        stops=_stops(drawn),
    )
    plan = _with_clients(drawn, plan)
    if drawn.has("pacing"):
        return _paced(drawn, plan)
    plan = _with_end(drawn, moods.in_a_mood(_dice(seed, replicas), plan))
    dice = random.Random(f"guests {seed} {replicas}")
    return invited(plan, dice) if dice.random() < INVITED else plan


def _dice(seed: int, replicas: int | None) -> random.Random:
    return random.Random(f"mood {seed} {replicas}")


def mood_of(seed: int) -> str:
    """The mood of a seed's plan, by name; nothing where it has none."""
    mood = moods.drawn(_dice(seed, None))
    return "" if mood is None else mood.__name__


def _calm(drawn: _Draw, seed: int, service: str | None) -> Plan:
    """Sizes, network and calls; nobody is faulty."""
    rng, has = drawn.rng, drawn.has
    clients = rng.choice((1, 2, 3, 3, 4))
    return Plan(
        seed=seed,
        config=_configuration(drawn),
        traitors={},
        twins=False,
        real_keys=seed % REAL_KEYS_EVERY == 0,
        loss=rng.choice((0.02, 0.1, 0.2, 0.3)) if has("loss") else 0.0,
        duplicates=rng.choice((0.05, 0.3, 0.5)) if has("duplicates") else 0.0,
        delay_ns=(rng.choice((20, 60, 150)) if has("delay") else 2) * MILLISECOND,
        calm_delay_ns=10 * MILLISECOND,
        disk_delay_ns=(rng.choice((1, 5, 20)) if has("slow disks") else 0) * MILLISECOND,
        gst_ns=drawn.gst,
        clients=clients,
        faulty_clients=0,
        operations=max(clients, rng.randrange(CALLS // 4, CALLS) // drawn.n),
        service=service,
        per_link=True,
    )


def _configuration(drawn: _Draw) -> Configuration:
    rng, has = drawn.rng, drawn.has
    interval, timeout = rng.choice((2, 4, 8, 16)), rng.choice((400, 1000)) * MILLISECOND
    return Configuration(
        cluster_id=rng.randbytes(16),
        n=drawn.n,
        checkpoint_interval=interval,
        window=interval * rng.choice((2, 3, 4)),
        pipeline=rng.choice((1, 2, 4)),
        batch_max_requests=rng.choice((1, 2, 8)),
        client_window=rng.choice((8, 16)),
        request_timeout_ns=timeout,
        timeout_max_ns=timeout * rng.choice((1, 4, 8)),
        status_interval_ns=timeout // rng.choice((4, 8)),
        chunk_bytes=rng.choice((64, 256, 4096)),
        fast_reads=has("fast reads"),
        inline_max_bytes=rng.choice((64, 192)) if has("large requests") else 8192,
    )


# -- at most f -------------------------------------------------------------------------------------


def _with_faulty(drawn: _Draw, plan: Plan) -> Plan:
    """Each of the f is a traitor, has a disk that fails, or is well after all."""
    rng, has = drawn.rng, drawn.has
    chosen = rng.sample(range(drawn.n), faults(drawn.n))
    if rng.random() < 0.4 and 0 not in chosen:
        chosen[0] = 0
    broken: list[ReplicaId] = []
    if has("disks") and (not has("traitors") or len(chosen) > 1 or rng.random() < 0.5):
        broken = [chosen.pop()]
    traitors = sorted(chosen) if has("traitors") else []
    plan = replace(
        plan,
        traitors=dict.fromkeys(traitors, COMPOSED),
        attacks=attacks(rng, drawn.n, traitors, plan.config.request_timeout_ns),
    )
    for each in broken:
        plan = _with_broken(drawn, plan, each)
    return plan


def _with_broken(drawn: _Draw, plan: Plan, replica: ReplicaId) -> Plan:
    """A disk that is lost, put back from a copy, or damaged."""
    rng = drawn.rng
    begin = rng.randrange(SECOND, drawn.gst)
    end = begin + rng.randrange(SECOND // 10, SECOND)
    if rng.random() < 0.5:
        copied = None if rng.random() < 0.3 else begin - rng.randrange(SECOND)
        recovered = end + rng.randrange(SECOND // 2, 2 * SECOND)
        return replace(plan, losses=[Loss(replica, copied, begin, end, recovered)])
    damage = Damage(begin, replica, rng.choice(list(Harm)))
    return replace(plan, crashes=[Crash(begin, end, replica)], damages=[damage])


def _forked(plan: Plan) -> Plan:
    """So many that two quorums need no correct replica in common, the primary among them."""
    n = plan.config.n
    traitors = list(range(2 * quorum(n) - n))
    correct = [r for r in range(n) if r not in traitors]
    fork = (Attack(Fork(tuple(correct[::2]))),)
    return replace(
        plan,
        config=replace(plan.config, fast_reads=False),
        loss=0.0,
        traitors=dict.fromkeys(traitors, COMPOSED),
        attacks=dict.fromkeys(traitors, fork),
    )


# -- what befalls everybody ------------------------------------------------------------------------


def _partitions(drawn: _Draw, timeout_ns: int) -> list[Partition]:
    if not drawn.has("partitions"):
        return []
    rng, n, gst = drawn.rng, drawn.n, drawn.gst
    begin = rng.randrange(SECOND // 2, gst)
    one_way = rng.random() < 0.3
    match rng.randrange(5):
        case 0:
            length = round(timeout_ns * rng.choice((0.5, 1.0, 1.5)))
            times = range(SECOND, gst, length)
            return [
                Partition(at, min(gst, at + length), frozenset({turn % n}), one_way)
                for turn, at in enumerate(times)
            ]
        case 1:
            half = frozenset(rng.sample(range(n), n // 2))
            return [Partition(begin, gst, half, one_way)]
        case 2:
            return [Partition(SECOND // 2, gst, frozenset({rng.randrange(n)}), one_way)]
    found = []
    for _ in range(rng.choice((1, 2, 4))):
        begin = rng.randrange(SECOND // 2, gst)
        end = min(gst, begin + rng.randrange(SECOND // 4, 3 * SECOND))
        group = frozenset(rng.sample(range(n), rng.randrange(1, n)))
        found.append(Partition(begin, end, group, rng.random() < 0.3))
    return found


def _crashes(drawn: _Draw, plan: Plan) -> list[Crash]:
    if not drawn.has("crashes"):
        return []
    rng, gst = drawn.rng, drawn.gst
    correct = [r for r in range(drawn.n) if r not in plan.traitors]
    found = []
    for _ in range(rng.choice((1, 2, 4))):
        begin = rng.randrange(SECOND // 4, gst)
        end = min(gst, begin + rng.randrange(SECOND // 20, 2 * SECOND))
        found.append(Crash(begin, end, rng.choice(correct)))
    if rng.random() < 0.3:
        begin = rng.randrange(SECOND // 4, gst)
        found += [Crash(begin, min(gst, begin + SECOND), r) for r in correct]
    return found


def _stops(drawn: _Draw) -> list[Stop]:
    if not drawn.has("stops"):
        return []
    rng = drawn.rng
    return [
        Stop(
            rng.choice(POINTS),
            rng.randrange(1, 30),
            rng.random() < 0.2,
            rng.randrange(SECOND // 20, SECOND),
        )
        for _ in range(rng.choice((1, 2, 4)))
    ]


def _paced(drawn: _Draw, plan: Plan) -> Plan:
    """Nothing is wrong but the first primary, which is slow below the timeout: only then is it the
    slowness that has it replaced. Mostly it is slow in a way that others find out, and clients make
    one call after another: each adds to what it owes."""
    found_out = drawn.rng.random() < 0.8
    slow = drawn.rng.choice(FOUND_OUT if found_out else sorted(PACING))
    plan = replace(
        quiet(plan, {}),
        config=replace(plan.config, fast_reads=False, batch_max_requests=8),
        traitors={0: slow},
        operations=max(plan.operations, PACED_CALLS * plan.clients),
    )
    return _in_turn(plan) if found_out else plan


def _in_turn(plan: Plan) -> Plan:
    """Each client calls once it has its answer, and at once; no call waits behind another's."""
    scripts = explicit(plan).scripts or {}
    calls = {c: [replace(each, pause_ns=0) for each in s.calls] for c, s in scripts.items()}
    return replace(
        plan,
        config=replace(plan.config, pipeline=4),
        scripts={c: Script(1, tuple(each)) for c, each in calls.items()},
    )


def _with_end(drawn: _Draw, plan: Plan) -> Plan:
    """A core of q that heals alone, while whoever else is down stays down; the power that fails."""
    if drawn.has("power cycle"):
        plan = replace(plan, power_cycle=True)
    faulty = {*plan.traitors, *(each.replica for each in plan.damages)}
    whole = [each for each in range(drawn.n) if each not in faulty]
    if not drawn.has("core") or plan.losses or len(whole) < quorum(drawn.n):
        return plan
    core = frozenset(drawn.rng.sample(whole, quorum(drawn.n)))
    down = [c if c.replica in core else replace(c, end=NEVER_NS) for c in plan.crashes]
    return replace(plan, core=core, crashes=down)


def _with_clients(drawn: _Draw, plan: Plan) -> Plan:
    """One faulty client or two."""
    if not drawn.has("clients"):
        return plan
    names = [f"mallory-{index}" for index in range(drawn.rng.choice((1, 1, 2)))]
    said: list[Any] = []
    for name in names:
        said += malice(subject(plan.service), drawn.rng, name, plan)
    return replace(plan, faulty_clients=len(names), outbursts=said)
