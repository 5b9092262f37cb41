"""`pbft up`: every replica of a cluster as a child process, until Ctrl-C."""

import argparse
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from pbft.cli.parsing import SubParsers, add_command, add_directory
from pbft.cluster import Cluster
from pbft.processes import Processes
from pbft.recorder import recording_path

LOOK_SECONDS = 0.2
MISUSED = 2
"""The exit status of a replica that cannot run as it is configured."""


def add_parser(subparsers: SubParsers) -> None:
    """up DIR [--record DIR]"""
    parser = add_command(
        subparsers, "up", "run all replicas of a cluster on this machine; Ctrl-C stops them"
    )
    add_directory(parser)
    parser.add_argument(
        "--record",
        type=Path,
        metavar="OUT",
        help="have each replica write what it hears and says into OUT, for `pbft timeline OUT`",
    )


def run(args: argparse.Namespace) -> int:
    """0 after Ctrl-C or SIGTERM; 2 where a replica could not even start."""
    directory: Path = args.directory
    cluster = Cluster.load(directory)
    stop = _Stop()
    processes = Processes()
    try:
        for member in cluster.replicas:
            arguments = ["-m", "pbft", "replica", str(directory), str(member.id), "--with-parent"]
            if args.record is not None:
                arguments += ["--record", str(recording_path(args.record, member.id))]
            processes.start(member.id, arguments)
        durability = cluster.file.storage.durability
        print(
            f"{len(cluster.replicas)} replicas started (durability: {durability});"
            " Ctrl-C stops them",
            flush=True,
        )
        return _watch(processes, stop, len(cluster.replicas))
    finally:
        processes.stop()


def _watch(processes: Processes, stop: "_Stop", total: int) -> int:
    """A replica that crashes is reported and the others go on: that is what they are for."""
    known: dict[int, int] = {}
    while not stop.asked:
        ended = processes.ended()
        for replica, status in sorted(ended.items() - known.items()):
            print(f"pbft: replica {replica} ended by itself (status {status})", file=sys.stderr)
            if status == MISUSED:
                return MISUSED
        known = ended
        if len(known) == total:
            print("pbft: no replica is left", file=sys.stderr)
            return 1
        time.sleep(LOOK_SECONDS)
    print("stopping", flush=True)
    return 0


class _Stop:
    """Remembers that SIGINT or SIGTERM came."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
