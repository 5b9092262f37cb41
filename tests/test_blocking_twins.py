"""Whatever there is for asyncio is there without it, under the same names, and does the same."""

import asyncio
import gc
import inspect
import threading
import time
from collections.abc import Coroutine, Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, TypeVar

import pytest

from pbft import (
    ApplicationError,
    BlockingClient,
    BlockingKeptCalls,
    BlockingProxy,
    Client,
    KeptCalls,
    PbftError,
    Proxy,
    RejectedError,
    UnansweredError,
    blocking,
    events,
    services,
)
from pbft.services.configuration import BlockingConfiguration, Configuration, RemoteConfiguration
from pbft.transport.loop import new_loop
from tests.test_typed_client import saved, serving
from tests.typed.bank import Bank, BlockingBank, InsufficientError

R = TypeVar("R")
HANDLES = {"client", "wait"}
"""What a blocking client has beside: its asyncio twin, and how to wait for what runs there."""


def batteries() -> Iterator[tuple[type, type]]:
    for each in iter_modules(services.__path__):
        module = import_module(f"pbft.services.{each.name}")
        for name, kind in vars(module).items():
            if (
                inspect.isclass(kind)
                and issubclass(kind, Proxy)
                and kind.__module__ == module.__name__
            ):
                yield kind, getattr(module, name.replace("Remote", "Blocking"))


PAIRS = [
    (Client, BlockingClient),
    (Proxy, BlockingProxy),
    (KeptCalls, BlockingKeptCalls),
    *batteries(),
]


