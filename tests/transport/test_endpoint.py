"""Endpoints: messages of any size between two principals, and nothing from anybody else."""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from pbft.core.errors import ConfigurationError
from pbft.crypto.noise import LinkPrivateKey
from pbft.transport.alarm import Alarm
from pbft.transport.endpoint import Arrival, Endpoint, EndpointLimits, open_endpoint
from pbft.transport.frames import CONTROL, MESSAGE, missing_frames
from pbft.transport.loop import run
from pbft.transport.udp import Address

HOST = "127.0.0.1"
LIMITS = EndpointLimits(1200, 2_000_000, 4_000_000, 10_000, 4_000_000)
KEYS = {name: LinkPrivateKey.generate(os.urandom) for name in ("a", "b", "mallory")}


class Party:
    """An endpoint with a driver as small as can be."""

    def __init__(self, name: str, agreed: bytes = bytes(32)) -> None:
        self.name = name
        self.agreed = agreed
        self.drops: Counter[str] = Counter()
        self.arrived: list[Arrival] = []

    async def start(self, knows: tuple[str, ...], limits: EndpointLimits = LIMITS) -> None:
        self.alarm = Alarm()
        self.end: Endpoint = await open_endpoint(
            self.name,
            KEYS[self.name],
            {name: KEYS[name].public for name in knows},
            cluster_id=b"c" * 16,
            agreed=self.agreed,
            bind=(HOST, 0),
            limits=limits,
            drops=self.drops,
            wake=self.alarm.ring,
        )
        self.task = asyncio.create_task(self.drive())

    async def drive(self) -> None:
        while True:
            await self.alarm.wait(self.end.deadline)
            now = time.monotonic_ns()
            self.arrived += self.end.take(64, now)
            self.end.expire(now)
            await self.end.flush(now)
            if self.end.waiting:
                self.alarm.ring()

    async def stop(self) -> None:
        self.task.cancel()
        outcome = (await asyncio.gather(self.task, return_exceptions=True))[0]
        assert isinstance(outcome, asyncio.CancelledError)
        await self.end.close()

    async def open(self, other: "Party") -> None:
        await self.end.open(other.name, HOST, other.end.address[1], time.monotonic_ns())
        self.alarm.ring()

    def post(self, other: str, data: bytes, kind: int = MESSAGE) -> None:
        self.end.post([other], kind, data)
        self.alarm.ring()


async def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    for _ in range(int(seconds * 1000)):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise TimeoutError


@asynccontextmanager
async def pair(agreed: bytes = bytes(32)) -> AsyncIterator[tuple[Party, Party]]:
    one, other = Party("a"), Party("b", agreed)
    await one.start(("b",))
    await other.start(("a",))
    try:
        yield one, other
    finally:
        await one.stop()
        await other.stop()


def test_messages_of_every_size_arrive_whole_in_both_directions() -> None:
    async def main() -> None:
        dice = random.Random(1)
        sizes = [0, 1, 1167, 1168, 1169, 1170, 5000, 219_000]
        wanted = [dice.randbytes(size) for size in sizes]
        async with pair() as (one, other):
            await one.open(other)
            await until(lambda: one.end.established("b") and other.end.established("a"))
            for data in wanted:
                one.post("b", data)
                other.post("a", data, CONTROL)
                await asyncio.sleep(0.005)
            await until(lambda: len(one.arrived) == len(other.arrived) == len(wanted))
            assert sorted(other.arrived) == sorted(Arrival("a", MESSAGE, d) for d in wanted)
            assert sorted(one.arrived) == sorted(Arrival("b", CONTROL, d) for d in wanted)
            assert not one.drops
            assert not other.drops

    run(main())


def test_messages_of_one_turn_share_datagrams() -> None:
    async def main() -> None:
        async with pair() as (one, other):
            await one.open(other)
            await until(lambda: one.end.established("b") and other.end.established("a"))
            _, before = one.end.counts
            for number in range(100):
                one.end.post(["b"], MESSAGE, b"%03d" % number * 10)
            one.alarm.ring()
            await until(lambda: len(other.arrived) == 100)
            assert one.end.counts[1] - before == 3

    run(main())


