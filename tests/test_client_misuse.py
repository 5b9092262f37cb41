"""What goes wrong around a client is said, and loses nothing: keys, events, other loops."""

import asyncio
import threading
from pathlib import Path

import msgspec
import pytest

from pbft import BlockingClient, Client, PbftError
from pbft.core.errors import ConfigurationError, InvalidArgumentsError, UnansweredError
from pbft.services.counters import BlockingCounters, RemoteCounters
from pbft.typed.events import Event, Page
from pbft.typed.listening import EventsLostError, events
from tests.local_cluster import make_cluster, make_node, running


@pytest.mark.parametrize("what", ["stats", "cluster", "name"])
def test_what_is_not_open_says_so(tmp_path: Path, what: str) -> None:
    with pytest.raises(PbftError, match="not open"):
        getattr(Client(tmp_path), what)()


def test_a_key_that_is_not_resolved_in_time_comes_back_with_the_error(tmp_path: Path) -> None:
    async def main() -> None:
        make_cluster(tmp_path / "c")
        async with Client(tmp_path / "c") as client:
            keys = [client.prepare(b"op") for _ in range(5)]
            asked = [client.resolve(key, timeout=0.2) for key in [*keys, keys[0]]]
            errors = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(each, UnansweredError) for each in errors)
        found = [each.key for each in errors if isinstance(each, UnansweredError)]
        assert found == [*keys, keys[0]]

    asyncio.run(main(), debug=True)


def test_one_key_resolved_twice_at_once_is_answered_twice(tmp_path: Path) -> None:
    """Also in another spelling, which is the same call of the same request."""

    async def main() -> None:
        cluster, identities = make_cluster(tmp_path / "c")
        nodes = [make_node(cluster, identities, replica) for replica in range(4)]
        async with running(*nodes), Client(tmp_path / "c") as client:
            keys = (client.prepare(b"no operation of the service") for _ in range(1000))
            key = next(each for each in keys if {*each} & {*"-_"})
            other = key.replace("-", "+").replace("_", "/")
            all_three = await asyncio.gather(
                *(client.resolve(each, timeout=2) for each in (key, key, other)),
                return_exceptions=True,
            )
        assert [type(each).__name__ for each in all_three] == ["RejectedError"] * 3

    asyncio.run(main(), debug=True)


def test_another_loop_is_told_to_open_a_client_of_its_own(tmp_path: Path) -> None:
    async def main() -> None:
        make_cluster(tmp_path / "c")
        said: list[BaseException] = []

        def elsewhere(client: Client) -> None:
            try:
                asyncio.run(client.call(b"op", timeout=5))
            except PbftError as error:
                said.append(error)

        async with Client(tmp_path / "c") as client:
            thread = threading.Thread(target=elsewhere, args=(client,))
            thread.start()
            await asyncio.to_thread(thread.join)
        assert "another event loop" in str(said[0])

    asyncio.run(main())


def test_two_blocking_clients_take_one_name_each(tmp_path: Path) -> None:
    make_cluster(tmp_path / "c", clients=2)
    with BlockingClient(tmp_path / "c") as one, BlockingClient(tmp_path / "c") as other:
        assert {one.client.name, other.client.name} == {"client-0", "client-1"}


@pytest.mark.parametrize("timeout", [float("nan"), "1", 0, -1.5])
def test_a_timeout_that_no_call_can_keep_is_refused(tmp_path: Path, timeout: float) -> None:
    """Also zero: no replica answers in no time, and the outcome would be unknown."""
    make_cluster(tmp_path / "c")
    with BlockingClient(tmp_path / "c") as client:
        counters = BlockingCounters(client)
        for ask in (
            lambda: client.call(b"op", timeout=timeout),
            lambda: client.certified(b"op", timeout=timeout),
            lambda: client.status(0, timeout=timeout),
            lambda: Client(tmp_path / "c", timeout=timeout),
            lambda: BlockingClient(tmp_path / "c", timeout=timeout),
            lambda: BlockingCounters(client, timeout=timeout),
            lambda: counters.options(timeout=timeout),
        ):
            with pytest.raises(InvalidArgumentsError, match="a timeout is a number of seconds ab"):
                ask()


def test_a_proxy_says_which_client_it_takes(tmp_path: Path) -> None:
    """The other one would give a coroutine that nobody awaits, or end in an AttributeError."""
    waiting, other = BlockingClient(tmp_path), Client(tmp_path)
    with pytest.raises(InvalidArgumentsError, match="a BlockingProxy takes a BlockingClient"):
        BlockingCounters(other)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentsError, match="a Proxy takes a Client"):
        RemoteCounters(waiting)  # type: ignore[arg-type]


@pytest.mark.parametrize("ask", ["prepare", "resolve", "certified"])
def test_a_name_is_no_method(tmp_path: Path, ask: str) -> None:
    make_cluster(tmp_path / "c")
    with BlockingClient(tmp_path / "c") as client:
        call = getattr(BlockingCounters(client), ask)
        with pytest.raises(InvalidArgumentsError, match=r"'add' is no method .*Counter\.add"):
            call("add", "visits")
        with pytest.raises(InvalidArgumentsError, match=r"^Counters\.add is no method"):
            call(BlockingCounters(client).add, "visits")


def test_an_error_without_a_key_gives_nothing_to_ask_with(tmp_path: Path) -> None:
    make_cluster(tmp_path / "c")
    with (
        BlockingClient(tmp_path / "c") as client,
        pytest.raises(ConfigurationError, match="not the key of a call"),
    ):
        BlockingCounters(client).resolve(BlockingCounters.add, UnansweredError("").key)  # type: ignore[arg-type]


def test_the_key_of_a_client_of_the_file_is_no_guests(tmp_path: Path) -> None:
    make_cluster(tmp_path / "c")
    path = tmp_path / "c" / "keys" / "client-0.pem"
    with (
        pytest.raises(ConfigurationError, match="is no guest's: give its name alone, 'client-0'"),
        BlockingClient(tmp_path / "c", identity=path),
    ):
        pass


class Pages:
    """A caller that answers with one page."""

    def __init__(self, page: Page) -> None:
        self.data = msgspec.msgpack.encode(page)

    async def read(
        self, operation: bytes, *, timeout: float | None = None, stale: bool = False
    ) -> bytes:
        return self.data


def first_event(page: Page, sequence: int) -> int:
    async def main() -> int:
        async for event in events(Pages(page), sequence=sequence):  # type: ignore[call-overload]
            return int(event.number)
        return 0

    return asyncio.run(main())


def kept(first: int, sequence: int) -> Page:
    return Page(first, [Event(first, sequence, 0, "t", 1)])


def test_events_of_a_sequence_number_that_may_be_gone_are_not_passed_over() -> None:
    with pytest.raises(EventsLostError) as lost:
        first_event(kept(first=8, sequence=20), sequence=5)
    assert lost.value.resume_after == 7
    assert first_event(kept(first=8, sequence=5), sequence=5) == 8
    assert first_event(kept(first=1, sequence=20), sequence=5) == 1
