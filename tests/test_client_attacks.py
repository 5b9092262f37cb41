"""What is hostile to a client, from its own side and from outside: times that are none, keys that
were changed, threads and forks, hosts without an address. No outcome goes lost, nobody hangs."""

import asyncio
import gc
import math
import os
import threading
import time
from pathlib import Path

import pytest

from pbft import (
    BlockingClient,
    Client,
    ConfigurationError,
    InvalidArgumentsError,
    PbftError,
    UnansweredError,
    timestamps,
)
from pbft import blocking as blocking_module
from pbft.cluster import Cluster
from pbft.outcome_keys import parse_key, render_key
from pbft.services.kv import Put, encode
from pbft.transport.loop import run
from tests.local_cluster import make_cluster, make_node, running

pytestmark = pytest.mark.usefixtures("asyncio_debug")

PUT = encode(Put(b"k", b"v"))


@pytest.mark.parametrize("what", ["call", "read", "certified", "status", "resolve"])
def test_a_time_that_is_no_number_is_refused(tmp_path: Path, what: str) -> None:
    async def main() -> None:
        make_cluster(tmp_path / "c")
        async with Client(tmp_path / "c") as client:
            key = client.prepare(PUT)
            argument = {"status": 0, "resolve": key}.get(what, PUT)
            with pytest.raises(InvalidArgumentsError, match="seconds"):
                await getattr(client, what)(argument, timeout=math.nan)

    run(main())


def test_who_waits_for_the_same_key_has_a_time_of_its_own(tmp_path: Path) -> None:
    async def main() -> None:
        make_cluster(tmp_path / "c")
        async with Client(tmp_path / "c") as client:
            key = client.prepare(PUT)
            patient = asyncio.create_task(client.resolve(key, timeout=math.inf))
            await asyncio.sleep(0.01)
            with pytest.raises(UnansweredError) as caught:
                await asyncio.wait_for(client.resolve(key, timeout=0.1), 5)
            assert caught.value.key == key
        with pytest.raises(UnansweredError):
            await patient

    run(main())


def test_a_key_that_was_changed_or_is_of_another_cluster_is_refused_at_once(tmp_path: Path) -> None:
    """Sent, it would be nonsense to the replicas, under this client's name, until time is up."""

    async def main() -> None:
        for name in ("c", "d"):
            make_cluster(tmp_path / name)
        async with Client(tmp_path / "d") as client:
            foreign = client.prepare(PUT)
        async with Client(tmp_path / "c") as client:
            raw, place = parse_key(client.prepare(PUT))
            changed = [raw[:at] + bytes((raw[at] ^ 1,)) + raw[at + 1 :] for at in range(len(raw))]
            for key in (foreign, *(render_key(each, place) for each in changed)):
                with pytest.raises(ConfigurationError, match="key"):
                    await client.resolve(key, timeout=5)

    run(main())


def test_a_driver_that_fails_leaves_the_keys_of_what_was_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        make_cluster(tmp_path / "c")
        async with Client(tmp_path / "c") as client:
            calls = [asyncio.create_task(client.call(PUT)) for _ in range(9)]
            await asyncio.sleep(0.05)

            def fail(following: int) -> None:
                raise ConfigurationError("the disk is full")

            monkeypatch.setattr(client._mark, "keep_ahead", fail)
            client._alarm.ring()
            told = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(each, UnansweredError) and each.key for each in told), told
        assert "the disk is full" in str(told[0])

    run(main())


