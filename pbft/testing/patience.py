"""A limit of wall time for what runs code of a user, which may never return.

    with limited(60.0) as limit:
        ... what takes longer is interrupted, and `limit.told` says in which call ...

An alarm of the operating system interrupts the main thread, wherever Python code runs in it; there
can be none in other threads, where nothing is limited. What is deep in a library, or swallows even
that, only ends with its process: so runs of services that nobody knows are made in processes of
their own, which `bounded` ends (`apart` sees it).
"""

import faulthandler
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import ParamSpec, TypeVar

from pbft.core.errors import InvalidArgumentsError, ServiceError
from pbft.core.state.machine import Machine
from pbft.testing.subjects import shown_call

MAX_SECONDS = 24 * 3600
RUN_SECONDS = 60.0
"""Of one simulated run, which takes a second or two."""
ENDLESS = "endless"
"""The property that a run violates which does not return."""
PROCESS = "process"
"""The property that a run violates which ends its process."""
UNRETURNED = (ENDLESS, PROCESS)
"""Which of the two it is may depend on the machine: a call that no signal interrupts may come late.
"""

P = ParamSpec("P")
T = TypeVar("T")


AGAIN_SECONDS = 0.01
"""A service may swallow an interruption: so soon the next one comes."""


class Endless(KeyboardInterrupt):
    """The limit is over. No service takes it for an error of its own."""

    @staticmethod
    def accept() -> None:
        """There shall be no more of them: whoever asked for the limit has heard of it."""
        signal.setitimer(signal.ITIMER_REAL, 0)


class Limit:
    """`told`: what was interrupted, in words; none so far where nothing was."""

    told: str | None = None


@contextmanager
def limited(seconds: float) -> Iterator[Limit]:
    """Interrupt the block with `Endless` after `seconds`. Raises `ServiceError` where that leaves
    the block, and `InvalidArgumentsError` before it where there is no such limit."""
    limit = Limit()
    if not 0 < seconds <= MAX_SECONDS:
        raise InvalidArgumentsError(
            f"the limit of a run is between 0 and {MAX_SECONDS} seconds, and {seconds} is not"
        )

    def ring(number: int, frame: FrameType | None) -> None:
        if limit.told is None:
            limit.told = f"{_where(frame)} has not returned after {seconds:g} s"
        raise Endless(limit.told)

    if threading.current_thread() is not threading.main_thread():
        yield limit
        return
    before = signal.signal(signal.SIGALRM, ring)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_SECONDS)
    try:
        yield limit
    except Endless as error:
        error.accept()
        raise ServiceError(str(error)) from None
    finally:
        Endless.accept()
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, left, interval)


def _where(frame: FrameType | None) -> str:
    """The call that a service executes, and the line that is reached."""
    if frame is None:
        return "the run"
    code, call = frame.f_code, "the run"
    at = f"{code.co_qualname} ({Path(code.co_filename).name}:{frame.f_lineno})"
    while frame is not None:
        if frame.f_code in (Machine.execute.__code__, Machine.query.__code__):
            call = shown_call(frame.f_locals["operation"])
            break
        frame = frame.f_back
    return f"{call}, in {at},"


def bounded(seconds: float, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """What `function` returns. The process ends where that takes twice `seconds`, whatever it
    does: for processes that were made for it."""
    with open(os.devnull, "w") as nowhere:
        faulthandler.dump_traceback_later(2 * seconds, exit=True, file=nowhere)
        try:
            return function(*args, **kwargs)
        finally:
            faulthandler.cancel_dump_traceback_later()


def apart(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T | None:
    """What `function` returns in a process of its own; none where that process ends in it."""
    with ProcessPoolExecutor(1) as pool:
        try:
            return pool.submit(function, *args, **kwargs).result()
        except BrokenProcessPool:
            return None
