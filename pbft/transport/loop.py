"""The event loop that everything here runs on: uvloop where it exists, plain asyncio elsewhere.

Plain asyncio brings one datagram per turn of the loop, so that the socket has to read the rest of a
burst by itself (`udp`); uvloop does more with a processor.
"""

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

YOUNG_OBJECTS = 50_000
"""Allocations between two passes of the collector over the youngest objects."""


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, on the fastest loop that is installed.

    What is alive at the start stays alive, and messages hold no cycles: the garbage collector need
    not look at either a hundred times a second.
    """
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 50)
    with asyncio.Runner(loop_factory=_factory()) as runner:
        return runner.run(main)


def new_loop() -> asyncio.AbstractEventLoop:
    """The fastest that is installed."""
    loop: asyncio.AbstractEventLoop = (_factory() or asyncio.new_event_loop)()
    return loop


def _factory() -> Any:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
