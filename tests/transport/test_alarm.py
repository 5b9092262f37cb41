"""The alarm: rung before, during and after a wait, and by time; the loop always runs."""

import asyncio
import socket
import time

import pytest

from pbft.core.ids import MILLISECOND, SECOND, Instant
from pbft.transport.alarm import STEP_NS, Alarm, Steps, instant
from pbft.transport.loop import run


def test_a_ring_before_the_wait_ends_it_at_once_and_once() -> None:
    async def main() -> None:
        alarm = Alarm()
        alarm.ring()
        alarm.ring()
        await alarm.wait(None)
        began = time.monotonic_ns()
        await alarm.wait(began + 20 * MILLISECOND)
        assert time.monotonic_ns() - began > 15 * MILLISECOND

    run(main())


def test_a_ring_during_the_wait_ends_it() -> None:
    async def main() -> None:
        alarm = Alarm()
        asyncio.get_running_loop().call_later(0.01, alarm.ring)
        async with asyncio.timeout(2):
            await alarm.wait(None)

    run(main())


@pytest.mark.parametrize("rung", [False, True])
def test_a_wait_that_is_over_still_lets_the_loop_run(rung: bool) -> None:
    async def main() -> None:
        alarm, ran = Alarm(), asyncio.Event()
        asyncio.get_running_loop().call_soon(ran.set)
        if rung:
            alarm.ring()
        await alarm.wait(None if rung else instant().monotonic)
        assert ran.is_set()

    run(main())


def test_a_cancelled_wait_leaves_the_alarm_usable() -> None:
    async def main() -> None:
        alarm = Alarm()
        waiting = asyncio.create_task(alarm.wait(None))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        alarm.ring()
        async with asyncio.timeout(2):
            await alarm.wait(None)

    run(main())


def stall(theirs: socket.socket) -> None:
    """While the process stands still the time comes, and a datagram."""
    time.sleep(0.02)
    theirs.send(b"heard in time")


@pytest.mark.scenario("T56")
def test_t56_a_wait_that_ends_by_time_has_read_the_sockets_first() -> None:
    """After a stall the loop runs its timers before it looks at sockets: the wait does not."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            alarm, heard = Alarm(), asyncio.Event()
            loop.add_reader(ours, heard.set)
            waiting = asyncio.create_task(alarm.wait(time.monotonic_ns() + 5 * MILLISECOND))
            await asyncio.sleep(0)
            stall(theirs)
            await waiting
            loop.remove_reader(ours)
        assert heard.is_set()

    run(main())


@pytest.mark.scenario("TM7")
@pytest.mark.parametrize("step", [90 * SECOND, -90 * SECOND])
def test_a_clock_that_was_set_is_noticed_for_a_while(step: int) -> None:
    steps = Steps(Instant(0, 1_000))
    assert steps.noted(Instant(5, 1_005)).stepped == 0
    assert steps.noted(Instant(7, 1_007 + SECOND // 2)).stepped == 0  # it is only being corrected
    wall = 1_000 + SECOND // 2 + step
    for later in (9, 10, 8 + STEP_NS):
        assert steps.noted(Instant(later, wall + later)).stepped == step
    assert steps.noted(Instant(9 + STEP_NS, wall + 9 + STEP_NS)).stepped == 0
