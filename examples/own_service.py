"""A replicated service of one's own: a counter that four replicas agree on, over real UDP.

Run it: `python examples/own_service.py`. Everything runs in one process here; in production every
replica is a `Node` with its own key on its own machine, and a client has the public file and its
own key.
"""

import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path

from pbft import Client, Cluster, Context, Node, RejectedError, State

N = 4


class Counter:
    """Deterministic: a result depends on the operations so far and on nothing else. What it
    remembers is in the state that it is given."""

    def open(self, state: State) -> None:
        """The replicated state, at the start and after a restart or a transfer."""
        self.state = state

    def execute(self, operation: bytes, context: Context) -> bytes:
        """Add the number in `operation`; anything else is refused, with the state untouched."""
        value = b"%d" % (int(self.state.get(b"value") or b"0") + int(operation))
        self.state.put(b"value", value)
        return value


async def use(directory: Path) -> bytes:
    """Add 1 to 10 at once, then something that is not a number; the sum."""
    async with Client(directory, identity="client-0") as client:
        await asyncio.gather(*(client.call(b"%d" % i) for i in range(1, 11)))
        with suppress(RejectedError):
            await client.call(b"ten")
        return await client.call(b"0")


async def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "cluster"
        cluster, identities = Cluster.create(N, base_port=7480)
        cluster.save(directory, identities)
        nodes = [Node(cluster, i, identities[f"replica-{i}"], Counter()) for i in range(N)]
        serving = [asyncio.create_task(node.run()) for node in nodes]
        print("the replicas agree on", (await use(directory)).decode())
        for node in nodes:
            node.stop()
        await asyncio.gather(*serving)


if __name__ == "__main__":
    asyncio.run(main())
