"""Cancelled, closed, failed, timed out: a client leaves no task, no socket and no complaint, and
whoever waited is told."""

import asyncio
import gc
import logging
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pbft import BlockingClient, Client, PbftError, UnansweredError
from pbft.client import MAX_RESOLVING
from pbft.services.kv import Get, KeyValueClient, Put, encode
from pbft.transport.loop import run
from pbft.typed.listening import events
from tests.local_cluster import make_cluster, make_node, running

pytestmark = pytest.mark.usefixtures("asyncio_debug")

PUT = encode(Put(b"k", b"v"))


def descriptors() -> list[str]:
    """What is open, by what it is."""
    found = []
    for each in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{each}"))
        except FileNotFoundError:
            continue
    return sorted(found)


@asynccontextmanager
async def nothing_left(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """At the end there is what there was before, and asyncio has complained of nothing."""
    assert asyncio.get_running_loop().get_debug()
    await asyncio.sleep(0)
    tasks, opened = asyncio.all_tasks(), descriptors()
    yield
    gc.collect()
    for _ in range(3):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == tasks
    assert descriptors() == opened
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []


Doing = Callable[[Client], Awaitable[object]]


async def next_event(client: Client) -> object:
    return await anext(events(client))


UNANSWERED: dict[str, Doing] = {
    "call": lambda client: client.call(PUT),
    "read": lambda client: client.read(encode(Get(b"k"))),
    "stale read": lambda client: client.read(encode(Get(b"k")), stale=True),
    "resolve": lambda client: client.resolve(client.prepare(PUT)),
    "certified": lambda client: client.certified(PUT),
    "status": lambda client: client.status(0, timeout=30),
    "event": next_event,
}


@pytest.mark.parametrize("doing", UNANSWERED.values(), ids=UNANSWERED)
def test_cancelled_and_timed_out_and_closed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, doing: Doing
) -> None:
    async def main() -> None:
        make_cluster(tmp_path / "c")
        async with nothing_left(caplog):
            async with Client(tmp_path / "c") as client:
                cancelled = asyncio.ensure_future(doing(client))
                await asyncio.sleep(0.01)
                cancelled.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await cancelled
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(doing(client), 0.01)
                assert client.stats().pending == 0
                waiting = [asyncio.ensure_future(doing(client)) for _ in range(3)]
                both = asyncio.ensure_future(doing(client))
                await asyncio.sleep(0.01)
                await asyncio.gather(client.close(), client.close())
                both.cancel()
            began = time.monotonic()
            told = await asyncio.gather(*waiting, both, return_exceptions=True)
            assert time.monotonic() - began < 1
            assert all(isinstance(each, PbftError) for each in told[:3])
            with pytest.raises(PbftError, match="is closed"):
                await doing(client)

    run(main())


