"""Guests of a simulation: a client named `admitter/slot` is in nobody's table, and shows a ticket.

Every client may admit `ADMITS` others. A faulty one shows tickets that are not good for what it
says: another's, one that it made out in another's name, one for a slot that it does not have.
"""

import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Protocol

from pbft.core.authentication import Authentication, Signer
from pbft.core.ids import SECOND, ClientId, Principal, admitter
from pbft.core.messages import Ticket
from pbft.testing.plan import Plan, explicit
from pbft.testing.scripts import Outburst, Saying
from pbft.testing.subjects import Subject, subject

ADMITS = 2
IMPOSTURES = 6


class Keyed(Signer, Protocol):
    """A signer that says under which key others find its signatures."""

    @property
    def public(self) -> bytes: ...


def is_guest(principal: Principal) -> bool:
    """By its name."""
    return isinstance(principal, str) and "/" in principal


def may_admit(client: ClientId, guest: ClientId) -> bool:
    """Whether a ticket of `client` for `guest` is good."""
    return admitter(guest) == client and int(guest.partition("/")[2]) < ADMITS


def made_out(guest: ClientId, key: Keyed, signing: Authentication) -> bytes:
    """A ticket for `guest` under `key`, signed by whoever it is."""
    name, _, slot = guest.partition("/")
    return signing.sign(Ticket(name, int(slot), key.public, bytes(32), ("*",), 0)).raw


def tickets(
    keys: Mapping[Principal, Keyed], signing: Mapping[ClientId, Authentication]
) -> dict[ClientId, bytes]:
    """Of all guests that have keys."""
    guests = [each for each in keys if isinstance(each, str) and is_guest(each)]
    return {each: made_out(each, keys[each], signing[admitter(each)]) for each in guests}


def invited(plan: Plan, rng: random.Random) -> Plan:
    """Some clients are guests of the first, which calls itself where there are others; and every
    faulty client is an impostor, besides all else that it does."""
    plan = explicit(plan)
    names = sorted(plan.scripts or {})
    renamed = {name: f"client-0/{slot}" for slot, name in enumerate((names[1:] or names)[-ADMITS:])}
    said = [_renamed(each, renamed) for each in plan.outbursts or ()]
    for name in sorted({each.client for each in said}):
        said += _impostures(subject(plan.service), rng, name, plan)
    scripts = {renamed.get(name, name): each for name, each in (plan.scripts or {}).items()}
    return replace(plan, scripts=scripts, outbursts=said)


def _renamed(outburst: Outburst, names: Mapping[ClientId, ClientId]) -> Outburst:
    says = (
        replace(
            each,
            names=names.get(each.names or "", each.names),
            repeats=names.get(each.repeats or "", each.repeats),
        )
        for each in outburst.says
    )
    return replace(outburst, says=tuple(says))


def _impostures(
    about: Subject, rng: random.Random, client: ClientId, plan: Plan
) -> Iterable[Outburst]:
    victim, own = f"client-0/{ADMITS - 1}", f"{client}/0"
    kinds = (
        *((victim, victim), ("client-0/0", "client-0/0"), (victim, own)),
        *((f"{client}/{ADMITS}", f"{client}/{ADMITS}"), (own, own), (None, victim)),
    )
    helpers = [None, *plan.traitors]
    for number in range(IMPOSTURES):
        names, shows = rng.choice(kinds)
        to = tuple(range(plan.config.n))
        operations = (about.operation(rng),)
        saying = Saying(to, 2**20 + number, operations, names=names, shows=shows)
        at = rng.randrange(SECOND, plan.gst_ns + SECOND)
        yield Outburst(client, at, (saying,), rng.choice(helpers) if names else None)
