"""`pbft status`: what every replica says of itself, asked over the sealed links by a known client.

Each row is one replica's own word. A replica that does not answer has a row that says so.
"""

import argparse
import asyncio
import json
import re
import sys
from typing import Any

import msgspec

from pbft.cli.figures import columns, tally
from pbft.cli.parsing import SubParsers, add_command, add_directory, seconds
from pbft.client import Client
from pbft.control import StatusReport
from pbft.core.errors import UnansweredError
from pbft.core.ids import ReplicaId
from pbft.core.status import ReplicaStatus
from pbft.transport.loop import run as run_loop

TIMEOUT_SECONDS = 1.0
HEADINGS = (
    *("replica", "state", "view", "primary", "watermarks", "executed", "digest"),
    *("durability", "drops"),
)
MINOR = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}")
DEAD = "dead: no answer"

Reports = dict[ReplicaId, StatusReport | None]


def add_parser(subparsers: SubParsers) -> None:
    """status DIR [--json]"""
    parser = add_command(
        subparsers, "status", "view, watermarks, last executed, state digest and drops, by replica"
    )
    add_directory(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--identity", help="who asks: a client of the cluster file (the first that is not in use)"
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=TIMEOUT_SECONDS,
        metavar="S",
        help=f"a replica without an answer after S seconds is dead ({TIMEOUT_SECONDS:.0f})",
    )


def run(args: argparse.Namespace) -> int:
    """0 where at least one replica answered."""
    reports = run_loop(_ask(args))
    if args.json:
        print(json.dumps({"replicas": [_object(*item) for item in reports.items()]}))
    else:
        print(columns([HEADINGS, *(_row(*item) for item in reports.items())]))
    if told := pythons(reports):
        print(f"pbft: {told}", file=sys.stderr)
    return 0 if any(reports.values()) else 1


async def _ask(args: argparse.Namespace) -> Reports:
    async with Client(args.directory, identity=args.identity) as client:
        replicas = range(client.cluster.config.n)
        asked = (report_of(client, replica, args.timeout) for replica in replicas)
        return dict(zip(replicas, await asyncio.gather(*asked), strict=True))


async def report_of(client: Client, replica: ReplicaId, timeout: float) -> StatusReport | None:
    """What `replica` says of itself, none where it says nothing within `timeout` seconds."""
    try:
        return await client.status(replica, timeout=timeout)
    except UnansweredError:
        return None


def _object(replica: ReplicaId, report: StatusReport | None) -> dict[str, Any]:
    """One flat object, digests in hex."""
    if report is None:
        return {"replica": replica, "alive": False}
    status: dict[str, Any] = msgspec.structs.asdict(report.status)
    status["state_digest"] = report.status.state_digest.hex()
    status["checkpoints"] = {str(at): d.hex() for at, d in report.status.checkpoints.items()}
    status["evidence"] = {str(by): kinds for by, kinds in report.status.evidence.items()}
    beside = {
        "durability": report.durability,
        "python": report.python,
        "unsynced_turns": report.unsynced_turns,
        "uptime_seconds": round(report.uptime_seconds, 3),
        "datagrams_received": report.datagrams_received,
        "datagrams_sent": report.datagrams_sent,
    }
    return {"replica": replica, "alive": True, "state": state(report.status), **status, **beside}


def _row(replica: ReplicaId, report: StatusReport | None) -> tuple[str, ...]:
    if report is None:
        return (str(replica), DEAD, *("-" for _ in HEADINGS[2:]))
    status = report.status
    at = status.state_digest_at
    return (
        str(replica),
        state(status),
        str(status.view),
        str(status.primary),
        f"{status.low_watermark}..{status.high_watermark}",
        str(status.executed),
        f"{status.state_digest.hex()[:16]} at {at}" if at else "none yet",
        report.durability,
        tally(status.drops),
    )


def pythons(reports: Reports) -> str:
    """What to do where replicas run different minor versions of Python; nothing where they do not.
    Only what looks like a version is looked at: it is the replica's own word."""
    found: dict[str, list[str]] = {}
    for replica, report in reports.items():
        if report is not None and (version := MINOR.match(report.python)):
            found.setdefault(version[0], []).append(str(replica))
    if len(found) < 2:
        return ""
    said = "; ".join(f"{version}: {', '.join(who)}" for version, who in sorted(found.items()))
    return (
        f"replicas run different versions of Python ({said}): run the same minor version on all"
        " hosts, or one of them refuses a call in other words and its state differs"
    )


def state(status: ReplicaStatus) -> str:
    """In a word or two: what this replica is about."""
    if status.floor is not None:
        return f"recovering to {status.floor}" if status.floor else "recovering"
    if not status.voting:
        return "joining"
    if status.transferring:
        return "fetching state"
    if not status.active:
        return "changing view"
    return "primary" if status.primary == status.replica else "backup"