def test_calls_that_wait_for_room_have_a_timeout_and_end_with_the_client(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Those that resolved keys once waited for each other without an end."""

    async def main() -> None:
        make_cluster(tmp_path / "c")
        async with nothing_left(caplog):
            async with Client(tmp_path / "c") as client:
                keys = [client.prepare(PUT) for _ in range(3 * MAX_RESOLVING)]
                patient = [asyncio.create_task(client.resolve(each)) for each in keys]
                await asyncio.sleep(0.01)
                short = [client.resolve(client.prepare(PUT), timeout=0.2) for _ in range(3)]
                told = await asyncio.wait_for(asyncio.gather(*short, return_exceptions=True), 5)
                assert all(isinstance(each, UnansweredError) for each in told)
                for each in patient:
                    each.cancel()
                await asyncio.gather(*patient, return_exceptions=True)
                waiting = [asyncio.create_task(client.resolve(key)) for key in keys]
                await asyncio.sleep(0.01)
            told = await asyncio.gather(*waiting, return_exceptions=True)
            assert all(isinstance(each, PbftError) for each in told)

    run(main())


def test_an_error_in_the_body_and_one_while_opening(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(waiting: "list[asyncio.Task[bytes]]") -> None:
        async with Client(tmp_path / "c") as client:
            waiting.append(asyncio.create_task(client.call(PUT)))
            await asyncio.sleep(0.01)
            raise ZeroDivisionError

    async def main() -> None:
        make_cluster(tmp_path / "c")
        waiting: list[asyncio.Task[bytes]] = []
        async with nothing_left(caplog):
            with pytest.raises(ZeroDivisionError):
                await broken(waiting)
            with pytest.raises(UnansweredError, match="was closed"):
                await waiting.pop()
            for _ in range(2):  # its identity is free again
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(Client(tmp_path / "c").__aenter__(), 0.05)

    run(main())


def test_opening_may_be_cancelled_at_any_turn_of_the_loop(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        make_cluster(tmp_path / "c")
        async with nothing_left(caplog):
            for turns in range(8):
                opening = asyncio.create_task(Client(tmp_path / "c").__aenter__())
                for _ in range(turns):
                    await asyncio.sleep(0)
                opening.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await opening

    run(main())


def test_a_driver_that_fails_tells_everybody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        make_cluster(tmp_path / "c")
        async with nothing_left(caplog), Client(tmp_path / "c") as client:

            def fail(following: int) -> None:
                raise PbftError("the disk is full")

            monkeypatch.setattr(client._mark, "keep_ahead", fail)
            for _ in range(2):
                with pytest.raises(PbftError, match=r"the disk is full|is closed"):
                    await client.call(PUT)

    run(main())


def test_half_of_the_calls_are_cancelled_and_the_others_answered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        cluster, identities = make_cluster(tmp_path / "c")
        made = [make_node(cluster, identities, replica) for replica in range(4)]
        async with running(*made), nothing_left(caplog), Client(tmp_path / "c") as client:
            kv = KeyValueClient(client)
            calls = [asyncio.create_task(kv.put(b"%d" % n, b"")) for n in range(200)]
            await asyncio.sleep(0.005)
            for each in calls[::2]:
                each.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            assert client.stats().pending == 0
            assert len(await kv.scan(limit=1000)) >= 100
            with pytest.raises(UnansweredError):
                await client.call(PUT, timeout=1e-9)

    run(main())


def test_a_receipt_that_nobody_signs_has_a_timeout_and_ends_with_the_client(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        cluster, identities = make_cluster(tmp_path / "c")
        made = [make_node(cluster, identities, replica) for replica in range(4)]
        async with running(*made), nothing_left(caplog):
            async with Client(tmp_path / "c") as client:
                monkeypatch.setattr(client._statements, "absorb", lambda raw: False)
                with pytest.raises(UnansweredError, match="took effect") as caught:
                    await client.certified(PUT, timeout=1)
                assert caught.value.key is not None
                waiting = asyncio.create_task(client.certified(PUT))
                await asyncio.sleep(0.3)
            with pytest.raises(UnansweredError, match="took effect"):
                await asyncio.wait_for(waiting, 5)

    run(main())


def test_the_blocking_twin_closed_from_another_thread(tmp_path: Path) -> None:
    make_cluster(tmp_path / "c")
    before, threads = descriptors(), threading.active_count()
    told: list[BaseException] = []
    with BlockingClient(tmp_path / "c") as client:

        def ask() -> None:
            try:
                client.call(PUT)
            except PbftError as error:
                told.append(error)

        asking = [threading.Thread(target=ask) for _ in range(8)]
        closing = [threading.Thread(target=client.close) for _ in range(3)]
        for each in asking:
            each.start()
        time.sleep(0.05)
        for each in (*closing, late := threading.Thread(target=ask)):
            each.start()
        for each in (*asking, *closing, late):
            each.join(5)
            assert not each.is_alive()
    assert len(told) == 9
    assert (descriptors(), threading.active_count()) == (before, threads)


def test_the_blocking_twin_in_a_process_that_was_forked(tmp_path: Path) -> None:
    """The loop's thread is not there; to wait for it would be for ever."""
    make_cluster(tmp_path / "c")
    with BlockingClient(tmp_path / "c") as client:
        child = os.fork()
        if child == 0:
            signal.alarm(20)  # or it would wait for ever where this is broken
            try:
                client.call(PUT)
            except PbftError as error:
                client.close()
                os._exit(0 if "another process" in str(error) else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        with pytest.raises(UnansweredError):
            client.call(PUT, timeout=0.05)