def test_what_is_posted_before_the_handshake_waits_within_its_bound() -> None:
    async def main() -> None:
        async with pair() as (one, other):
            for number in range(40):
                one.post("b", bytes([number]) * 1000)
            await asyncio.sleep(0.01)
            assert one.drops["sent to a peer without a session"] >= 1
            await one.open(other)
            await until(lambda: len(other.arrived) == 9)  # 10,000 bytes of frames, the newest
            assert [each.data[0] for each in other.arrived] == list(range(31, 40))

    run(main())


def test_garbage_and_strangers_are_counted_and_nothing_more() -> None:
    async def main() -> None:
        dice = random.Random(2)
        async with pair() as (one, other):
            mallory = Party("mallory")
            await mallory.start(("b",))
            await mallory.open(other)
            await one.open(other)
            for _ in range(2000):
                head = dice.choice((b"", b"\x01", b"\x02", b"\x03", b"\x04"))
                garbage = head + dice.randbytes(dice.randrange(1300))
                await mallory.end._socket.send(garbage, other.end.address)
            await until(lambda: other.end.established("a"))
            one.post("b", b"still here")
            await until(lambda: bool(other.arrived))
            assert other.arrived == [Arrival("a", MESSAGE, b"still here")]
            assert not mallory.end.established("b")
            assert other.drops["handshake of an unknown peer"] >= 1
            assert sum(other.drops.values()) > 1000
            await mallory.stop()

    run(main())


def test_frames_that_are_none_are_the_peers_fault_and_counted() -> None:
    async def main() -> None:
        async with pair() as (one, other):
            await one.open(other)
            await until(lambda: one.end.established("b"))
            sealed = one.end._links.seal("b", b"\x01\xff\xffcut", time.monotonic_ns())
            assert sealed is not None
            await one.end._socket.send(sealed.data, other.end.address)
            one.post("b", b"fine")
            await until(lambda: bool(other.arrived))
            assert other.drops == {"malformed frames": 1}

    run(main())


@pytest.mark.scenario("CF4", "CF7")
def test_another_cluster_file_at_the_other_end_is_noticed_on_both_sides() -> None:
    async def main() -> None:
        async with pair(agreed=b"x" * 32) as (one, other):
            await one.open(other)
            await until(lambda: bool(one.end.mismatched and other.end.mismatched))
            assert one.end.mismatched == {"b"}
            assert other.drops["peer with another configuration"] >= 1
            assert not one.end.established("b")

    run(main())


def test_datagrams_too_small_for_the_largest_message_are_refused() -> None:
    async def main() -> None:
        with pytest.raises(ConfigurationError, match="datagram_bytes must be at least"):
            await Party("a").start(("b",), EndpointLimits(100, 1, 1, 1, 1))

    run(main())


def lossy(party: Party, loss: float, seed: int) -> None:
    """Lose a share of what `party` sends, handshakes apart."""
    dice = random.Random(seed)
    send = party.end._socket.send

    async def sometimes(data: bytes, address: Address) -> None:
        if dice.random() >= loss:
            await send(data, address)

    party.end._socket.send = sometimes  # type: ignore[method-assign]


@pytest.mark.scenario("T39", "NW11", "VC24", kills="T39 nobody asks for missing fragments")
@pytest.mark.parametrize("loss", [0.05, 0.2])
def test_large_messages_get_through_a_lossy_network_in_one_sending(loss: float) -> None:
    async def main() -> None:
        dice = random.Random(4)
        wanted = [dice.randbytes(size) for size in (200_000, 1_000_000)]
        async with pair() as (one, other):
            await one.open(other)
            await until(lambda: one.end.established("b") and other.end.established("a"))
            lossy(one, loss, 5)
            lossy(other, loss, 6)
            for data in wanted:
                one.post("b", data)
                other.post("a", data)
            await until(lambda: len(one.arrived) == len(other.arrived) == 2, 10)
            assert sorted(each.data for each in other.arrived) == sorted(wanted)
            assert sorted(each.data for each in one.arrived) == sorted(wanted)

    run(main())


def test_questions_from_a_peer_that_was_sent_nothing_come_to_nothing() -> None:
    async def main() -> None:
        async with pair() as (one, other):
            await one.open(other)
            await until(lambda: one.end.established("b"))
            for question in missing_frames(bytes(8), range(0xFFFF)):
                sealed = one.end._links.seal("b", question, time.monotonic_ns())
                assert sealed is not None
                await one.end._socket.send(sealed.data, sealed.address)
            _, before = other.end.counts
            one.post("b", b"fine")
            await until(lambda: bool(other.arrived))
            assert other.end.counts[1] == before

    run(main())
