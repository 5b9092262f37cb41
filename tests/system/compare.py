"""pbft beside etcd in one run: `python -m tests.system.compare [--seconds S] [--json]`.

Four durable replicas, tolerating a Byzantine one, with signed requests, against three members of
etcd, tolerating a crash, each with its default sync. Everything runs on this machine alone, one
after the other, with operations of equal size.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pbft.cli.figures import columns
from pbft.core.errors import PbftError
from tests.system import etcd

PAYLOAD = 64


class BenchError(PbftError):
    """A run of `pbft bench` in which calls failed."""


def bench(clients: int, outstanding: int, seconds: float, durability: str) -> dict[str, Any]:
    """What `pbft bench` says."""
    command = [
        *(sys.executable, "-m", "pbft", "bench", "--json", "--durability", durability),
        *("--clients", str(clients), "--outstanding", str(outstanding)),
        *("--seconds", str(seconds), "--payload", str(PAYLOAD)),
    ]
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode:
        raise BenchError(f"{' '.join(command[1:])} failed: {answer.stderr}\n{answer.stdout}")
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])["by_durability"]
    return found


def compare(seconds: float) -> dict[str, dict[str, float]]:
    """Operations per second and latencies, by what was measured. Raises `EtcdError`."""
    etcd.require()
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as scratch, etcd.members(Path(scratch)) as ports:
        port = etcd.leader(ports)
        figures["etcd, 64 clients"] = etcd.puts(port, 64, seconds, PAYLOAD)
        figures["etcd, one client"] = etcd.puts(port, 1, seconds, PAYLOAD)
    for name, clients, outstanding in (
        ("one client, 64 outstanding", 1, 64),
        ("64 clients, one outstanding", 64, 1),
        ("one client, one outstanding", 1, 1),
    ):
        both = "both" if clients == 1 and outstanding > 1 else "fsync"
        for durability, found in bench(clients, outstanding, seconds, both).items():
            latency = found["latency_ms"]
            figures[f"pbft, {durability}, {name}"] = {
                "ops_per_second": found["ops_per_second"],
                "p50_ms": latency["p50"],
                "p99_ms": latency["p99"],
            }
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement (5)")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    args = parser.parse_args()
    figures = compare(args.seconds)
    if args.json:
        print(json.dumps(figures, indent=2))
        return 0
    rows = [("", "ops/s", "p50 ms", "p99 ms")]
    rows += [
        (name, f"{f['ops_per_second']:.0f}", f"{f['p50_ms']:.2f}", f"{f['p99_ms']:.2f}")
        for name, f in figures.items()
    ]
    print(columns(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
