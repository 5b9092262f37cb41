"""What is around a process and must not matter to a service, different in each of those that are
compared.

Most of it is in a process's environment. What all processes of one machine have alike, its name for
one and its clock, is pretended, since replicas are on several; and calls begin at another depth.
"""

import os
import platform
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import TypeVar

SURROUNDINGS: tuple[dict[str, str], ...] = (
    {"PYTHONHASHSEED": "1", "LC_ALL": "C.UTF-8", "TZ": "UTC0", "USER": "ann"},
    {"PYTHONHASHSEED": "2", "LC_ALL": "C", "TZ": "<+14>-14", "USER": "bob"},
    {"PYTHONHASHSEED": "3", "LC_ALL": "C.UTF-8", "TZ": "<-12>+12", "USER": "cid"},
)
"""Of each process. It is never the same date in the last two time zones."""
APART_SECONDS = 100 * 24 * 3600 + 11 * 3600 + 23 * 60 + 17
"""From the clock of one process to that of the next: neither whole minutes, hours nor days."""
DEEPER = 11
"""Calls more, in each process than in the one before."""

R = TypeVar("R")


def environment(number: int) -> dict[str, str]:
    """Of the process with this number."""
    own = SURROUNDINGS[number % len(SURROUNDINGS)]
    return own | {"LOGNAME": own["USER"], "HOSTNAME": f"host-{number}"}


def pretend(number: int) -> None:
    """That this process is on a host of its own, and its clock another. Before a user's module is
    imported, which may take the functions themselves."""
    _shift_clock(number * APART_SECONDS)
    system, _, release, version, machine = os.uname()
    told = os.uname_result((system, f"host-{number}", f"{release}-{number}", version, machine))
    os.uname = lambda: told
    os.cpu_count = lambda: number + 1
    socket.gethostname = platform.node = lambda: told.nodename
    uuid.getnode = lambda: number + 1


def _shift_clock(seconds: int) -> None:
    """What calls give within one minute or one day would be the same everywhere, and is not when
    replicas execute around its end. `datetime` asks elsewhere, and is left alone."""
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() + seconds
    time.time_ns = lambda: now_ns() + seconds * 10**9


@contextmanager
def surrounded(number: int, directory: Path) -> Iterator[None]:
    """Within this, in another working and home directory."""
    home, own = os.environ.get("HOME"), directory / f"at-{number}"
    own.mkdir(exist_ok=True)
    os.environ["HOME"] = str(own)
    try:
        with chdir(own):
            yield
    finally:
        if home is None:
            del os.environ["HOME"]
        else:
            os.environ["HOME"] = home


def deeper(number: int, what: Callable[[], R]) -> R:
    """Call it as deep as the process with this number does."""
    return _down(number * DEEPER, what)


def _down(calls: int, what: Callable[[], R]) -> R:
    return what() if not calls else _down(calls - 1, what)
