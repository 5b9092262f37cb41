"""`pbft bench`: throughput and latency of real replica processes, with every condition beside it.

Three figures are taken in one run, so that they can be compared on any machine: V (one core's
Ed25519 verifications per second), the service unreplicated, and the service replicated. The last,
where both are asked for, with durable records and with records in memory: two clusters that are
loaded in turns, so that what else the machine does meets both.
"""

import argparse
import asyncio
import json
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from pbft.cli.benchmark import machine
from pbft.cli.benchmark.load import KEYS, MAX_PAYLOAD, MIN_PAYLOAD, Caller, Measurement, measure
from pbft.cli.figures import columns, milliseconds, percentile
from pbft.cli.parsing import MAX_CLIENTS, SubParsers, UsageError, add_command, seconds, whole
from pbft.cli.status import report_of
from pbft.client import Client
from pbft.cluster_file import Durability
from pbft.core.config import MAX_REPLICAS
from pbft.testing.cluster import ProcessCluster, ProcessError
from pbft.testing.cluster.unreplicated import UnreplicatedClient
from pbft.transport.loop import run as run_loop

OPENED_TOGETHER = 8
UP_ATTEMPTS = 40
MAX_OUTSTANDING = 100_000
TURNS = 5
"""Where two clusters are compared, each is loaded so many times for its part of the seconds."""
Kind: TypeAlias = Durability | None
DURABILITIES: dict[str, tuple[Durability, ...]] = {
    "fsync": ("fsync",),
    "memory": ("memory",),
    "both": ("fsync", "memory"),
}


def add_parser(subparsers: SubParsers) -> None:
    """bench [--clients C] [--outstanding W] [--payload B] [--replicas N] [--seconds S]
    [--durability fsync|memory|both] [--json]"""
    parser = add_command(
        subparsers, "bench", "throughput and latency on this machine, with their conditions"
    )
    add = parser.add_argument
    add("--clients", type=whole(1, MAX_CLIENTS), default=1, metavar="C", help="identities (1)")
    add(
        "--outstanding",
        type=whole(1, MAX_OUTSTANDING),
        default=400,
        metavar="W",
        help="calls that each client keeps under way (400)",
    )
    add(
        "--payload",
        type=whole(MIN_PAYLOAD, MAX_PAYLOAD),
        default=64,
        metavar="B",
        help="bytes of one operation (64)",
    )
    add("--replicas", type=whole(4, MAX_REPLICAS), default=4, metavar="N", help="replicas (4)")
    add("--seconds", type=seconds, default=5.0, metavar="S", help="measured, after a warm-up (5)")
    add("--durability", choices=tuple(DURABILITIES), default="fsync", help="of records (fsync)")
    add("--json", action="store_true", help="print one JSON object as the last line")


def run(args: argparse.Namespace) -> int:
    """0 where every call was answered."""
    if args.clients * args.outstanding > MAX_OUTSTANDING:
        raise UsageError(f"clients times outstanding is above {MAX_OUTSTANDING}: ask for fewer")
    before = machine.verifications_per_second()
    kinds = DURABILITIES[args.durability]
    with tempfile.TemporaryDirectory() as scratch:
        alone, _ = run_loop(_bench(Path(scratch), args, (None,)))[None]
        runs = run_loop(_bench(Path(scratch), args, kinds))
    v = max(before, machine.verifications_per_second())
    by_durability = {kind: {**_figures(runs[kind][0], v), **runs[kind][1]} for kind in kinds}
    figures = {
        **by_durability[kinds[0]],
        "v_per_second": round(v),
        "unreplicated": _figures(alone, v),
        "by_durability": by_durability,
    }
    _show(figures)
    if args.json:
        print(json.dumps(figures), flush=True)
    results = [alone, *(result for result, _ in runs.values())]
    return 1 if any(each.failed or not each.latencies for each in results) else 0


def _figures(measured: Measurement, v: float) -> dict[str, Any]:
    rate = measured.ops_per_second
    return {
        "ops_per_second": round(rate, 1),
        "ops_in_v": round(rate / v, 4),
        "latency_ms": milliseconds(measured.latencies),
        "p50_in_verifications": round(percentile(measured.latencies, 0.5) * v, 1),
        "answered": len(measured.latencies),
        "failed": measured.failed,
    }


def _show(figures: dict[str, Any]) -> None:
    """A column for each durability, and one for the service alone."""
    kinds: dict[str, dict[str, Any]] = figures["by_durability"]
    sides = [*kinds.values(), figures["unreplicated"]]
    rows = [("", *kinds, "unreplicated")]
    rows += [
        (label, *(str(side[key]) for side in sides))
        for label, key in (
            ("operations per second", "ops_per_second"),
            ("the same in V", "ops_in_v"),
            ("p50 in verifications", "p50_in_verifications"),
            ("calls that failed", "failed"),
        )
    ]
    rows += [
        (f"{name}, ms", *(str(side["latency_ms"][name]) for side in sides))
        for name in ("p50", "p99")
    ]
    print(columns(rows))
    if len(kinds) > 1 and kinds["memory"]["ops_per_second"]:
        share = kinds["fsync"]["ops_per_second"] / kinds["memory"]["ops_per_second"]
        print(f"\nfsync reaches {share:.2f} of memory")
    print(f"\nV = {figures['v_per_second']} Ed25519 verifications per second on one core\n")
    conditions = {**figures["conditions"], "durability": ", ".join(kinds)}
    print(columns([(name, str(value)) for name, value in conditions.items()]))


