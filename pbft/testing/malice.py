"""What Byzantine clients do: two operations under one timestamp, requests for some replicas only,
floods, other clients' requests again, wrong signatures, timestamps far ahead; alone or through a
traitor's links.
"""

import random

from pbft.core.ids import SECOND, ClientId
from pbft.testing.plan import Plan
from pbft.testing.scripts import Outburst, Saying
from pbft.testing.subjects import Subject

OUTBURSTS = 8
FLOOD = 20
FAR = (2**40, 2**62, 2**63 - 1)


def malice(subject: Subject, rng: random.Random, client: ClientId, plan: Plan) -> list[Outburst]:
    """The outbursts of one faulty client, each of one kind."""
    timestamp, found = 1, []
    begin = SECOND // 2
    times = sorted(rng.randrange(begin, plan.gst_ns + SECOND) for _ in range(OUTBURSTS))
    helpers = [None, *plan.traitors]
    for at in times:
        timestamp += rng.choice((0, 1, 1, 2, 40))
        says = _says(subject, rng, plan, timestamp)
        found.append(Outburst(client, at, says, rng.choice(helpers)))
    if any(each.times == FLOOD for outburst in found for each in outburst.says):
        everyone = tuple(range(plan.config.n))
        long_ago = Saying(everyone, 1, (subject.operation(rng),))
        found.append(Outburst(client, plan.gst_ns + 2 * SECOND, (long_ago,)))
    return found


def _says(subject: Subject, rng: random.Random, plan: Plan, timestamp: int) -> tuple[Saying, ...]:
    everyone = tuple(range(plan.config.n))
    some = tuple(sorted(rng.sample(everyone, rng.randrange(1, len(everyone) + 1))))
    others = tuple(r for r in everyone if r not in some)
    victim = f"client-{rng.randrange(plan.clients)}"
    first, second = (subject.operation(rng),), (subject.operation(rng),)
    match rng.randrange(7):
        case 0:
            return (Saying(some, timestamp, first), Saying(others, timestamp, second))
        case 1:
            return (Saying(some, timestamp, first),)
        case 2:
            to = some if rng.random() < 0.5 else everyone
            return (Saying(to, timestamp, first, times=FLOOD),)
        case 3:
            return (Saying(some, timestamp, first, repeats=victim, times=3),)
        case 4:
            return (Saying(some, timestamp, first, names=victim),)
        case 5:
            return (Saying(some, timestamp, first, flipped=rng.randrange(80)),)
    return (Saying(some, rng.choice(FAR), first), Saying(everyone, timestamp, second))
