"""Correct clients ask as many at once as they may; faulty ones are heard to break every rule."""

import random

from pbft.client_session import ClientSession
from pbft.core.authentication import Authentication
from pbft.core.messages import Request
from pbft.testing.workload import FaultyClient, Workload, random_operation
from tests.core.lab import Lab


def workload(seed: int, operations: int = 20) -> Workload:
    lab = Lab()
    session = ClientSession(lab.config, "alice", signer=lab.keys["alice"], first_timestamp=1)
    return Workload(session, random.Random(seed), operations)


def test_it_asks_as_long_as_there_is_room_and_then_waits() -> None:
    rooms = set()
    for seed in range(20):
        work = workload(seed)
        for now in range(0, 10**10, 10**9):
            work.go_on(now)
        rooms.add(len(work.asked))
        assert not work.done
    assert rooms == {1, 4}


def test_it_is_done_once_everything_is_answered() -> None:
    work = workload(1, operations=5)
    now = 0
    while not work.done:
        now += 10**9
        work.go_on(now)
        for call in work.asked.keys() - work.answers.keys():
            work.answers[call] = b"\0"
    assert len(work.asked) == 5


def test_people_think_between_calls() -> None:
    work = next(w for w in map(workload, range(50)) if w._think_ns)
    work.go_on(0)
    assert 0 < work.next_at <= work._think_ns


def test_operations_meet_on_few_keys_and_some_are_none() -> None:
    rng = random.Random(1)
    operations = [random_operation(rng) for _ in range(500)]
    assert len(set(operations)) < 500
    assert 10 < sum(b"key" not in each for each in operations) < 120


def test_a_faulty_client_repeats_timestamps_with_other_operations() -> None:
    lab = Lab()
    own = Authentication(lab.config.cluster_id, lab.keys["bob"], lab.verifier)
    client = FaultyClient("bob", lab.config, own, random.Random(1))
    sends = [send for _ in range(100) for send in client.act()]
    assert client.acted == 100
    said: dict[int, set[bytes]] = {}
    forged = 0
    for send in sends:
        assert isinstance(send.message, Request)
        said.setdefault(send.message.timestamp, set()).add(send.data)
        forged += not own.authentic(send.message, send.data)
    assert any(len(different) > 1 for different in said.values())
    assert {1, 2**62} <= said.keys()
    assert 0 < forged < len(sends) // 2
