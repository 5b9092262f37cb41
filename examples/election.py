"""Leader election with fencing tokens: two candidates, one leader at a time.

The resource that the leader works on refuses tokens older than the newest it has seen, so that a
leader that is late harms nobody. Run it: `python examples/election.py`.
"""

import asyncio

from pbft.services.elections import Elections, RemoteElections
from pbft.testing.cluster.local import local_cluster

SECONDS = 0.5


class Resource:
    """Anything that can compare two numbers."""

    def __init__(self) -> None:
        self.newest = 0

    def write(self, who: str, token: int) -> None:
        """Accept the newest leader's work."""
        late = token < self.newest
        self.newest = max(self.newest, token)
        print(f"  {who} writes with token {token}: {'refused, too old' if late else 'accepted'}")


async def main() -> None:
    resource = Resource()
    async with (
        local_cluster(Elections, clients=2) as cluster,
        cluster.client("client-0") as one,
        cluster.client("client-1") as two,
    ):
        first, second = RemoteElections(one), RemoteElections(two)
        term = await first.campaign("primary", SECONDS)
        print(f"{term.leader} leads in term {term.number}")
        resource.write(term.leader, term.number)
        print("client-1 campaigns too, and is told:", (await second.campaign("primary")).leader)
        await asyncio.sleep(2 * SECONDS)
        later = await second.campaign("primary", SECONDS)
        print(f"client-0 was silent: {later.leader} leads in term {later.number}")
        resource.write(later.leader, later.number)
        resource.write(term.leader, term.number)


if __name__ == "__main__":
    asyncio.run(main())