# -- one measurement ----------------------------------------------------------------------------


class _Bed(NamedTuple):
    """Processes that run and clients that are open; of the service alone, only callers."""

    cluster: ProcessCluster
    clients: Sequence[Client]
    callers: Sequence[Caller]


async def _bench(
    scratch: Path, args: argparse.Namespace, kinds: Sequence[Kind]
) -> dict[Kind, tuple[Measurement, dict[str, Any]]]:
    """By durability (none: the service alone) what was measured and what else there was to see."""
    turns = TURNS if len(kinds) > 1 else 1
    seconds, warm_up = args.seconds / turns, min(1.0, args.seconds) / turns
    async with AsyncExitStack() as stack:
        beds = {kind: await _bed(stack, scratch / str(kind), args, kind) for kind in kinds}
        measured = {kind: Measurement(0.0) for kind in kinds}
        for _ in range(turns):
            for kind, bed in beds.items():
                part = await measure(
                    bed.callers, args.outstanding, args.payload, warm_up=warm_up, seconds=seconds
                )
                bed.cluster.check()
                measured[kind] = measured[kind].joined(part)
        return {
            kind: (measured[kind], await _seen(bed.cluster, bed.clients, args) if kind else {})
            for kind, bed in beds.items()
        }


async def _bed(
    stack: AsyncExitStack, directory: Path, args: argparse.Namespace, kind: Kind
) -> _Bed:
    """Started and opened; it ends with the stack."""
    cluster = stack.enter_context(
        ProcessCluster(
            directory, n=args.replicas, clients=args.clients, durability=kind or "memory"
        )
    )
    names = [f"client-{i}" for i in range(args.clients)]
    if kind is None:
        cluster.start_unreplicated()
        plain = [UnreplicatedClient(directory, identity=name) for name in names]
        await _open(stack, plain)
        return _Bed(cluster, [], plain)
    cluster.start()
    clients = [Client(directory, identity=name) for name in names]
    await _open(stack, clients)
    await _until_up(cluster, clients[0])
    return _Bed(cluster, clients, clients)


async def _open(
    stack: AsyncExitStack, clients: "Sequence[Client] | Sequence[UnreplicatedClient]"
) -> None:
    """A few at a time: each handshake costs the server more than it costs us."""
    for at in range(0, len(clients), OPENED_TOGETHER):
        group = clients[at : at + OPENED_TOGETHER]
        await asyncio.gather(*(stack.enter_async_context(client) for client in group))


async def _until_up(cluster: ProcessCluster, client: Client) -> None:
    """Until all replicas vote: from then on nothing is left to set up."""
    for _ in range(UP_ATTEMPTS):
        cluster.check()
        asked = (report_of(client, replica, 0.5) for replica in range(cluster.cluster.config.n))
        if all(report and report.status.voting for report in await asyncio.gather(*asked)):
            return
        await asyncio.sleep(0.1)
    raise ProcessError("the replicas did not all come up")


async def _seen(
    cluster: ProcessCluster, clients: Sequence[Client], args: argparse.Namespace
) -> dict[str, Any]:
    config = cluster.cluster.config
    report = await report_of(clients[0], 0, 2.0)
    return {
        "view_changes": report.status.view if report else None,
        "sequence_numbers": report.status.executed if report else None,
        "retransmissions": sum(client.stats().retransmissions for client in clients),
        "conditions": {
            "clients": args.clients,
            "outstanding": args.outstanding,
            "payload": args.payload,
            "replicas": config.n,
            "f": config.f,
            "quorum": config.quorum,
            "seconds": args.seconds,
            "warm_up_seconds": min(1.0, args.seconds),
            "service": f"key-value put, {KEYS} keys",
            "authentication": (
                "Ed25519 on every request and vote, Noise KK sealed links;"
                " unreplicated: sealed links alone"
            ),
            "durability": report.durability if report else None,
            "pipeline": config.pipeline,
            "batch_max_requests": config.batch_max_requests,
            "batch_max_bytes": config.batch_max_bytes,
            "request_max_operations": config.request_max_operations,
            "checkpoint_interval": config.checkpoint_interval,
            "window": config.window,
            "datagram_bytes": cluster.cluster.file.transport.datagram_bytes,
            "network": "loopback UDP, all clients in one process",
            **machine.description(),
        },
    }
