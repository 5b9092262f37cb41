"""Moods about one thing that goes wrong, in a run that is else quiet enough to show it.

A primary that lies in the normal case alone; a certificate that a later view has overruled; clients
that are the only ones to misbehave; a transfer whose sources lie; a leaf of the state that rots.
See `moods`, which draws from them.
"""

import random
from dataclasses import replace

from pbft.core.ids import MILLISECOND, SECOND, ReplicaId
from pbft.core.quorum import faults, quorum
from pbft.testing.byzantine.attacks import Attack, Duplicate, Forge, Form, Imitate, Omit, Target
from pbft.testing.byzantine.composed import COMPOSED
from pbft.testing.disk import Harm
from pbft.testing.malice import malice
from pbft.testing.plan import Crash, Damage, Partition, Plan
from pbft.testing.scripts import Outburst, Saying
from pbft.testing.subjects import subject

CALLS_BEGIN_NS = SECOND
"""When correct clients begin."""
LIES_OF_A_PRIMARY = ("vote-as-primary", "propose-again", "misdate", "wrong-body", "equivocate")
MANY_CALLS = 16
"""Of each client: more than are answered before somebody is back."""
SOON_NS = 400 * MILLISECOND
"""A timeout, where a run has to go through several."""


def quiet(plan: Plan, traitors: dict[ReplicaId, tuple[Attack, ...]]) -> Plan:
    """Nothing is wrong but these."""
    return replace(
        plan,
        traitors=dict.fromkeys(traitors, COMPOSED),
        attacks=traitors,
        loss=0.0,
        delay_ns=2 * MILLISECOND,
        disk_delay_ns=min(plan.disk_delay_ns, MILLISECOND),
        partitions=[],
        crashes=[],
        stops=[],
        damages=[],
        losses=[],
    )


def misled(rng: random.Random, plan: Plan) -> Plan:
    """The first primary lies about what it proposes, to all or to some, and says things twice."""
    lies = [Attack(Imitate(name)) for name in rng.sample(LIES_OF_A_PRIMARY, rng.choice((1, 1, 2)))]
    if rng.random() < 0.3:
        lies.append(Attack(Imitate("reword"), Target(chance=rng.choice((1.0, 0.3)))))
    if rng.random() < 0.3:
        lies.append(Attack(Duplicate(), Target(("Proposal",))))
    liar = 0 if rng.random() < 0.8 else rng.randrange(plan.config.n)
    return replace(quiet(plan, {liar: tuple(lies)}), loss=rng.choice((0.0, plan.loss)))