def names(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


@pytest.mark.parametrize(("one", "twin"), PAIRS, ids=[one.__name__ for one, _ in PAIRS])
def test_the_names_and_their_parameters_are_the_same(one: type, twin: type) -> None:
    assert names(twin) - names(one) <= HANDLES
    assert names(one) <= names(twin)
    for name in names(one):
        ours, theirs = inspect.getattr_static(one, name), inspect.getattr_static(twin, name)
        assert isinstance(ours, property) == isinstance(theirs, property), name
        if inspect.isfunction(ours):
            told = [
                [(p.name, p.kind, p.default) for p in inspect.signature(each).parameters.values()]
                for each in (ours, theirs)
            ]
            assert told[0] == told[1], name


def test_every_battery_is_looked_at() -> None:
    assert (RemoteConfiguration, BlockingConfiguration) in PAIRS
    assert len(PAIRS) > 8


def test_events_and_watches_without_asyncio(tmp_path: Path) -> None:
    cluster = saved(tmp_path / "c")
    with serving(cluster, tmp_path / "c", Configuration):
        with BlockingClient(tmp_path / "c") as client:
            assert client.name == "client-0"
            settings = BlockingConfiguration(client)
            for n in range(3):
                settings.put(f"k/{n}", str(n))
                settings.put(f"other/{n}", str(n))
            for number, event in enumerate(events(client), 1):
                assert event.number == number
                if number == 6:
                    break
            watching = settings.watch("k/", after=1)
            assert [next(watching).key for _ in range(2)] == ["k/1", "k/2"]
            endless = settings.watch("k/", after=6)
            left = events(client, after=6)
        for stream in (endless, left):
            with pytest.raises(PbftError, match="not open"):
                next(stream)
    del stream, endless, left, watching
    gc.collect()


def test_kept_calls_without_asyncio(tmp_path: Path) -> None:
    saved(tmp_path / "c")
    path = tmp_path / "calls.db"
    with (
        BlockingClient(tmp_path / "c", identity="client-0", timeout=0.2) as client,
        BlockingKeptCalls(path, BlockingBank(client)) as calls,
    ):
        for amount in (1, 20):
            with pytest.raises(UnansweredError):
                calls.call(Bank.deposit, "ann", amount)
        assert (calls.made, calls.open) == (2, 2)


def test_kept_calls_are_recovered_without_asyncio(tmp_path: Path) -> None:
    path, cluster = tmp_path / "calls.db", saved(tmp_path / "c")
    with (
        serving(cluster, tmp_path / "c"),
        BlockingClient(tmp_path / "c", identity="client-0") as client,
    ):
        bank = BlockingBank(client)
        with (
            BlockingKeptCalls(path, bank.options(timeout=1e-9)) as calls,
            pytest.raises(UnansweredError),
        ):
            calls.call(Bank.deposit, "ann", 20)
        with BlockingKeptCalls(path, bank) as calls:
            assert [each.result for each in calls.recover()] == [20]
            with pytest.raises(InsufficientError):
                calls.call(Bank.transfer, "ann", "bob", 300)
            assert (calls.made, calls.open) == (2, 0)


def test_waiting_in_the_loops_own_thread_is_refused(tmp_path: Path) -> None:
    """It would wait for itself."""

    async def within(client: BlockingClient) -> None:
        client.call(b"op")

    saved(tmp_path / "c")
    with (
        BlockingClient(tmp_path / "c", identity="client-0") as client,
        pytest.raises(PbftError, match="own thread"),
    ):
        client.wait(within(client))


class Deaf:
    """A client whose cluster refuses everything, and its blocking twin in one."""

    @property
    def client(self) -> Any:
        return self

    async def call(self, operation: bytes, *, timeout: float | None = None) -> bytes:
        raise RejectedError('InsufficientError: ["too little"]')

    def prepare(self, operation: bytes) -> str:
        return ""

    def wait(self, what: Coroutine[Any, Any, R]) -> R:
        return asyncio.run(what)


def test_an_exception_is_looked_for_where_the_blocking_proxy_is_defined() -> None:
    """Not among those of the same name that others have defined."""

    class Ours(BlockingBank): ...

    class OursError(ApplicationError): ...

    OursError.__name__ = InsufficientError.__name__
    for kind, expected in ((Ours, OursError), (BlockingBank, InsufficientError)):
        with pytest.raises(ApplicationError) as caught:
            kind(Deaf()).deposit("ann", 1)
        assert type(caught.value) is expected
    OursError.__name__ = "OursError"  # it lives on among the subclasses


def test_closing_in_the_loops_own_thread_is_refused(tmp_path: Path) -> None:
    """It would wait for itself, and so would whoever closes it later."""
    told: list[str] = []

    async def within(client: BlockingClient) -> None:
        client.close()

    def close() -> None:
        with BlockingClient(tmp_path / "c", identity="client-0") as client:
            try:
                client.wait(within(client))
            except PbftError as error:
                told.append(str(error))

    saved(tmp_path / "c")
    closing = threading.Thread(target=close, daemon=True)
    closing.start()
    closing.join(10)
    assert not closing.is_alive()
    assert len(told) == 1
    assert "own thread" in told[0]


def test_threads_that_open_one_client_open_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly() -> asyncio.AbstractEventLoop:
        time.sleep(0.05)
        return new_loop()

    monkeypatch.setattr(blocking, "new_loop", slowly)
    saved(tmp_path / "c")
    before, told = threading.active_count(), []
    client = BlockingClient(tmp_path / "c", identity="client-0")

    def enter() -> None:
        try:
            client.__enter__()
        except PbftError as error:
            told.append(str(error))

    entering = [threading.Thread(target=enter) for _ in range(3)]
    for each in entering:
        each.start()
    for each in entering:
        each.join(10)
    client.close()
    assert len(told) == 2
    assert all("is open already" in each for each in told)
    assert threading.active_count() == before


def test_what_was_closed_is_not_opened(tmp_path: Path) -> None:
    """Closing it again would wait for a thread that nobody ends."""
    client = BlockingClient(tmp_path / "c")
    client.close()
    with pytest.raises(PbftError, match="is closed already"):
        client.__enter__()
    client.close()


def test_a_close_that_is_interrupted_ends_the_thread_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path / "c")
    client = BlockingClient(tmp_path / "c", identity="client-0")
    client.__enter__()
    thread = client._thread
    assert thread is not None

    def interrupted(self: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("concurrent.futures.Future.result", interrupted)
        with pytest.raises(KeyboardInterrupt):
            client.close()
    thread.join(10)
    assert not thread.is_alive()
    client.close()
