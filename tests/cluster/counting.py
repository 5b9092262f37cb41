"""A program that may be killed at any time: `python -m tests.cluster.counting DIR CLIENT CALLS`.

It counts one up so often in all its lives together, many calls at once, and ends.
"""

import asyncio
import sys

from pbft import Client, KeptCalls
from pbft.services.counters import Counters, RemoteCounters
from pbft.transport.loop import run

NAME = "visits"


async def main(directory: str, identity: str, wanted: int) -> None:
    async with Client(directory, identity=identity) as client:
        with KeptCalls(f"{directory}/{identity}.calls", RemoteCounters(client)) as calls:
            await calls.recover()
            missing = wanted - calls.made
            await asyncio.gather(*(calls.call(Counters.add, NAME) for _ in range(missing)))


if __name__ == "__main__":
    run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