def outvoted(rng: random.Random, plan: Plan) -> Plan:
    """A few prepare what the first primary proposed, and cannot commit it: f backups do not hear of
    it, and f others tell nobody but one of them what they vote. That one is away while the next
    view decides something else under the same number, and is there when that view ends (T13)."""
    n, f = plan.config.n, faults(plan.config.n)
    others = rng.sample(range(2, n), n - 2)
    away, liars, deaf = others[0], others[1 : 1 + f], [1, *others[1 + f : 2 * f]]
    rest = tuple(r for r in range(n) if r not in (away, *liars))
    said = [Attack(Omit(), Target(("Prepare", "Commit"), rest, views=(0, 1)))]
    said.append(Attack(Forge(Form.EMPTY), Target(("ViewChange",), views=(1, 2))))
    begin, gone = CALLS_BEGIN_NS // 2, CALLS_BEGIN_NS + SOON_NS * 7 // 10
    moved = CALLS_BEGIN_NS + 2 * SOON_NS
    back = moved + SOON_NS + rng.randrange(SOON_NS)
    fall = back + rng.randrange(SOON_NS)
    gst = fall + 3 * SOON_NS
    heard = frozenset(r for r in range(n) if r not in deaf)
    hasty = quiet(plan, dict.fromkeys(liars, tuple(said)))
    return replace(
        hasty,
        config=replace(
            plan.config,
            checkpoint_interval=32,
            window=64,
            request_timeout_ns=SOON_NS,
            timeout_max_ns=4 * SOON_NS,
            status_interval_ns=SOON_NS // 8,
        ),
        partitions=[
            Partition(begin, moved, heard, one_way=True),
            Partition(gone, back, frozenset({away}), one_way=False),
        ],
        crashes=[Crash(fall, gst, 1)],
        gst_ns=max(plan.gst_ns, gst),
        faulty_clients=plan.faulty_clients + 1,
        outbursts=[*(plan.outbursts or ()), _asked(rng, plan, fall + SOON_NS // 4, 1)],
    )


def _asked(rng: random.Random, plan: Plan, at: int, count: int, who: int = 0) -> Outburst:
    """A new client asks all replicas for some operations, each under a timestamp of its own."""
    about, everyone = subject(plan.service), tuple(range(plan.config.n))
    says = [Saying(everyone, 1 + each, (about.operation(rng),)) for each in range(count)]
    return Outburst(f"mallory-{plan.faulty_clients + who}", at, tuple(says))


def pestered(rng: random.Random, plan: Plan) -> Plan:
    """Nobody is faulty but clients, whose requests are mostly too large for a batch."""
    calm = replace(quiet(plan, {}), config=replace(plan.config, inline_max_bytes=64))
    names = [f"mallory-{index}" for index in range(2)]
    said = [each for name in names for each in malice(subject(plan.service), rng, name, calm)]
    return replace(calm, duplicates=0.0, faulty_clients=len(names), outbursts=said)


def misfed(rng: random.Random, plan: Plan) -> Plan:
    """A replica misses so much, and that again and again, that it has to fetch the state, and up to
    f of its sources lie. The state has many leaves, each on its way for a while: it changes before
    all are there."""
    n = plan.config.n
    count = rng.randrange(1, faults(n) + 1)
    away, *liars = rng.sample(range(n), 1 + count)
    lies = (Attack(Imitate("lie-to-laggards"), Target(chance=rng.choice((1.0, 0.5)))),)
    begins = [CALLS_BEGIN_NS + turn * SECOND * 2 // 3 for turn in range(3)]
    clients = max(plan.clients, 3)
    return replace(
        quiet(plan, dict.fromkeys(liars, lies)),
        config=replace(
            plan.config, checkpoint_interval=2, window=4, client_window=32, chunk_bytes=64
        ),
        delay_ns=rng.choice((2, 20, 60)) * MILLISECOND,
        clients=clients,
        crashes=[Crash(at, at + rng.randrange(SECOND // 4, SECOND // 2), away) for at in begins],
        gst_ns=max(plan.gst_ns, begins[-1] + SECOND),
        operations=max(plan.operations, MANY_CALLS * clients),
    )


def rotten(rng: random.Random, plan: Plan) -> Plan:
    """A leaf of a replica's state rots while it is down, and soon after it is back it is down once
    more, with the state half put right. It is one of the f as long as that may last. Mostly so many
    others are down as well that nothing goes on meanwhile: what it voted for is not stable yet."""
    correct = [r for r in range(plan.config.n) if r not in plan.traitors]
    victim, *others = rng.sample(correct, len(correct))
    begin = CALLS_BEGIN_NS + rng.randrange(SECOND // 10, SECOND)
    end = begin + rng.randrange(SECOND // 20, SECOND // 2)
    again = end + rng.randrange(SECOND // 100, SECOND // 3)
    back = again + rng.randrange(SECOND // 20, SECOND // 2)
    down = others[: faults(plan.config.n)] if rng.random() < 0.7 else []
    left = sorted(plan.traitors)[: faults(plan.config.n) - 1]
    interval = rng.choice((2, 4))
    return replace(
        plan,
        config=replace(plan.config, checkpoint_interval=interval, window=4 * interval),
        traitors={r: plan.traitors[r] for r in left},
        attacks={r: plan.attacks[r] for r in left if r in plan.attacks},
        losses=[],
        damages=[Damage(begin, victim, Harm.LEAF)],
        crashes=[
            *(Crash(begin, end, victim), Crash(again, back, victim)),
            *(Crash(begin, back, each) for each in down),
        ],
        gst_ns=max(plan.gst_ns, back + SECOND // 10),
    )


def backlog(rng: random.Random, plan: Plan) -> Plan:
    """The first primary is down while far more is asked than one turn can propose, and there is
    room for all of it in the next view (T49)."""
    timeout = plan.config.request_timeout_ns
    begin = CALLS_BEGIN_NS + rng.randrange(200 * MILLISECOND)
    end = begin + 2 * timeout + rng.randrange(timeout)
    most = quorum(plan.config.n)
    asked = [_asked(rng, plan, begin + SECOND // 50, rng.randrange(6, 9), w) for w in range(most)]
    return replace(
        quiet(plan, {}),
        config=replace(
            plan.config,
            pipeline=32,
            batch_max_requests=1,
            checkpoint_interval=16,
            window=64,
            client_window=8,
        ),
        crashes=[Crash(begin, end, 0)],
        gst_ns=max(plan.gst_ns, end),
        faulty_clients=plan.faulty_clients + most,
        outbursts=[*(plan.outbursts or ()), *asked],
    )
