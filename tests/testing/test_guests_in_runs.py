"""Guests among the clients of simulated runs: answered like any, and impostors are not."""

import random
from dataclasses import replace

import pytest

from pbft.core.authentication import Authentication
from pbft.core.errors import DecodeError
from pbft.core.messages import Ticket
from pbft.core.protocol import admission
from pbft.core.wire import decode_ticket
from pbft.testing.guests import ADMITS, invited, is_guest
from pbft.testing.plan import Plan
from pbft.testing.scripts import Outburst, Saying
from pbft.testing.simulator import Simulation, run
from pbft.testing.subjects import subject
from pbft.testing.swarm import swarm
from tests.simulation.script import calm, seconds

VICTIM, OWN, NONE = "client-0/1", "mallory-0/0", f"mallory-0/{ADMITS}"


def plan(names: str | None, shows: str, *, real_keys: bool = False) -> Plan:
    """Everything is well, but that one client says this to everybody, and through a traitor."""
    operation = subject(None).operation(random.Random(1))
    saying = Saying((0, 1, 2, 3), 7, (operation,), names=names, shows=shows)
    said = [Outburst("mallory-0", seconds(1.2), (saying,), each) for each in (None, 3)]
    drawn = replace(calm(operations=12), clients=3, real_keys=real_keys, traitors={3: "none"})
    return replace(invited(drawn, random.Random(2)), traitors={3: "slow"}, outbursts=said)


@pytest.mark.scenario("T6", "CL15")
@pytest.mark.parametrize("real_keys", [False, True])
@pytest.mark.parametrize(
    ("names", "shows"), [(VICTIM, VICTIM), (VICTIM, OWN), (NONE, NONE), (None, VICTIM), (OWN, OWN)]
)
def test_guests_are_answered_and_impostors_are_not(
    names: str | None, shows: str, real_keys: bool
) -> None:
    simulation = Simulation(plan(names, shows, real_keys=real_keys))
    report = simulation.run()
    assert report.violations == []
    executed = {client for client, _ in simulation.checkers.executed_at}
    assert {each for each in executed if is_guest(each)} == {
        "client-0/0",
        "client-0/1",
        *([OWN] if names == OWN else ()),
    }


def unsigned(_: Authentication, raw: bytes) -> Ticket | None:
    """Whoever shows a ticket is let in by it."""
    try:
        return decode_ticket(raw)
    except DecodeError:
        return None


@pytest.mark.scenario("T6")
def test_a_ticket_that_its_admitter_has_not_signed_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Authentication, "ticket", unsigned)
    (complaint, *_) = run(plan(NONE, NONE)).violations
    assert complaint.startswith("validity: ('mallory-0/2', 7)")


@pytest.mark.scenario("T6")
def test_a_read_under_the_ticket_of_another_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "decode_ticket", lambda raw: None)
    (complaint, *_) = run(plan(None, VICTIM)).violations
    assert complaint == "validity: mallory-0 has read under the ticket of another"


def test_some_seeds_have_guests_and_impostors() -> None:
    drawn = [swarm(seed) for seed in range(200)]
    guests = [each for each in drawn if any(map(is_guest, each.scripts or ()))]
    assert 20 < len(guests) < 80
    shown = {
        (saying.names is None, saying.names == saying.shows)
        for each in guests
        for said in each.outbursts or ()
        for saying in said.says
        if saying.shows
    }
    assert shown == {(True, False), (False, True), (False, False)}
