"""Control messages: one question and its answer, as JSON beside the protocol on the same links.

They are read from authenticated peers only, change nothing, and one answer goes to one question.
"""

import msgspec
from msgspec import Struct

from pbft.core.status import ReplicaStatus

MAX_QUERY_BYTES = 256


class StatusQuery(Struct, frozen=True, forbid_unknown_fields=True, tag="status?"):
    """`nonce` comes back, so that an answer belongs to its question."""

    nonce: int


class StatusReport(Struct, frozen=True, tag="status"):
    """`status.drops` are the core's and the transport's together; digests travel as base64."""

    nonce: int
    status: ReplicaStatus
    durability: str
    uptime_seconds: float
    datagrams_received: int
    datagrams_sent: int
    acted: int
    """Attacks that a behaviour wrapped around this replica has made: 0 where there is none."""
    unsynced_turns: int = 0
    """Turns that wait for the disk: many, and for long, where it is stuck."""
    python: str = ""
    """Its version of Python, whose texts of errors are in what commands answer."""


_queries = msgspec.json.Decoder(StatusQuery)
_reports = msgspec.json.Decoder(StatusReport)


def encode(message: StatusQuery | StatusReport) -> bytes:
    """One JSON object."""
    return msgspec.json.encode(message)


def decode_query(data: bytes) -> StatusQuery | None:
    """None for whatever is not a query."""
    if len(data) > MAX_QUERY_BYTES:
        return None
    try:
        return _queries.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def decode_report(data: bytes) -> StatusReport | None:
    """None for whatever is not a report."""
    try:
        return _reports.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
