"""Consensus itself: five parties propose, one value is chosen. The four properties are checked.

Agreement: no two learn different values. Validity: what is learned was proposed. Integrity: nobody
learns twice. Termination: everybody learns. Run it: `python examples/one_value.py`.
"""

import asyncio

from pbft import Proxy, command
from pbft.testing.cluster.local import local_cluster

PARTIES = 5


class Decision:
    """The first proposal in the agreed order is the decision."""

    chosen: str | None

    def __init__(self) -> None:
        self.chosen = None

    @command
    def propose(self, value: str) -> str:
        """What is chosen: this value, where nobody was earlier."""
        if self.chosen is None:
            self.chosen = value
        return self.chosen


class RemoteDecision(Proxy, Decision):
    """The same, somewhere else."""


async def main() -> None:
    names = [f"client-{number}" for number in range(PARTIES)]
    learned: dict[str, list[str]] = {name: [] for name in names}

    async with local_cluster(Decision, clients=PARTIES) as cluster:

        async def party(name: str) -> None:
            async with cluster.client(name) as client:
                learned[name].append(await RemoteDecision(client).propose(f"value of {name}"))

        cluster.stop(0)  # one replica, the primary, is faulty
        await asyncio.gather(*(party(name) for name in names))

    values = {value for each in learned.values() for value in each}
    checks = {
        "agreement": len(values) == 1,
        "validity": values <= {f"value of {name}" for name in names},
        "integrity": all(len(each) <= 1 for each in learned.values()),
        "termination": all(len(each) >= 1 for each in learned.values()),
    }
    print("chosen:", *values)
    for name, holds in checks.items():
        print(f"  {name}: {'holds' if holds else 'BROKEN'}")
    if not all(checks.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    asyncio.run(main())
