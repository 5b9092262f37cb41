"""The load knows every right answer, and notices a wrong one."""

import asyncio
import time

from pbft.cli.demonstration.load import Load, drive
from pbft.core.errors import UnansweredError
from pbft.core.service import Context
from pbft.core.state.machine import Machine
from pbft.services.kv import Get, KeyValueClient, KeyValueService, encode


class Honest:
    """The service itself, in place of a cluster."""

    def __init__(self) -> None:
        self.service = Machine(KeyValueService())
        self.calls = 0

    async def call(self, operation: bytes, *, timeout: float | None = None) -> bytes:
        await asyncio.sleep(0)
        self.calls += 1
        return self.service.execute(operation, Context("client-0", self.calls, self.calls))


class Forgetful(Honest):
    """Answers every get as if nothing had ever been put."""

    async def call(self, operation: bytes, *, timeout: float | None = None) -> bytes:
        result = await super().call(operation)
        return encode_nothing() if operation[1:2] == encode(Get(b""))[1:2] else result


class Mute(Honest):
    async def call(self, operation: bytes, *, timeout: float | None = None) -> bytes:
        raise UnansweredError("nobody is there")


def encode_nothing() -> bytes:
    """The answer to a get of a key that is not there."""
    return Machine(KeyValueService()).execute(encode(Get(b"x")), Context("client-0", 1, 1))


def driven(caller: Honest, requests: int = 200) -> Load:
    load = Load(requests, until=time.monotonic() + 60)
    asyncio.run(drive(load, KeyValueClient(caller)))
    return load


def test_an_honest_server_is_never_wrong() -> None:
    caller = Honest()
    load = driven(caller)
    assert (load.asked, load.answered, load.wrong) == (200, 200, 0)
    assert caller.calls == 200
    assert len(load.latencies) == 200


def test_a_wrong_answer_is_noticed() -> None:
    load = driven(Forgetful())
    assert load.answered == 200
    assert load.wrong > 0


def test_no_answer_is_counted_as_none() -> None:
    load = driven(Mute(), 8)
    assert (load.asked, load.answered, load.duration) == (8, 0, 0.0)


def test_time_ends_it_too() -> None:
    load = Load(0, until=time.monotonic() + 0.05)
    asyncio.run(drive(load, KeyValueClient(Honest())))
    assert load.asked == load.answered > 0


def test_the_longest_gap_begins_with_the_first_request() -> None:
    load = Load(3, began=1.0, answered_at=[1.75, 1.8, 2.0])
    assert load.longest_gap() == 0.75
    assert Load(1).longest_gap() == 0.0
