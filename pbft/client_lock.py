"""One client at a time uses an identity on this machine: its key file is locked meanwhile.

Two would share the window of timestamps that replicas remember: what the one executes raises the
floor above the requests of the other, which are then never answered.
"""

import fcntl
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from pbft.core.errors import ConfigurationError


def first_free(keys: Mapping[str, Path]) -> tuple[str, BinaryIO]:
    """The first, by name, whose key file is here and in use by nobody; it is ours for as long as
    the file is open. Raises `ConfigurationError`."""
    reasons: list[str] = []
    for name, path in keys.items():
        try:
            key = path.open("rb")
        except OSError as error:
            reasons.insert(0, f"{path} cannot be read: {error.strerror}")
            continue
        try:
            fcntl.flock(key, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            key.close()
            reasons.append(
                f"{name} is in use by another client on this machine: close that one, or be"
                " another (`pbft admit` lets one in, `pbft init --clients N` makes several)"
            )
        else:
            return name, key
    raise ConfigurationError(reasons[-1] if reasons else "the cluster file names no client")


def release(lock: BinaryIO) -> None:
    """It is free again, even while a process that was forked in between has the file open, too."""
    if not lock.closed:
        fcntl.flock(lock, fcntl.LOCK_UN)
        lock.close()
