"""A counter that four replicas agree on, called like an object: `python examples/counter.py`.

The class is plain Python. The proxy is a subclass of it, so that editors know its methods.
"""

import asyncio

from pbft import Proxy, command, query
from pbft.testing.cluster.local import local_cluster


class Counter:
    """What an attribute holds is replicated."""

    def __init__(self) -> None:
        self.value = 0

    @command
    def add(self, amount: int) -> int:
        """Change the value; the new one."""
        if self.value + amount < 0:
            raise ValueError("it cannot be negative")
        self.value += amount
        return self.value

    @query
    def read(self) -> int:
        """The value now."""
        return self.value


class RemoteCounter(Proxy, Counter):
    """A counter somewhere else."""


async def main() -> None:
    async with local_cluster(Counter) as cluster, cluster.client() as client:
        counter = RemoteCounter(client)
        await asyncio.gather(*(counter.add(1) for _ in range(100)))
        print("100 concurrent calls:", await counter.read())
        try:
            await counter.add(-1000)
        except ValueError as error:
            print("refused, by every replica alike:", error)
        cluster.stop(0)
        print("without the primary:", await counter.add(1))


if __name__ == "__main__":
    asyncio.run(main())
