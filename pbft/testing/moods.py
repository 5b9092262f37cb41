"""Moods of a swarm's run: now and then faults are drawn to meet, where chance hardly has them.

A coin for each fault gives almost no run in which a primary is overthrown while the next one lies,
or a replica dies just while it fetches the state. A mood says so about a whole plan, by the plan's
own means: crashes, stops, attacks and calls, explicit like all others. What it does not need stays
as it was drawn. How many are faulty stays within f, and every fault ends with the bad time.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeAlias

from pbft.core.ids import MILLISECOND, SECOND, ReplicaId
from pbft.core.quorum import faults
from pbft.testing.byzantine.attacks import Attack, Change, Forge, Form, Imitate, Mutate, Target
from pbft.testing.byzantine.composed import COMPOSED
from pbft.testing.failpoints import Boundary, Point, Stop
from pbft.testing.losses import Loss
from pbft.testing.ordeals import backlog, misfed, misled, outvoted, pestered, rotten
from pbft.testing.plan import Crash, Plan
from pbft.testing.scripts import Outburst, Saying
from pbft.testing.subjects import subject

SHARE = 0.03
"""Of the runs, for each mood."""
CALLS_BEGIN_NS = SECOND
"""When correct clients begin."""
REMEMBERED = 8
"""Requests of one client."""
ROOM_BYTES = 4096
"""For what one client asks, where there is little room: more than correct ones ask at once."""
PATIENT = 4
"""So many at a time: more would wait until nobody else asks for anything."""
NO_NEW_VIEWS = (Form.WRONG_VIEW, Form.FEW, Form.REPEATED, Form.OLD)
NO_VIEW_CHANGES = (
    *(Form.STALE, Form.BEYOND, Form.INFLATED, Form.REPEATED_PROOF),
    *(Form.REPEATED_SIGNER, Form.MIXED, Form.OWN, Form.REVERSED),
)
"""Forms that do not pass for true."""
IN_A_TRANSFER = (
    Point(Boundary.UNSYNCED, "TransferStarted"),
    Point(Boundary.SYNCED, "TransferStarted"),
    Point(Boundary.FIRST, "FetchNodes"),
)
"""Where a replica is that fetches the state."""


def in_a_mood(rng: random.Random, plan: Plan) -> Plan:
    """The plan, in one of the moods or, mostly, in none."""
    mood = drawn(rng)
    return plan if mood is None else mood(rng, plan)


def drawn(rng: random.Random) -> "Mood | None":
    """Which mood it is."""
    which = int(rng.random() / SHARE)
    return MOODS[which] if which < len(MOODS) else None


def usurped(rng: random.Random, plan: Plan) -> Plan:
    """The first primary falls, and the next one says NEW-VIEWs that do not follow."""
    forms = (Form.EXTRA, Form.EXTRA, Form.SHORT, Form.NULLS, Form.SWAPPED)
    return _overthrown(rng, plan, 1, *_each_told(rng, plan, forms, "NewView"))


def _each_told(
    rng: random.Random, plan: Plan, forms: tuple[Form, ...], kind: str
) -> Iterator[Attack]:
    """To each other replica a forgery of its own."""
    for to in range(plan.config.n):
        yield Attack(Forge(rng.choice(forms)), Target((kind,), (to,)))


def two_faced(rng: random.Random, plan: Plan) -> Plan:
    """The first primary falls, and a backup tells some that it has prepared what it has, and
    others that it has not."""
    liar = rng.randrange(2, plan.config.n)
    others = [r for r in range(plan.config.n) if r not in (0, liar)]
    some = tuple(sorted(rng.sample(others, rng.randrange(1, len(others)))))
    form = rng.choice((Form.EMPTY, Form.EMPTY, Form.SHORT))
    return _overthrown(rng, plan, liar, Attack(Forge(form), Target(("ViewChange",), some)))


def forged(rng: random.Random, plan: Plan) -> Plan:
    """The first primary falls, in the middle mostly, and whoever comes next, or a backup, says what
    nobody may take: to each that it tells in another way."""
    if rng.random() < 0.5:
        plan = replace(plan, config=replace(plan.config, checkpoint_interval=2, window=8))
    begin = CALLS_BEGIN_NS + rng.choice((0, SECOND // 2)) + rng.randrange(200 * MILLISECOND)
    if rng.random() < 0.4:
        told = _each_told(rng, plan, NO_NEW_VIEWS, "NewView")
        return _overthrown(rng, plan, 1, *told, begin=begin)
    told = _each_told(rng, plan, NO_VIEW_CHANGES, "ViewChange")
    return _overthrown(rng, plan, rng.randrange(2, plan.config.n), *told, begin=begin)


def _overthrown(
    rng: random.Random, plan: Plan, liar: ReplicaId, *lies: Attack, begin: int | None = None
) -> Plan:
    """Replica 0 is correct, and down for longer than anybody waits for it, with calls under way.
    Up to f-1 others are what they were."""
    timeout = plan.config.request_timeout_ns
    begin = begin or CALLS_BEGIN_NS + rng.randrange(200 * MILLISECOND)
    end = begin + 2 * timeout + rng.randrange(timeout)
    left = [r for r in sorted(plan.traitors) if r not in (0, liar)][: faults(plan.config.n) - 1]
    return replace(
        plan,
        traitors={r: plan.traitors[r] for r in left} | {liar: COMPOSED},
        attacks={r: plan.attacks[r] for r in left if r in plan.attacks} | {liar: lies},
        damages=[],
        losses=[],
        crashes=[Crash(begin, end, 0)],
        gst_ns=max(plan.gst_ns, end),
    )


def caught_fetching(rng: random.Random, plan: Plan) -> Plan:
    """A replica misses so much that it has to fetch the state, and dies in the middle of that."""
    correct = [r for r in range(plan.config.n) if r not in plan.traitors]
    back = CALLS_BEGIN_NS + rng.randrange(SECOND // 2, SECOND)
    missing = Crash(CALLS_BEGIN_NS - SECOND // 10, back, rng.choice(correct))
    down = rng.randrange(SECOND // 20, SECOND)
    return replace(
        plan,
        config=replace(plan.config, checkpoint_interval=2, window=4),
        damages=[],
        losses=[],
        crashes=[missing],
        stops=[Stop(rng.choice(IN_A_TRANSFER), 1, everyone=False, down_ns=down)],
        gst_ns=max(plan.gst_ns, back + 3 * SECOND // 2),
    )


def long_away(rng: random.Random, plan: Plan) -> Plan:
    """A client asks for its first request again after so many others that nobody knows any more
    what became of it."""
    about, everyone = subject(plan.service), tuple(range(plan.config.n))
    name = f"mallory-{plan.faulty_clients}"
    count = REMEMBERED + rng.randrange(2, 6)
    asks = [Saying(everyone, at, (about.operation(rng),)) for at in range(1, count + 1)]
    begin, pause = CALLS_BEGIN_NS + rng.randrange(SECOND // 2), rng.randrange(SECOND // 4)
    visits = [
        Outburst(name, begin + at // PATIENT * pause, tuple(asks[at : at + PATIENT]))
        for at in range(0, count, PATIENT)
    ]
    back = visits[-1].at + rng.randrange(SECOND // 2, SECOND)
    gst = max(plan.gst_ns, back + SECOND // 10)
    visits += [Outburst(name, at, (asks[0],)) for at in (back, gst, gst + SECOND)]
    return replace(
        plan,
        config=replace(plan.config, client_window=REMEMBERED),
        faulty_clients=plan.faulty_clients + 1,
        outbursts=[*(plan.outbursts or ()), *visits],
        gst_ns=gst,
    )


def lied_to(rng: random.Random, plan: Plan) -> Plan:
    """Whoever lies to clients does nothing else, and is mostly the first that they hear."""
    liar = rng.randrange(plan.config.n)
    lies = (Imitate("lie-to-clients"), Imitate("withhold-results"), Mutate("results", Change.OTHER))
    lie = Attack(rng.choice(lies), Target(("Reply", "ReadReply"), chance=rng.choice((1.0, 0.5))))
    return replace(
        plan,
        config=replace(plan.config, fast_reads=rng.random() < 0.5),
        traitors={liar: COMPOSED},
        attacks={liar: (lie,)},
        damages=[],
        losses=[],
        crashes=[],
        loss=0.0,
    )


def contradicted(rng: random.Random, plan: Plan) -> Plan:
    """A replica loses its disk under load; where there may be a traitor as well, the first primary
    proposes something else under each number: whoever forgot its vote would give another."""
    victim = rng.randrange(1, plan.config.n)
    begin = CALLS_BEGIN_NS + rng.randrange(SECOND // 2)
    end = begin + rng.randrange(SECOND // 20, SECOND // 2)
    copied = None if rng.random() < 0.5 else begin - rng.randrange(SECOND // 2)
    recovered = end + rng.randrange(SECOND // 2, SECOND)
    again: tuple[Attack, ...] = (Attack(Imitate("propose-again")),)
    traitor = {0: again} if faults(plan.config.n) > 1 else {}
    return replace(
        plan,
        traitors=dict.fromkeys(traitor, COMPOSED),
        attacks=traitor,
        damages=[],
        losses=[Loss(victim, copied, begin, end, recovered)],
        crashes=[],
        gst_ns=max(plan.gst_ns, recovered + SECOND),
    )


def overasked(rng: random.Random, plan: Plan) -> Plan:
    """A client asks at once for more than any client of the library does, more than once: for more
    requests, or in larger ones."""
    about, everyone = subject(plan.service), tuple(range(plan.config.n))
    name, window = f"mallory-{plan.faulty_clients}", 2 * REMEMBERED
    count = rng.randrange(window - 4, window + 1)
    begins = (CALLS_BEGIN_NS + rng.randrange(SECOND // 2), plan.gst_ns)
    each = rng.choice((1, 1, 32))
    asks = [
        tuple(
            Saying(everyone, first + at, tuple(about.operation(rng) for _ in range(each)))
            for at in range(count)
        )
        for first in (1, 1 + count)
    ]
    config = plan.config
    if each > 1:
        inline = min(config.inline_max_bytes, ROOM_BYTES)
        config = replace(
            config,
            client_max_bytes=ROOM_BYTES,
            request_max_bytes=ROOM_BYTES,
            inline_max_bytes=inline,
        )
    bursts = [Outburst(name, at, says) for at, says in zip(begins, asks, strict=True)]
    return replace(
        plan,
        config=replace(config, client_window=window, batch_max_requests=1, pipeline=1),
        faulty_clients=plan.faulty_clients + 1,
        outbursts=[*(plan.outbursts or ()), *bursts],
    )


Mood: TypeAlias = Callable[[random.Random, Plan], Plan]

MOODS: tuple[Mood, ...] = (
    usurped,
    two_faced,
    caught_fetching,
    long_away,
    forged,
    lied_to,
    contradicted,
    overasked,
    misled,
    outvoted,
    pestered,
    misfed,
    rotten,
    backlog,
)
