"""The client as its users meet it: answers, refusals, time-outs, cancellation, and its errors."""

import asyncio
import time
from pathlib import Path

import pytest

from pbft import Client, PbftError
from pbft.client_session import OVERHEAD_BYTES, ClientEffects, Completed
from pbft.core.errors import (
    ConfigurationError,
    RejectedError,
    RequestTooLargeError,
    UnansweredError,
)
from pbft.core.service import OK, Context
from pbft.services.kv import Get, KeyValueClient, Put, encode
from pbft.transport.loop import run
from tests.core.lab import Journal
from tests.local_cluster import PROTOCOL, make_cluster, make_node, running

pytestmark = pytest.mark.usefixtures("asyncio_debug")

WINDOW = {"client_window": 4}


def test_many_calls_at_once_travel_together(tmp_path: Path) -> None:
    async def main() -> None:
        cluster, identities = make_cluster(tmp_path / "c")
        nodes = [make_node(cluster, identities, replica) for replica in range(4)]
        async with running(*nodes), Client(tmp_path / "c") as client:
            kv = KeyValueClient(client)
            await asyncio.gather(*(kv.put(b"%d" % n, b"v%d" % n) for n in range(1000)))
            found = await asyncio.gather(*(kv.get(b"%d" % n) for n in range(1000)))
            assert found == [b"v%d" % n for n in range(1000)]
            report = await client.status(0)
            assert report.status.executed < 50
            stats = client.stats()
            assert (stats.pending, stats.connected, stats.wrong_replies) == (0, 4, {})

    run(main())


@pytest.mark.scenario("CL11")
def test_with_fast_reads_gets_and_scans_leave_the_order_alone(tmp_path: Path) -> None:
    async def main() -> None:
        protocol = {**PROTOCOL, "fast_reads": True}
        cluster, identities = make_cluster(tmp_path / "c", protocol=protocol)
        nodes = [make_node(cluster, identities, replica) for replica in range(4)]
        async with running(*nodes), Client(tmp_path / "c") as client:
            kv = KeyValueClient(client)
            await kv.put(b"k", b"v" * 1000)
            executed = (await client.status(0)).status.executed
            assert await kv.get(b"k") == b"v" * 1000
            assert await kv.scan() == [(b"k", b"v" * 1000)]
            assert await client.call(encode(Get(b"other"))) == b"\xc0"
            assert (await client.status(0)).status.executed == executed + 1
            assert client.stats().fast_reads == 2
            with pytest.raises(RejectedError, match="not a key-value operation"):
                await client.read(b"nonsense")

    run(main())


def test_a_refusal_is_the_services_own_text(tmp_path: Path) -> None:
    async def main() -> None:
        cluster, identities = make_cluster(tmp_path / "c")
        nodes = [make_node(cluster, identities, replica) for replica in range(4)]
        async with running(*nodes), Client(tmp_path / "c") as client:
            with pytest.raises(RejectedError, match="KeyValueError: not a key-value operation"):
                await client.call(b"nonsense")
            with pytest.raises(RequestTooLargeError, match="above the limit"):
                await client.call(bytes(cluster.config.request_max_bytes))
            large = encode(Put(b"k", bytes(16_000)))
            await client.call(large)
            assert len(await client.call(encode(Get(b"k")))) > 16_000

    run(main())


def test_without_a_cluster_calls_time_out_and_say_why(tmp_path: Path) -> None:
    async def main() -> None:
        make_cluster(tmp_path / "c")
        began = time.monotonic()
        async with Client(tmp_path / "c") as client:
            with pytest.raises(UnansweredError, match="0 of 4 replicas could be reached"):
                await client.call(b"op", timeout=0.1)
            with pytest.raises(UnansweredError, match="replica-2 does not answer"):
                await client.status(2, timeout=0.1)
            assert client.stats().pending == 0
        assert time.monotonic() - began < 5

    run(main())


@pytest.mark.scenario("CF4")
def test_another_cluster_file_is_named_as_the_reason(tmp_path: Path) -> None:
    async def main() -> None:
        cluster, identities = make_cluster(tmp_path / "c")
        nodes = [make_node(cluster, identities, replica) for replica in range(4)]
        path = tmp_path / "c" / "cluster.toml"
        path.write_text(path.read_text().replace("# pipeline = 4", "pipeline = 5"))
        async with running(*nodes), Client(tmp_path / "c") as client:
            with pytest.raises(UnansweredError, match=r"run with another cluster\.toml"):
                await client.call(b"op", timeout=0.5)
            assert nodes[0].status().status.drops["peer with another configuration"] >= 1

    run(main())


