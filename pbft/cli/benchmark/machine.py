"""What the machine does by itself: V, one core's Ed25519 verifications per second."""

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version

from pbft.crypto.signing import SigningKey, verify

MESSAGE_BYTES = 128
ROUNDS = 5
ROUND_SECONDS = 0.2


def verifications_per_second() -> float:
    """V: the best of a few rounds, so that a neighbour's work does not flatter a ratio to it."""
    key, message = SigningKey.generate(), os.urandom(MESSAGE_BYTES)
    signature = key.sign(message)
    best = 0.0
    for _ in range(ROUNDS):
        done, begin = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - begin) < ROUND_SECONDS:
            for _ in range(50):
                verify(key.public, message, signature)
            done += 50
        best = max(best, done / elapsed)
    return best


def description() -> dict[str, str | int]:
    """The conditions that come with the machine."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else _count(),
        "machine": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "event_loop": _event_loop(),
    }


def _count() -> int:
    return os.cpu_count() or 1


def _event_loop() -> str:
    try:
        return f"uvloop {version('uvloop')}"
    except PackageNotFoundError:
        return "asyncio"
