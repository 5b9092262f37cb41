"""One replica per host: each has the public file, its own key and nothing else.

The hosts are network namespaces, joined by a bridge, where this machine lets us make them (root,
Linux, iproute2); elsewhere they are addresses of loopback. It is said which. On real hosts do what
`deploy` does with `scp`, and start `pbft replica DIR ID` on each. Run it:
`python examples/several_hosts.py`.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pbft import Client, Cluster
from pbft.services.counters import RemoteCounters

N = 4
PORT = 7480
COUNTERS = "pbft.services.counters:Counters"
NETWORK = "10.213.79"


def ip(*words: str) -> None:
    """Raises where that is not allowed here."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextmanager
def namespaces() -> Iterator[list[str]]:
    """A bridge, and a namespace at it for each host."""
    bridge = f"pbft{os.getpid()}"[:15]
    made: list[list[str]] = []
    try:
        ip("link", "add", bridge, "type", "bridge")
        made.append(["link", "delete", bridge])
        ip("address", "add", f"{NETWORK}.1/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        for number in range(N):
            name, near, far = (f"{kind}{number}-{os.getpid()}" for kind in ("host", "n", "f"))
            ip("netns", "add", name)
            made.append(["netns", "delete", name])
            ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", name)
            ip("link", "set", near, "master", bridge, "up")
            ip("-n", name, "address", "add", f"{NETWORK}.{10 + number}/24", "dev", far)
            ip("-n", name, "link", "set", far, "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield [f"host{number}-{os.getpid()}" for number in range(N)]
    finally:
        for words in reversed(made):
            subprocess.run(["ip", *words], check=False, capture_output=True)


def deploy(base: Path, hosts: list[str]) -> list[Path]:
    """Make the cluster in one place, and bring to each host what it needs."""
    cluster, identities = Cluster.create(N, 1, PORT, hosts=hosts, service=COUNTERS)
    cluster.save(base / "made", identities)
    homes = []
    for name in [*(f"replica-{number}" for number in range(N)), "client-0"]:
        home = base / name
        (home / "keys").mkdir(parents=True)
        shutil.copy(base / "made" / "cluster.toml", home)
        shutil.copy(base / "made" / "keys" / f"{name}.pem", home / "keys")
        homes.append(home)
    shutil.rmtree(base / "made")
    return homes


def stop(replicas: "list[subprocess.Popen[bytes]]") -> None:
    """All of them, and wait."""
    for each in replicas:
        each.terminate()
    for each in replicas:
        each.wait()


async def use(home: Path, first: "subprocess.Popen[bytes]") -> int:
    """Count, lose a host, count on."""
    async with Client(home, identity="client-0") as client:
        counters = RemoteCounters(client)
        await asyncio.gather(*(counters.add("visits") for _ in range(50)))
        await asyncio.gather(*(client.status(number, timeout=10) for number in range(N)))
        print(
            "fifty calls:", await counters.value("visits"), "by", client.stats().connected, "hosts"
        )
        first.kill()
        return await counters.add("visits")


def main() -> None:
    with ExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        try:
            names = stack.enter_context(namespaces())
            hosts = [f"{NETWORK}.{10 + number}" for number in range(N)]
            inside = [["ip", "netns", "exec", name] for name in names]
            print("the hosts are network namespaces:", ", ".join(hosts))
        except (OSError, subprocess.CalledProcessError):
            hosts = [f"127.0.0.{10 + number}" for number in range(N)]
            inside = [[] for _ in hosts]
            print("network namespaces are not allowed here; the hosts are:", ", ".join(hosts))
        *homes, own = deploy(base, hosts)
        replicas: list[subprocess.Popen[bytes]] = []
        stack.callback(stop, replicas)
        for number, home in enumerate(homes):
            words = [*inside[number], sys.executable, "-m", "pbft", "replica", str(home)]
            replicas.append(subprocess.Popen([*words, str(number)]))
        print("without the first host:", asyncio.run(use(own, replicas[0])))


if __name__ == "__main__":
    main()