def test_cancelled_and_closed_calls_end_and_leave_nothing_behind(tmp_path: Path) -> None:
    async def main() -> None:
        make_cluster(tmp_path / "c")
        client = await Client(tmp_path / "c").__aenter__()
        cancelled = asyncio.create_task(client.call(b"one"))
        closed = asyncio.create_task(client.call(b"two"))
        await asyncio.sleep(0.01)
        cancelled.cancel()
        outcome = (await asyncio.gather(cancelled, return_exceptions=True))[0]
        assert isinstance(outcome, asyncio.CancelledError)
        assert client.stats().pending == 1
        await client.close()
        await client.close()
        with pytest.raises(UnansweredError, match="was closed"):
            await closed
        with pytest.raises(PbftError, match="is closed"):
            await client.call(b"three")
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


@pytest.mark.parametrize("answer_first", [True, False])
def test_an_answer_in_the_turn_in_which_time_is_up_is_not_lost(
    tmp_path: Path, answer_first: bool
) -> None:
    """The caller was told that nothing had been sent, and the operation had taken effect."""

    async def main() -> None:
        make_cluster(tmp_path / "c")
        async with Client(tmp_path / "c") as client:
            asked = asyncio.create_task(client.call(b"op", timeout=0.05))
            await asyncio.sleep(0.01)
            loop = asyncio.get_running_loop()
            answer = ClientEffects(completed=[Completed(1, OK + b"done")])
            if answer_first:
                loop.call_soon(client._apply, answer)
            else:
                loop.call_later(0.06, client._apply, answer)
            time.sleep(0.1)  # noqa: ASYNC251 (both are due in one turn now)
            assert await asked == b"done"

    asyncio.run(main())


def test_a_client_that_is_not_open_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        make_cluster(tmp_path / "c")
        with pytest.raises(PbftError, match="async with"):
            await Client(tmp_path / "c").call(b"op")
        async with Client(tmp_path / "c") as client:
            with pytest.raises(PbftError, match="open already"):
                await client.__aenter__()

    run(main())


@pytest.mark.parametrize(
    ("identity", "sentence"),
    [("bob", "has no client 'bob': it has client-0"), ("replica-0", "has no client 'replica-0'")],
)
def test_an_unknown_identity_is_a_clear_error(tmp_path: Path, identity: str, sentence: str) -> None:
    async def main() -> None:
        make_cluster(tmp_path / "c")
        with pytest.raises(ConfigurationError, match=sentence):
            await Client(tmp_path / "c", identity=identity).__aenter__()
        with pytest.raises(ConfigurationError, match="pbft init"):
            await Client(tmp_path / "nowhere").__aenter__()

    run(main())


def test_two_clients_do_not_disturb_each_other(tmp_path: Path) -> None:
    async def main() -> None:
        cluster, identities = make_cluster(tmp_path / "c", clients=2)
        nodes = [make_node(cluster, identities, replica) for replica in range(4)]
        async with (
            running(*nodes),
            Client(tmp_path / "c", identity="client-0") as one,
            Client(tmp_path / "c", identity="client-1") as other,
        ):
            await asyncio.gather(
                *(KeyValueClient(one).put(b"one %d" % n, b"") for n in range(100)),
                *(KeyValueClient(other).put(b"other %d" % n, b"") for n in range(100)),
            )
            assert len(await KeyValueClient(one).scan(limit=1000)) == 200

    run(main())


def test_an_identity_is_one_clients_at_a_time(tmp_path: Path) -> None:
    """Two under one name would void each other's timestamps, and one of them is never answered."""

    async def main() -> None:
        cluster, identities = make_cluster(tmp_path / "c", clients=2)
        nodes = [make_node(cluster, identities, replica) for replica in range(4)]
        async with running(*nodes), Client(tmp_path / "c") as one:
            with pytest.raises(ConfigurationError, match="client-0 is in use by another client"):
                await Client(tmp_path / "c", identity="client-0").__aenter__()
            async with Client(tmp_path / "c") as other:
                with pytest.raises(ConfigurationError, match=r"client-1 is in use .*`pbft admit`"):
                    await Client(tmp_path / "c").__aenter__()
                await KeyValueClient(other).put(b"k", b"1")
            await KeyValueClient(one).put(b"k", b"2")
        async with Client(tmp_path / "c", identity="client-0"):
            pass

    run(main())


