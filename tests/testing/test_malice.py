"""Faulty clients say what correct ones never do; replicas take what its own client has signed."""

import random
from dataclasses import replace

from pbft.core.ids import SECOND
from pbft.services.kv import Put, encode
from pbft.testing.malice import FAR, FLOOD, malice
from pbft.testing.plan import Plan, draw
from pbft.testing.scripts import Outburst, Saying
from pbft.testing.simulator import Report, Simulation
from pbft.testing.subjects import KEY_VALUE

A, B = (encode(Put(b"mallory", b"A")),), (encode(Put(b"mallory", b"B")),)
EVERYONE = (0, 1, 2, 3)


def plan(*says: Saying, through: int | None = None) -> Plan:
    """A quiet run in which one faulty client speaks once, after everybody has begun."""
    return replace(
        draw(6, 4, 0),
        traitors={3: "silent"} if through is not None else {},
        loss=0.0,
        duplicates=0.0,
        gst_ns=2 * SECOND,
        operations=30,
        faulty_clients=1,
        partitions=[],
        crashes=[],
        stops=[],
        per_link=True,
        outbursts=[Outburst("mallory-0", 3 * SECOND // 2, says, through)],
    )


def told(plan: Plan) -> tuple[Report, Simulation, list[int]]:
    """The run, and the timestamps of the faulty client that were executed."""
    simulation = Simulation(plan)
    report = simulation.run()
    assert (report.finished, report.violations) == (True, [])
    done = [stamp for name, stamp in simulation.checkers.executed_at if name == "mallory-0"]
    return report, simulation, sorted(done)


def test_two_operations_under_one_timestamp_execute_as_one() -> None:
    _, _, done = told(plan(Saying((0, 1), 5, A), Saying((2, 3), 5, B)))
    assert done == [5]


def test_a_flood_of_one_request_executes_once() -> None:
    _, _, done = told(plan(Saying(EVERYONE, 5, A, times=FLOOD)))
    assert done == [5]


def test_what_is_signed_in_anothers_name_never_executes() -> None:
    _, simulation, done = told(plan(Saying(EVERYONE, 900, A, names="client-0")))
    assert done == []
    assert ("client-0", 900) not in simulation.checkers.executed_at
    assert any("request of another client" in h.replica.status().drops for h in simulation.hosts)


def test_anothers_request_again_over_a_traitors_link_executes_no_second_time() -> None:
    _, simulation, _ = told(plan(Saying((0, 1, 2), 5, A, repeats="client-0"), through=3))
    drops = [host.replica.status().drops for host in simulation.hosts[:3]]
    assert not any("request of another client" in each for each in drops)


def test_timestamps_far_ahead_leave_the_client_its_own() -> None:
    _, _, done = told(plan(*(Saying(EVERYONE, stamp, A) for stamp in (*FAR, 7))))
    assert done == [7, *FAR]


def test_every_kind_of_malice_is_drawn() -> None:
    rng = random.Random(1)
    base = replace(draw(1, 4, 1), gst_ns=4 * SECOND)
    outbursts = [each for _ in range(20) for each in malice(KEY_VALUE, rng, "mallory-0", base)]
    says = [saying for each in outbursts for saying in each.says]
    assert {saying.times for saying in says} == {1, 3, FLOOD}
    assert any(saying.names for saying in says)
    assert any(saying.repeats for saying in says)
    assert any(saying.flipped is not None for saying in says)
    assert {each.through for each in outbursts} == {None, *base.traitors}
