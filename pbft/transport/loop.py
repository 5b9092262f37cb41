"""The event loop that everything here runs on: uvloop where it exists, plain asyncio elsewhere.

Plain asyncio reads one datagram per turn of the loop and lets the kernel drop the rest of a burst.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, on the fastest loop that is installed."""
    with asyncio.Runner(loop_factory=_factory()) as runner:
        return runner.run(main)


def _factory() -> Any:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
