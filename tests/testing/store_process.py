"""A store in a process to be killed or starved: `python -m tests.testing.store_process DISK
DATABASE [SETTING]`, where DISK is "plain", or "losing": the one that loses power. Prints each
sequence number once it is durable."""

import asyncio
import os
import sys
from itertools import count
from pathlib import Path

from pbft import sqlite_store
from pbft.core.errors import StorageError
from pbft.core.records import Snapshotted
from pbft.testing import sqlite_disk

CLUSTER = bytes(16)
SIZES = {"plain": 100_000, "losing": 500}


async def write(store: sqlite_store.SqliteStore, size: int) -> None:
    for number in count():
        await store.append([Snapshotted(number, bytes(32), ((os.urandom(size), bytes(32)),), ())])
        print(number, flush=True)


def main(disk: str, path: Path, *settings: str) -> int:
    sqlite_store.SETTINGS += settings
    if disk == "losing":
        sqlite_disk.install()
    try:
        asyncio.run(write(sqlite_store.SqliteStore(path, CLUSTER, 0), SIZES[disk]))
    except StorageError as error:
        print(error, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]))