def test_a_client_that_cannot_open_leaves_its_identity_free(tmp_path: Path) -> None:
    async def main() -> None:
        make_cluster(tmp_path / "c")
        mark = tmp_path / "c" / "keys" / "client-0.timestamp"
        mark.write_text("soon")
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="does not hold a timestamp"):
                await Client(tmp_path / "c").__aenter__()
        mark.unlink()
        await (await Client(tmp_path / "c").__aenter__()).close()

    run(main())


def test_the_keys_of_other_machines_are_passed_over(tmp_path: Path) -> None:
    async def main() -> None:
        make_cluster(tmp_path / "c", clients=2)
        (tmp_path / "c" / "keys" / "client-0.pem").unlink()
        async with Client(tmp_path / "c"):
            pass
        assert (tmp_path / "c" / "keys" / "client-1.timestamp").exists()
        with pytest.raises(ConfigurationError, match=r"client-0\.pem cannot be read"):
            await Client(tmp_path / "c", identity="client-0").__aenter__()

    run(main())


class Mirror(Journal):
    """Gives every operation back."""

    def execute(self, operation: bytes, context: Context) -> bytes:
        super().execute(b"%d" % len(operation), context)
        return operation


def test_the_largest_operations_go_and_come_back_in_parallel(tmp_path: Path) -> None:
    async def main() -> None:
        protocol = {**PROTOCOL, "request_timeout_ms": 2000}
        cluster, identities = make_cluster(tmp_path / "c", protocol=protocol)
        services = [Mirror() for _ in range(4)]
        nodes = [make_node(cluster, identities, r, service=services[r]) for r in range(4)]
        async with running(*nodes), Client(tmp_path / "c") as client:
            largest = cluster.config.request_max_bytes - OVERHEAD_BYTES
            sizes = (largest, 10, 300_000, 20_000, largest, 9_000)
            sent = [bytes([n]) * size for n, size in enumerate(sizes)]
            assert await asyncio.gather(*map(client.call, sent)) == sent
            with pytest.raises(RequestTooLargeError, match="request_max_bytes"):
                await client.call(bytes(largest + 1))
        done = sorted(b"%d" % size for size in sizes)
        assert max(sorted(each.operations) for each in services) == done

    run(main())


def test_a_clock_that_was_set_back_brings_no_timestamp_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the mark, the second life's puts are below the floor, or answered from the table."""
    now = time.time_ns()

    async def main() -> None:
        cluster, identities = make_cluster(tmp_path / "c", protocol={**PROTOCOL, **WINDOW})
        nodes = [make_node(cluster, identities, replica) for replica in range(4)]
        async with running(*nodes):
            for life in range(3):
                back = now - life * 3600 * 10**9
                monkeypatch.setattr("pbft.client.time.time_ns", lambda back=back: back)
                async with Client(tmp_path / "c") as client:
                    for number in range(6):
                        await KeyValueClient(client).put(b"k", b"%d.%d" % (life, number))
                    assert await KeyValueClient(client).get(b"k") == b"%d.5" % life

    run(main())


def test_a_mark_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    async def main() -> None:
        make_cluster(tmp_path / "c")
        (tmp_path / "c" / "keys" / "client-0.timestamp.new").mkdir()
        with pytest.raises(ConfigurationError, match="cannot be written"):
            await Client(tmp_path / "c").__aenter__()

    run(main())


def test_a_client_that_restarts_goes_on_above_its_old_timestamps(tmp_path: Path) -> None:
    async def main() -> None:
        cluster, identities = make_cluster(tmp_path / "c")
        nodes = [make_node(cluster, identities, replica) for replica in range(4)]
        async with running(*nodes):
            for number in range(3):
                async with Client(tmp_path / "c") as client:
                    await KeyValueClient(client).put(b"k", b"%d" % number)
            async with Client(tmp_path / "c") as client:
                assert await KeyValueClient(client).get(b"k") == b"2"

    run(main())