def test_closing_that_is_cancelled_frees_the_name_and_tells_who_waits(tmp_path: Path) -> None:
    async def main() -> None:
        make_cluster(tmp_path / "c")
        client = await Client(tmp_path / "c").__aenter__()
        waiting = asyncio.create_task(client.call(PUT))
        await asyncio.sleep(0.01)
        closing = asyncio.create_task(client.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        with pytest.raises(UnansweredError, match="closed"):
            await asyncio.wait_for(waiting, 5)
        async with Client(tmp_path / "c") as again:
            assert again.name == "client-0"
        gc.collect()  # a socket that is open still would complain

    run(main())


def test_a_receipt_that_is_given_up_by_closing_leaves_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        cluster, identities = make_cluster(tmp_path / "c")
        made = [make_node(cluster, identities, replica) for replica in range(4)]
        async with running(*made):
            async with Client(tmp_path / "c") as client:
                monkeypatch.setattr(client._statements, "absorb", lambda raw: False)
                waiting = asyncio.create_task(client.certified(PUT))
                await asyncio.sleep(0.5)
            with pytest.raises(UnansweredError, match="took effect") as caught:
                await asyncio.wait_for(waiting, 5)
            key = caught.value.key
            assert key is not None
            async with Client(tmp_path / "c") as client:
                await client.resolve(key, timeout=10)

    run(main())


def test_a_key_is_not_made_in_another_thread(tmp_path: Path) -> None:
    """Two at once might use one timestamp, and one of them would never take effect."""

    async def main() -> None:
        make_cluster(tmp_path / "c")
        async with Client(tmp_path / "c") as client:
            with pytest.raises(PbftError, match="another event loop"):
                await asyncio.to_thread(client.prepare, PUT)
            client.prepare(PUT)

    run(main())


@pytest.mark.parametrize("what", ["keys", "calls"])
def test_keys_are_not_made_ahead_of_the_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """A client whose clock goes back uses no timestamp again, however many it has used."""
    monkeypatch.setattr(timestamps, "BLOCK", 100)

    async def main() -> None:
        make_cluster(tmp_path / "c")
        async with Client(tmp_path / "c") as client:
            first = client._session.next_timestamp
            while client._session.next_timestamp < first + 250:
                if what == "keys":
                    client.prepare(PUT)
                else:
                    with pytest.raises(UnansweredError):
                        await client.call(PUT, timeout=0.001)
            marked = int((tmp_path / "c" / "keys" / "client-0.timestamp").read_text())
            assert marked >= client._session.next_timestamp

    run(main())


def test_a_forked_process_does_not_keep_the_name(tmp_path: Path) -> None:
    make_cluster(tmp_path / "c")
    with BlockingClient(tmp_path / "c"):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(writing)
            os.read(reading, 1)  # until the parent is through
            os._exit(0)
        os.close(reading)
    try:
        with BlockingClient(tmp_path / "c") as again:
            assert again.client.name == "client-0"
    finally:
        os.close(writing)
        os.waitpid(child, 0)


def test_a_forked_process_that_leaves_the_block_does_not_free_the_name(tmp_path: Path) -> None:
    """Two would use one identity; and what it took from the loop is the parent's, too."""

    async def main() -> None:
        make_cluster(tmp_path / "c")
        async with Client(tmp_path / "c", identity="client-0") as client:
            child = os.fork()
            if child == 0:
                try:
                    await client.close()
                finally:
                    os._exit(0)
            await asyncio.to_thread(os.waitpid, child, 0)
            with pytest.raises(ConfigurationError, match="is in use"):
                await Client(tmp_path / "c", identity="client-0").__aenter__()

    run(main())


@pytest.mark.parametrize(
    "wanted",
    ["x" * 300, "a\0b", "", ".", "..", "/", "/dev/null", "replica-0", "client-0/0", "ä\ud800"],
)
def test_a_strange_identity_is_refused_in_words(tmp_path: Path, wanted: str) -> None:
    make_cluster(tmp_path / "c")
    with pytest.raises(ConfigurationError), BlockingClient(tmp_path / "c", identity=wanted):
        pass


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[[replica]]", b"a = 1\n" * 1000, None])
def test_a_cluster_file_that_is_none(tmp_path: Path, content: bytes | None) -> None:
    if content is None:
        (tmp_path / "cluster.toml").mkdir()
    else:
        (tmp_path / "cluster.toml").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"cluster\.toml"), BlockingClient(tmp_path):
        pass


def test_a_replica_whose_host_has_no_address_is_one_that_does_not_answer(tmp_path: Path) -> None:
    async def main() -> None:
        made, identities = make_cluster(tmp_path / "c")
        path = tmp_path / "c" / "cluster.toml"
        fourth = f"port = {made.replicas[3].port}"
        head, _, tail = path.read_text().partition(fourth)
        before, _, host = head.rpartition('host = "127.0.0.1"')
        path.write_text(f'{before}host = "nowhere.invalid"{host}{fourth}{tail}')
        cluster = Cluster.load(tmp_path / "c")
        assert cluster.replicas[3].host == "nowhere.invalid"
        nodes = [make_node(made, identities, replica) for replica in range(3)]
        async with running(*nodes), Client(tmp_path / "c") as client:
            assert await client.call(PUT, timeout=10)
            assert client.stats().connected == 3
        path.write_text(path.read_text().replace('"127.0.0.1"', '"nowhere.invalid"'))
        with pytest.raises(ConfigurationError, match="has no address"):
            await Client(tmp_path / "c").__aenter__()

    run(main())


def test_closing_ends_whatever_runs_on_the_loop_of_the_blocking_twin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocking_module, "CLOSE_SECONDS", 0.05)
    make_cluster(tmp_path / "c")
    ended: list[BaseException] = []
    with BlockingClient(tmp_path / "c") as client:

        def wait() -> None:
            try:
                client.wait(asyncio.sleep(3600))
            except BaseException as error:
                ended.append(error)

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        time.sleep(0.05)
    thread.join(5)
    assert not thread.is_alive()
    assert isinstance(ended[0], PbftError)


def test_two_who_open_one_client_at_once_open_it_once(tmp_path: Path) -> None:
    async def main() -> None:
        make_cluster(tmp_path / "c", clients=2)
        client = Client(tmp_path / "c")
        both = await asyncio.gather(
            client.__aenter__(), client.__aenter__(), return_exceptions=True
        )
        assert both[0] is client
        assert isinstance(both[1], PbftError)
        assert "open already" in str(both[1])
        await client.close()
        async with Client(tmp_path / "c") as one, Client(tmp_path / "c") as other:
            assert {one.name, other.name} == {"client-0", "client-1"}
        assert len(asyncio.all_tasks()) == 1

    run(main())
