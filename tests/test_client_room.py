"""What waits for room is let in by number and by bytes, in order, and leaves nothing behind."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from pbft.client_room import Room


class Guests:
    """Who is in, in the order of coming; each stays until told to go."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.inside: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.doors: dict[str, asyncio.Event] = {}

    async def come(self, name: str, size: int) -> None:
        self.doors[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._stay(name, size))
        await settled()

    async def go(self, name: str) -> None:
        self.doors[name].set()
        await self.tasks[name]
        await settled()

    async def lose_patience(self, name: str) -> None:
        self.tasks[name].cancel()
        await asyncio.gather(self.tasks[name], return_exceptions=True)
        await settled()

    async def _stay(self, name: str, size: int) -> None:
        async with self.room.taken(size):
            self.inside.append(name)
            await self.doors[name].wait()
            self.inside.remove(name)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def scenario(main: Callable[[Guests], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """A room of three calls and 100 bytes."""

    def test() -> None:
        asyncio.run(main(Guests(Room(3, 100))))

    return test


@scenario
async def test_more_bytes_wait(now: Guests) -> None:
    await now.come("a", 60)
    await now.come("b", 50)
    assert now.inside == ["a"]
    await now.go("a")
    assert now.inside == ["b"]


@scenario
async def test_more_calls_wait(now: Guests) -> None:
    for name in "abcd":
        await now.come(name, 0)
    assert now.inside == ["a", "b", "c"]
    await now.go("b")
    assert now.inside == ["a", "c", "d"]


@scenario
async def test_small_ones_do_not_pass_a_large_one(now: Guests) -> None:
    await now.come("a", 60)
    await now.come("large", 80)
    await now.come("small", 1)
    assert now.inside == ["a"]
    await now.go("a")
    assert now.inside == ["large", "small"]


@scenario
async def test_who_loses_patience_holds_up_nobody(now: Guests) -> None:
    await now.come("a", 60)
    await now.come("large", 80)
    await now.come("small", 1)
    await now.lose_patience("large")
    assert now.inside == ["a", "small"]
    await now.go("a")
    await now.go("small")
    await now.come("all", 100)
    assert now.inside == ["all"]


@scenario
async def test_who_is_cancelled_when_just_let_in_gives_the_room_back(now: Guests) -> None:
    async with now.room.taken(100):
        await now.come("b", 100)
    now.tasks["b"].cancel()
    await settled()
    await now.come("c", 100)
    assert now.inside == ["c"]


@scenario
async def test_what_is_larger_than_the_room_has_it_alone(now: Guests) -> None:
    await now.come("a", 1)
    await now.come("huge", 1000)
    assert now.inside == ["a"]
    await now.go("a")
    assert now.inside == ["huge"]


def test_what_fails_inside_leaves_too() -> None:
    async def main() -> None:
        room = Room(1, 1)
        for _ in range(2):
            with pytest.raises(ValueError, match="inside"):
                async with room.taken(1):
                    raise ValueError("inside")

    asyncio.run(main())
