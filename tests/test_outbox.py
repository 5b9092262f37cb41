"""What a turn says waits for its own records and for those of every earlier turn (T45)."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from pbft import outbox
from pbft.core.effects import Diverged, Effects, EnteredView
from pbft.core.errors import StorageError
from pbft.core.records import AnyRecord, Began
from pbft.journal import Rotten
from pbft.outbox import Outbox


class HandStore:
    """Durable when the test says so."""

    durability = "by hand"

    def __init__(self) -> None:
        self.unsynced_bytes = 0
        self.asked: list[asyncio.Future[None]] = []
        self.kept: list[tuple[Diverged, int]] = []

    def load(self) -> Sequence[AnyRecord]:
        return ()

    def append(self, records: Sequence[AnyRecord]) -> "asyncio.Future[None]":
        self.asked.append(asyncio.get_running_loop().create_future())
        return self.asked[-1]

    def rotten(self) -> Rotten:
        return Rotten()

    def set_aside(self, divergence: Diverged) -> None:
        self.kept.append((divergence, len(self.asked)))


class Bench:
    """An outbox under test: turns are told apart by the view of their one event."""

    def __init__(self) -> None:
        self.store = HandStore()
        self.woken = 0
        self.outbox = Outbox(self.store, self._wake)

    def _wake(self) -> None:
        self.woken += 1

    def turn(self, number: int, *, records: bool) -> None:
        kept: list[AnyRecord] = [Began()] if records else []
        self.outbox.put(Effects(records=kept, events=[EnteredView(number)]))

    def released(self) -> list[object]:
        return [event for effects in self.outbox.ready() for event in effects.events]


def bench(main: Callable[[Bench], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        await main(Bench())

    asyncio.run(run())


def test_what_a_divergence_leaves_is_kept_before_later_records() -> None:
    async def main() -> None:
        bench = Bench()
        bench.turn(1, records=True)
        found = Diverged(8, bytes(32), bytes(32))
        bench.outbox.put(Effects(records=[Began()], events=[found]))
        bench.turn(3, records=True)
        assert bench.store.kept == [(found, 2)]
        assert len(bench.store.asked) == 3

    asyncio.run(main())


@pytest.mark.scenario(
    "T45", kills="T45 a turn without records does not wait for the turns before it"
)
def test_a_turn_without_records_waits_for_the_turn_before_it() -> None:
    """T45: turn 1 accepts PP(A), record pending; turn 2 has no records and repeats PREPARE(A)."""

    async def main(b: Bench) -> None:
        b.turn(1, records=True)
        b.turn(2, records=False)
        assert b.released() == []
        b.store.asked[0].set_result(None)
        assert b.released() == [EnteredView(1), EnteredView(2)]
        assert b.released() == []

    bench(main)


def test_nothing_waits_that_has_nothing_to_wait_for() -> None:
    async def main(b: Bench) -> None:
        b.turn(1, records=False)
        assert b.released() == [EnteredView(1)]
        assert b.store.asked == []

    bench(main)


def test_turns_go_on_while_the_disk_works_and_are_released_in_order() -> None:
    async def main(b: Bench) -> None:
        for number in range(5):
            b.turn(number, records=number != 2)
        assert len(b.store.asked) == 4
        for late in (3, 1, 2):
            b.store.asked[late].set_result(None)
            assert b.released() == []
        b.store.asked[0].set_result(None)
        assert b.released() == [EnteredView(number) for number in range(5)]
        await asyncio.sleep(0)
        assert b.woken == 4

    bench(main)


def test_a_failure_in_the_middle_releases_nothing_from_there_on() -> None:
    async def main(b: Bench) -> None:
        for number in range(4):
            b.turn(number, records=number != 3)
        b.store.asked[2].set_result(None)
        b.store.asked[1].set_exception(StorageError("the disk is gone"))
        b.store.asked[0].set_result(None)
        seen: list[Effects] = []
        with pytest.raises(StorageError, match="the disk is gone"):
            seen.extend(b.outbox.ready())
        assert seen == [Effects(records=[Began()], events=[EnteredView(0)])]
        with pytest.raises(StorageError, match="the disk is gone"):
            b.released()

    bench(main)


def test_what_waits_is_bounded_in_turns_and_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MAX_UNSYNCED_TURNS", 3)

    async def main(b: Bench) -> None:
        for number in range(3):
            assert not b.outbox.full
            b.turn(number, records=number == 0)
        assert b.outbox.full
        b.store.asked[0].set_result(None)
        assert len(b.released()) == 3
        assert not b.outbox.full
        b.store.unsynced_bytes = outbox.MAX_UNSYNCED_BYTES
        assert b.outbox.full

    bench(main)


def test_draining_waits_for_the_last_and_does_not_raise() -> None:
    async def main(b: Bench) -> None:
        b.turn(1, records=True)
        b.turn(2, records=True)
        draining = asyncio.create_task(b.outbox.drained())
        await asyncio.sleep(0)
        b.store.asked[1].set_exception(StorageError("full"))
        await asyncio.sleep(0)
        assert not draining.done()
        b.store.asked[0].set_result(None)
        await draining
        with pytest.raises(StorageError):
            list(b.outbox.ready())

    bench(main)
