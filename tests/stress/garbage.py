"""Garbage, long: `make garbage`, or `python -m tests.stress.garbage [--datagrams N] [--seconds S]`.

Two parts. Random and mutated datagrams go through everything that a replica does with bytes (link,
frames, decoder, core), in one process: no exception may leave, memory must stay flat. Then a live
cluster of four processes is flooded on a replica's ports at line rate while a client works.
"""

import argparse
import asyncio
import random
import resource
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pbft.client import Client
from pbft.core.errors import DecodeError
from pbft.core.ids import Packet
from pbft.core.wire import decode
from pbft.services.kv import Put, encode
from pbft.testing.cluster import ProcessCluster
from tests.core.lab import Lab
from tests.core.samples import EVERY
from tests.core.test_wire import whole
from tests.crypto.test_links import Net, connected

GROWTH_MIB = 32
"""What the resident memory may grow by, in either part."""
BURST = 64


def mutants(dice: random.Random, samples: list[bytes]) -> Iterator[bytes]:
    """Half random bytes, half valid ones with a few bytes changed, cut or doubled."""
    while True:
        if dice.random() < 0.5:
            yield dice.choice((b"", b"\x01", b"\x02", b"\x04")) + dice.randbytes(
                dice.randrange(0, 160)
            )
            continue
        data = bytearray(dice.choice(samples))
        for _ in range(dice.randrange(1, 4)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        yield bytes(data[: dice.randrange(1, 2 * len(data))])


def resident_mib(pid: int | None = None) -> float:
    """Of this process (its peak), or of another one now."""
    if pid is None:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    fields = Path(f"/proc/{pid}/statm").read_text("ascii").split()
    return int(fields[1]) * resource.getpagesize() / 2**20


def valid_messages(lab: Lab) -> list[bytes]:
    """One of everything, and some that are validly signed in the lab's cluster."""
    batch = lab.batch(lab.request(1))
    signed = [lab.request(2).raw, lab.commit(3, 0, 1, bytes(32)).raw, lab.view_change(3, 1).raw]
    return [*map(whole, EVERY), *signed, whole(lab.proposal(0, 1, batch))]


def through_the_decoder(datagrams: int) -> tuple[float, float]:
    """(seconds, MiB grown) for `datagrams` through link, decoder and core, a third each."""
    lab, net = Lab(me=1), connected()
    dice = random.Random(10**7)
    link_samples = [data for _, _, data in net.history]
    before, began = resident_mib(), time.monotonic()
    stream, at_link = mutants(dice, valid_messages(lab)), mutants(dice, link_samples)
    for count in range(0, datagrams, 3 * BURST):
        _burst(lab, net, stream, at_link)
        if count % (3 * BURST * 5000) == 0:
            print(f"\r{count:,} of {datagrams:,}", end="", file=sys.stderr, flush=True)
    print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
    return time.monotonic() - began, resident_mib() - before


def _burst(lab: Lab, net: Net, stream: Iterator[bytes], at_link: Iterator[bytes]) -> None:
    for _ in range(BURST):
        net.ends["b"].receive(next(at_link), ("127.0.0.1", 9), net.now)
        with suppress(DecodeError):
            decode(next(stream))
    packets = [Packet(3, next(stream)) for _ in range(BURST)]
    lab.replica.receive(packets, lab.instant)


async def at_a_live_port(seconds: float) -> dict[str, float]:
    """What a client and the flooded replica show meanwhile."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        ProcessCluster(Path(scratch) / "cluster", clients=1) as cluster,
    ):
        cluster.start()
        async with Client(cluster.directory, identity="client-0") as client:
            await client.call(encode(Put(b"up", b"")))
            return await _flooded(cluster, client, seconds)


async def _flooded(cluster: ProcessCluster, client: Client, seconds: float) -> dict[str, float]:
    member = cluster.cluster.member(0)
    pid = cluster.pid(0)
    before = resident_mib(pid)
    flood = asyncio.create_task(
        asyncio.to_thread(_flood, (member.port, member.client_port), seconds)
    )
    answered, slowest, end = 0, 0.0, time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        await client.call(encode(Put(b"key", b"%d" % answered)), timeout=20)
        answered += 1
        slowest = max(slowest, time.monotonic() - began)
    sent = await flood
    report = await client.status(0)
    return {
        "datagrams sent": sent,
        "datagrams per second": sent / seconds,
        "requests answered meanwhile": answered,
        "slowest answer (s)": slowest,
        "MiB grown": resident_mib(pid) - before,
        "view changes": report.status.view,
    }


def _flood(ports: tuple[int, int], seconds: float) -> int:
    """As fast as one thread can; the number sent."""
    dice = random.Random(1)
    stream = mutants(dice, [bytes([kind]) + dice.randbytes(60) for kind in range(6)])
    chunk = [next(stream) for _ in range(4096)]
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for data in chunk[:256]:
                sock.sendto(data, ("127.0.0.1", ports[sent & 1]))
                sent += 1
    return sent


def main() -> int:
    """0 where both parts held."""
    parser = argparse.ArgumentParser(description="garbage at a decoder and at a live replica")
    parser.add_argument("--datagrams", type=int, default=10_000_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    args = parser.parse_args()
    seconds, grown = through_the_decoder(args.datagrams)
    print(
        f"decoder: {args.datagrams:,} datagrams in {seconds:.0f} s, no exception, {grown:.1f} MiB"
    )
    live = asyncio.run(at_a_live_port(args.seconds))
    for name, value in live.items():
        print(f"live port: {value:,.3f} {name}")
    held = grown <= GROWTH_MIB and live["MiB grown"] <= GROWTH_MIB
    held = held and live["requests answered meanwhile"] > 0
    print("it held" if held else f"it did NOT hold (memory may grow by {GROWTH_MIB} MiB)")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
