"""A client without asyncio, as in a script or a web framework with threads.

The cluster runs in a process of its own here; in production it is there already. Run it:
`python examples/plain_script.py`.
"""

import tempfile
from pathlib import Path
from threading import Thread

from pbft import BlockingClient
from pbft.services.counters import BlockingCounters
from pbft.testing.cluster import ProcessCluster


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as scratch,
        ProcessCluster(
            Path(scratch) / "cluster", service="pbft.services.counters:Counters"
        ) as cluster,
    ):
        cluster.start(0, 1, 2, 3)
        with BlockingClient(cluster.directory, identity="client-0") as client:
            counters = BlockingCounters(client, timeout=20)
            print("one call:", counters.add("visits"))
            threads = [Thread(target=counters.add, args=("visits",)) for _ in range(50)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            print("fifty threads:", counters.value("visits"))
            cluster.kill(0)
            print("after kill -9 of the primary:", counters.add("visits"))


if __name__ == "__main__":
    main()
