"""The Byzantine generals, on top of the library: a traitor among them, and the loyal ones agree.

Four generals surround a city. Each commands a replica and is a client; they attack only if most
propose it, and a loyal one acts on the plan that the replicas agreed on. The traitor's replica is
the first primary: it tells every other replica another order of the votes, and lies to clients.
As a general, it promises one thing and then the other. Run it: `python examples/generals.py`.
"""

import asyncio
import logging
import sys
import tempfile
from collections import Counter
from pathlib import Path

from pbft import Client, Cluster, Context, Map, Node, Proxy, command
from pbft.core.effects import Send
from pbft.core.ids import Instant
from pbft.core.replica import Replica
from pbft.testing.byzantine import Behaviour
from pbft.testing.byzantine.lying import LieToClients
from pbft.testing.byzantine.ordering import Equivocate
from pbft.testing.cluster import free_ports

GENERALS = 4
TRAITOR = 0
WISHES = {1: "attack", 2: "retreat", 3: "attack"}


class WarCouncil:
    """The first word of each general counts; with enough votes in, the plan stands."""

    def __init__(self) -> None:
        self.votes = Map(str, str)

    @command
    def vote(self, context: Context, wish: str) -> str:
        """Who votes is known by the signature: no general can vote for another, or twice."""
        if wish not in ("attack", "retreat"):
            raise ValueError("attack or retreat?")
        return self.votes.setdefault(context.client, wish)

    @command
    def plan(self) -> str | None:
        """None until all but f have voted; then it never changes: the votes are sealed."""
        if "the plan" not in self.votes:
            if len(self.votes) < GENERALS - 1:
                return None
            (wish, count), *_ = Counter(sorted(self.votes.values())).most_common()
            self.votes["the plan"] = wish if 2 * count > len(self.votes) else "retreat"
        return self.votes["the plan"]


class RemoteCouncil(Proxy, WarCouncil):
    """The same, at the replicas."""


class Traitor(Equivocate):
    """Two orders for one number to the others, and lies to every general who asks."""

    def __init__(self, honest: Replica) -> None:
        super().__init__(honest)
        self.liar = LieToClients(honest)

    def bend(self, send: Send, now: Instant) -> list[Send]:
        return [lie for each in super().bend(send, now) for lie in self.liar.bend(each, now)]


async def loyal(directory: Path, number: int) -> str:
    """Vote, and wait for the plan."""
    async with Client(directory, identity=f"client-{number}") as client:
        council = RemoteCouncil(client)
        await council.vote(WISHES[number])
        plan = await council.plan()
        while plan is None:
            await asyncio.sleep(0.05)
            plan = await council.plan()
        liars = [f"general {replica}" for replica in client.stats().wrong_replies]
        print(f"general {number} wished to {WISHES[number]} and will {plan}; caught lying: {liars}")
        return plan


async def treacherous(directory: Path) -> None:
    """Promise both."""
    async with Client(directory, identity=f"client-{TRAITOR}") as client:
        for wish in ("attack", "retreat"):
            counted = await RemoteCouncil(client).vote(wish)
            print(f"the traitor promises to {wish}: counted as {counted}")


async def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "cluster"
        ports = free_ports(2 * GENERALS)
        cluster, identities = Cluster.create(GENERALS, GENERALS, ports=ports, durability="memory")
        cluster.save(directory, identities)
        nodes = []
        for number in range(GENERALS):
            identity = identities[f"replica-{number}"]
            wrap = Traitor if number == TRAITOR else Behaviour
            nodes.append(Node(cluster, number, identity, WarCouncil(), wrap=wrap))
        serving = [asyncio.create_task(node.run()) for node in nodes]
        await asyncio.gather(*(node.serving.wait() for node in nodes))
        betrayal = asyncio.create_task(treacherous(directory))
        plans = await asyncio.gather(*(loyal(directory, number) for number in WISHES))
        await betrayal
        attacks = nodes[TRAITOR].status().acted
        for node in nodes:
            node.stop()
        await asyncio.gather(*serving)
    agreed = len(set(plans)) == 1
    print(f"the traitor lied {attacks} times; the loyal generals {'agree' if agreed else 'DIFFER'}")
    if not agreed or not attacks:
        raise SystemExit(1)


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stdout, format="  seen at a replica: %(message)s")
    asyncio.run(main())
