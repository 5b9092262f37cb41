"""A correct client asks as many at once as it may; faulty ones are heard to break every rule."""

import random

from pbft.client_session import ClientSession
from pbft.testing.scripts import Call, Script, outbursts, script
from pbft.testing.subjects import KEY_VALUE, random_operation
from pbft.testing.workload import Workload
from tests.core.lab import Lab


def workload(seed: int, operations: int = 20) -> Workload:
    lab = Lab()
    session = ClientSession(lab.config, "alice", signer=lab.keys["alice"], first_timestamp=1)
    made = script(KEY_VALUE, random.Random(seed), operations)
    return Workload(session, made, KEY_VALUE.reads)


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
    lab = Lab()
    session = ClientSession(lab.config, "alice", signer=lab.keys["alice"], first_timestamp=1)
    work = Workload(session, Script(4, (Call(b"1", 70), Call(b"2", 0))), lambda _: False)
    work.go_on(5)
    assert (len(work.asked), work.next_at) == (1, 75)
    work.go_on(74)
    assert len(work.asked) == 1
    work.go_on(75)
    assert len(work.asked) == 2


def test_operations_meet_on_few_keys_and_some_are_none() -> None:
    rng = random.Random(1)
    operations = [random_operation(rng) for _ in range(500)]
    assert len(set(operations)) < 500
    assert 10 < sum(b"key" not in each for each in operations) < 120


def test_a_faulty_client_repeats_timestamps_with_other_operations() -> None:
    found = outbursts(KEY_VALUE, random.Random(1), "bob", 4, list(range(100)))
    assert [each.at for each in found] == list(range(100))
    said: dict[int, set[tuple[bytes, ...]]] = {}
    sayings = [saying for each in found for saying in each.says]
    for saying in sayings:
        said.setdefault(saying.timestamp, set()).add(saying.operations)
    assert any(len(different) > 1 for different in said.values())
    assert {1, 2**62} <= said.keys()
    assert 0 < sum(saying.flipped is not None for saying in sayings) < len(sayings) // 2
