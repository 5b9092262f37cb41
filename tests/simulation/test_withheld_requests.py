"""A client tells the primary alone of large requests: no correct primary is replaced for that, and
one that keeps them to itself is."""

import itertools
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from pbft.core.effects import Executed, Send, ViewChangeStarted
from pbft.core.ids import MILLISECOND, SECOND, Instant
from pbft.core.messages import Request
from pbft.services.kv import Put, encode
from pbft.testing.byzantine.behaviour import Behaviour
from pbft.testing.plan import Plan
from pbft.testing.scripts import Call, Outburst, Saying
from pbft.testing.scripts import Script as Calls
from tests.simulation.script import Script, T, calm

BURSTS = 2
LARGE, SMALL = b"v" * 5000, b"v"


def attack(*said: tuple[tuple[int, ...], int, bytes], n: int = 4, **changes: Any) -> Plan:
    """Twice, 2 T apart, a client tells these replicas of so many requests with that value. A
    correct one asks for something four times in each T."""
    plan = calm(n, inline_max_bytes=1024, status_interval_ns=T // 4, client_window=64, **changes)
    stamps = itertools.count(1)
    bursts = [
        Outburst(
            "mallory-0",
            SECOND + 2 * T * burst,
            tuple(
                Saying(to, next(stamps), (encode(Put(b"theirs", value)),))
                for to, count, value in said
                for _ in range(count)
            ),
        )
        for burst in range(BURSTS)
    ]
    calls = tuple(Call(encode(Put(b"ours", b"%d" % i)), T // 4) for i in range(8 * BURSTS))
    return replace(
        plan,
        clients=1,
        faulty_clients=1,
        scripts={"client-0": Calls(1, calls)},
        outbursts=bursts,
    )


def alone(large: int, n: int = 4, **changes: Any) -> Plan:
    """So many large ones to the primary alone, and then a small one to all."""
    return attack(((0,), large, LARGE), (tuple(range(n)), 1, SMALL), n=n, **changes)


@pytest.mark.scenario("FL14", "T37", "T38")
@pytest.mark.parametrize(("large", "batch"), [(7, 1), (8, 8), (16, 8)])
def test_a_client_that_tells_the_primary_alone_has_no_correct_one_replaced(
    large: int, batch: int
) -> None:
    """Seven and one more are as many as nobody finds greedy."""
    report = Script(alone(large, batch_max_requests=batch)).held(within=0.5)
    assert report.view_changes == 0


@pytest.mark.scenario("FL14")
def test_nor_where_it_takes_as_many_turns_as_there_are_others_to_ask_each_in_turn() -> None:
    report = Script(alone(8, n=7, batch_max_requests=1)).held(within=0.5)
    assert report.view_changes == 0


@pytest.mark.scenario("FL14", "FL5")
@pytest.mark.parametrize("value", [LARGE, SMALL])
def test_a_client_is_found_greedy_by_who_knows_of_few_of_its_requests(value: bytes) -> None:
    """Else they would blame the primary for what these wait behind the others."""
    run = Script(attack(((0,), 40, LARGE), ((0, 1, 2, 3), 8, value), batch_max_requests=8))
    assert run.held(within=0.5).view_changes == 0


class KeepsThemToItself(Behaviour):
    """As primary: names large requests in its batches and gives them to nobody who asks."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        kept = isinstance(send.message, Request) and len(send.data) > 1024
        self.acted += kept
        return () if kept else (send,)


@pytest.mark.scenario("FL14", "T10", "T37")
def test_a_primary_that_gives_them_to_nobody_is_replaced_in_time() -> None:
    run = Script(alone(8), traitors={0: KeepsThemToItself})
    report = run.held(within=2.0)
    assert report.faults["attack: scripted"]
    assert run.views() == {1}
    begun = min(at for at, _, event in run.happened if isinstance(event, ViewChangeStarted))
    assert T < begun - SECOND < T + 100 * MILLISECOND


@pytest.mark.scenario("FL14", "T37", "T38")
def test_a_client_that_keeps_its_room_at_the_primary_full_has_it_replaced_no_more() -> None:
    """It tells backups of one more, for which the primary has no room whenever they pass it on."""

    def told(at: int, to: tuple[int, ...], stamp: int) -> Outburst:
        return Outburst("mallory-0", at, (Saying(to, stamp, (encode(Put(b"theirs", LARGE)),)),))

    limits = {"request_max_bytes": 6000, "client_max_bytes": 6000}
    plan = calm(inline_max_bytes=1024, status_interval_ns=T // 10, client_window=64, **limits)
    refills = [told(SECOND + i * 2 * MILLISECOND, (0,), 1 + i) for i in range(750)]
    calls = tuple(Call(encode(Put(b"ours", b"%d" % i)), T // 4) for i in range(8))
    plan = replace(
        plan,
        clients=1,
        faulty_clients=1,
        scripts={"client-0": Calls(1, calls)},
        outbursts=[*refills, told(SECOND + MILLISECOND, (1, 2, 3), 10**6)],
    )
    run = Script(plan)
    assert run.held(within=0.5).view_changes == 0
    done = [e for _, _, e in run.happened if isinstance(e, Executed)]
    assert any(("mallory-0", 10**6) in each.requests for each in done)
