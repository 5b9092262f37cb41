"""`pbft up`: every replica of a cluster as a child process, until Ctrl-C."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from pbft.cli.parsing import SubParsers, add_command, add_directory
from pbft.cluster import Cluster
from pbft.core.ids import ReplicaId
from pbft.processes import Processes
from pbft.recorder import recording_path

LOOK_SECONDS = 0.2
BEGIN_SECONDS = 0.02
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
    """0 after Ctrl-C or SIGTERM, 1 where a replica had not started, or none is left; 2 where one
    cannot run as it is configured."""
    directory: Path = args.directory
    cluster = Cluster.load(directory)
    stop = _Stop()
    processes = Processes()
    hearing, telling = os.pipe()
    os.set_blocking(hearing, False)
    try:
        for member in cluster.replicas:
            arguments = ["-m", "pbft", "replica", str(directory), str(member.id), "--with-parent"]
            if args.record is not None:
                arguments += ["--record", str(recording_path(args.record, member.id))]
            arguments += ["--notify-fd", str(telling)]
            processes.start(member.id, arguments, descriptors=[telling])
        ids = [member.id for member in cluster.replicas]
        started, failed = _begun(processes, hearing, stop, ids)
        status = _told(started, failed, cluster.file.storage.durability)
        if status == MISUSED or (failed and not started):
            return status
        return _watch(processes, stop, len(ids), failed) or status
    finally:
        processes.stop()
        os.close(hearing)
        os.close(telling)


def _begun(
    processes: Processes, hearing: int, stop: "_Stop", replicas: Sequence[ReplicaId]
) -> tuple[list[ReplicaId], dict[int, int]]:
    """Who serves, and with what status the others have ended, once each has done one or the other
    or somebody has asked to stop."""
    heard = b""
    while not stop.asked:
        ended = processes.ended()
        with suppress(BlockingIOError):
            heard += os.read(hearing, 2**16)
        started = sorted({int(each) for each in heard.split()})
        failed = {each: ended[each] for each in ended.keys() - {*started}}
        if len(started) + len(failed) == len(replicas):
            return started, failed
        time.sleep(BEGIN_SECONDS)
    return [], {}


def _told(started: list[ReplicaId], failed: dict[int, int], durability: str) -> int:
    """Say who started; the exit status of who did not, at most."""
    if failed:
        head = f"{_named(started)} started, and" if started else "no replica started;"
        why = "they say" if len(failed) > 1 else "it says"
        print(f"pbft: {head} {_listed(sorted(failed))} ended: above {why} why", file=sys.stderr)
    status = MISUSED if MISUSED in failed.values() else int(bool(failed))
    if started and status != MISUSED:
        who = _named(started) if failed else f"{len(started)} replicas"
        print(f"{who} started (durability: {durability}); Ctrl-C stops them", flush=True)
    return status


def _named(replicas: Sequence[ReplicaId]) -> str:
    return f"replica{'s' if replicas[1:] else ''} {_listed(replicas)}"


def _listed(replicas: Sequence[ReplicaId]) -> str:
    *others, last = map(str, replicas)
    return f"{', '.join(others)} and {last}" if others else last


def _watch(processes: Processes, stop: "_Stop", total: int, known: dict[int, int]) -> int:
    """A replica that crashes is reported and the others go on: that is what they are for."""
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
