"""One request in the simulator, with every message that it took: what the flow pictures show.

The network is calm and every packet takes the same time, so that a picture is the same each time.
"""

import re
from dataclasses import dataclass

from pbft.core.config import Configuration
from pbft.core.effects import Send
from pbft.core.ids import SECOND, Principal, ReplicaId
from pbft.testing.network import MIN_DELAY_NS
from pbft.testing.observers import Observer
from pbft.testing.plan import Plan
from pbft.testing.simulator import Simulation

N = 4
BEGIN_NS = SECOND
"""When the simulator's clients make their first calls."""
HOUSEKEEPING = frozenset({"Status", "Witness"})
"""What replicas say periodically, whether there is a request or not."""
NAMES = {"Proposal": "PRE-PREPARE"}
"""In a flow: a proposal is the paper's PRE-PREPARE with its batch beside it."""


@dataclass(frozen=True, slots=True)
class Message:
    """From one to another; times in nanoseconds since the client made its call."""

    kind: str
    source: Principal
    target: Principal
    sent: int
    arrived: int


def one_request(traitors: dict[ReplicaId, str]) -> list[Message]:
    """The messages of one request of one client, in the order in which they were sent: of each
    kind from one to another the first, without repetitions."""
    posted = _Posted()
    report = Simulation(_plan(traitors), [posted]).run()
    if report.violations or not report.finished:
        raise RuntimeError(f"the run for a picture went wrong: {report.violations}")
    found: dict[tuple[str, Principal, Principal], Message] = {}
    for each in posted.messages:
        if each.sent >= 0:
            found.setdefault((each.kind, each.source, each.target), each)
    return list(found.values())


class _Posted(Observer):
    def __init__(self) -> None:
        self.messages: list[Message] = []

    def posted(self, now: int, source: Principal, send: Send, arrivals: list[int]) -> None:
        kind = type(send.message).__name__
        if kind not in HOUSEKEEPING:
            name = NAMES.get(kind, paper_name(kind))
            times = (now - BEGIN_NS, arrivals[0] - BEGIN_NS)
            self.messages.append(Message(name, source, send.to[0], *times))


def paper_name(kind: str) -> str:
    """How the paper writes the name of a message."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind).upper()


def _plan(traitors: dict[ReplicaId, str]) -> Plan:
    return Plan(
        seed=1,
        config=Configuration(cluster_id=bytes(16), n=N),
        traitors=traitors,
        twins=False,
        real_keys=True,
        loss=0.0,
        duplicates=0.0,
        delay_ns=MIN_DELAY_NS,
        calm_delay_ns=MIN_DELAY_NS + 1,
        disk_delay_ns=0,
        gst_ns=0,
        clients=1,
        faulty_clients=0,
        operations=1,
    )
