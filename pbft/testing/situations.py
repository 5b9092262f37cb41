"""Which situations of the protocol a run went through: what a campaign never sees, it never tested.

`SITUATIONS` declares them. A campaign counts the runs in which each occurred, and fails where a
declared one stays rare.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from pbft.core.effects import (
    Effects,
    EnteredView,
    Event,
    Evidence,
    Executed,
    Installed,
    TransferStarted,
    ViewChangeStarted,
)
from pbft.core.ids import Digest, Packet, Principal, ReplicaId, RequestKey
from pbft.core.messages import (
    Decision,
    FetchBatch,
    NewView,
    PrePrepare,
    Reply,
    Request,
    ViewChange,
)
from pbft.core.service import FORGOTTEN
from pbft.core.state.replica_state import ReplicaState
from pbft.core.wire import NULL_DIGEST, decode_batch, decode_signed
from pbft.testing.guests import is_guest
from pbft.testing.host import Host
from pbft.testing.inside import state_of
from pbft.testing.observers import Observer

if TYPE_CHECKING:
    from pbft.core.effects import Send
    from pbft.testing.simulator import Simulation

SITUATIONS: dict[str, str] = {
    "view change": "a correct replica entered a later view",
    "view skipped": "a view in between was never entered",
    "view changes in a row": "a replica left a view before it was active in it",
    "view change joined": "f+1 others were ahead",
    "slow primary replaced": "f+1 found it too slow",
    "lonely replica joined": "somebody was alone in a later view",
    "new view with prepared numbers": "O re-proposes what was prepared before",
    "new view with gaps": "O fills a number with the null request",
    "new view with missing bodies": "a replica entered it without a body that O names",
    "new view lost": "a NEW-VIEW did not reach somebody",
    "view change lost": "a VIEW-CHANGE did not reach somebody",
    "invalid new view": "a NEW-VIEW was found not to follow from its VIEW-CHANGEs",
    "two view changes of one replica": "conflicting ones, to one view",
    "two proposals for one number": "of one primary in one view",
    "two votes of one replica": "conflicting ones, in one view",
    "votes before their view": "messages of a later view were kept for it",
    "transfer": "a replica fetched the state",
    "transfer finished": "it was installed",
    "transfer in a view change": "while the replica was inactive",
    "transfer to a target that moved": "a newer checkpoint took the place of the target",
    "crash in a transfer": "a replica died while it fetched the state",
    "crash in a view change": "a replica died while it was inactive, and came back",
    "crash of the primary": "of the view that it was in",
    "everybody down": "all correct replicas at one time",
    "stop at a fail point": "between durable and sent",
    "checkpoint in a view change": "a state became stable while a replica was inactive",
    "decision forwarded": "to a replica that missed the votes",
    "body fetched": "by its digest",
    "large request": "beside the batch that names it",
    "request executed once of twice": "a batch held what had executed before",
    "two requests under one timestamp": "of a faulty client",
    "window full": "the primary had no number left",
    "client floor raised": "old timestamps were closed",
    "outcome forgotten": "a client was told so",
    "fast read": "answered outside the order",
    "fast read ordered": "no quorum agreed in time",
    "reply starvation": "a client had to ask again for what had executed",
    "guest served": "one that another client admitted, by its ticket",
    "greedy client": "one asked for more than it may wait for",
    "peer charged": "one made a replica work for nothing",
    "null batch": "a number was spent on nothing",
    "disk harmed": "damaged while its replica was down",
    "disk lost": "empty or older, under a known identity",
    "refused to run": "a replica did not go on with such a disk",
    "recovered": "a replica made a lost disk good",
    "partition": "some replicas could not reach others",
    "one-way cut": "in one direction only",
    "power cycle": "all lost power at the end",
}

CHARGED_US = 1000
"""In one turn: more than correct peers cost."""
REASONS = {
    "f+1 replicas are ahead": "view change joined",
    "f+1 replicas find the primary too slow": "slow primary replaced",
    "a replica has been alone in a later view": "lonely replica joined",
}
ACCUSATIONS = {
    "invalid new view": "invalid new view",
    "conflicting view changes": "two view changes of one replica",
    "conflicting pre-prepares": "two proposals for one number",
    "conflicting prepares": "two votes of one replica",
    "conflicting commits": "two votes of one replica",
}
FAULTS = {
    "fail point": "stop at a fail point",
    "refused to run": "refused to run",
    "recovered": "recovered",
}


class Situations(Observer):
    """`seen` grows while the run goes on."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._views: dict[ReplicaId, int] = {}
        self._fetching: dict[ReplicaId, int] = {}
        self._requests: dict[RequestKey, bytes] = {}
        self._judged: set[Digest] = set()

    def begin(self, simulation: "Simulation") -> None:
        self._simulation = simulation
        plan = simulation.plan
        self._saw("partition", bool(plan.partitions))
        self._saw("one-way cut", any(each.one_way for each in plan.partitions))
        self._saw("disk lost", bool(plan.losses))

    def _saw(self, what: str, occurred: bool = True) -> None:
        if occurred:
            self.seen.add(what)

    # -- what replicas do -----------------------------------------------------------------------

    def turned(self, now: int, host: Host, effects: Effects) -> None:
        if not host.correct:
            return
        for event in effects.events:
            self._happened(host, event)
        for evidence in effects.evidence:
            self._accused(evidence)
        self._saw("peer charged", any(cost > CHARGED_US for cost in effects.nuisance.values()))
        state = state_of(host)
        if state is not None:
            self._inside(state, effects)

    def _happened(self, host: Host, event: Event) -> None:
        match event:
            case EnteredView(view):
                self._saw("view change")
                self._saw("view skipped", view > self._views.get(host.number, 0) + 1)
                self._views[host.number] = view
            case ViewChangeStarted(view, reason):
                self._saw(REASONS.get(reason, "view change"))
                self._saw("view changes in a row", view > self._views.get(host.number, 0) + 1)
            case TransferStarted(sequence):
                self._saw("transfer")
                self._saw("transfer to a target that moved", host.number in self._fetching)
                self._fetching[host.number] = sequence
            case Installed():
                self._saw("transfer finished")
                self._fetching.pop(host.number, None)
            case Executed():
                self._executed(event)

    def _executed(self, event: Executed) -> None:
        self._saw("guest served", any(is_guest(client) for client, _ in event.requests))
        self._saw("null batch", event.digest == NULL_DIGEST)
        body = self._simulation.checkers.bodies.get(event.digest)
        if body is not None and event.digest not in self._judged:
            self._judged.add(event.digest)
            twice = len(event.requests) < len(decode_batch(body).requests)
            self._saw("request executed once of twice", twice)

    def _accused(self, evidence: Evidence) -> None:
        if evidence.kind in ACCUSATIONS:
            self._saw(ACCUSATIONS[evidence.kind])

    def _inside(self, state: ReplicaState, effects: Effects) -> None:
        kinds = {type(each) for each in effects.events}
        inactive, log = not state.views.active, state.log
        self._saw("new view with missing bodies", EnteredView in kinds and bool(log.missing))
        self._saw("votes before their view", any(each.by_view for each in log.early.values()))
        self._saw("transfer in a view change", inactive and state.transfer.target is not None)
        stable = any(type(each).__name__ == "BecameStable" for each in effects.events)
        self._saw("checkpoint in a view change", inactive and stable)
        full = log.next_sequence > state.high_watermark and bool(state.requests.unproposed)
        self._saw("window full", full and state.is_primary)
        sessions = state.sessions.table.values()
        self._saw("client floor raised", any(each.floor for each in sessions))
        greedy = state.requests.greedy
        self._saw("greedy client", any(greedy(client) for client in state.requests.by_client))

    def fault(self, now: int, what: str, replica: int | None) -> None:
        if what in FAULTS:
            self._saw(FAULTS[what])
        self._saw("disk harmed", what.startswith("disk: "))
        hosts = self._simulation.hosts
        if what != "crash" or replica is None:
            return
        host = hosts[replica]
        others = [each.up for each in hosts if each.correct and each is not host]
        self._saw("everybody down", not any(others))
        state = state_of(host) if host.correct else None
        if state is not None:
            self._saw("crash in a view change", not state.views.active)
            self._saw("crash in a transfer", state.transfer.target is not None)
            self._saw("crash of the primary", state.is_primary)

    # -- what is said -----------------------------------------------------------------------------

    def posted(self, now: int, source: Principal, send: "Send", arrivals: list[int]) -> None:
        look = _LOOKS.get(type(send.message))
        if look is not None:
            look(self, send, arrivals)

    def _new_view(self, send: "Send", arrivals: list[int]) -> None:
        self._saw("new view lost", not arrivals)
        raws = send.message.pre_prepares if isinstance(send.message, NewView) else ()
        chosen = [decode_signed(raw) for raw in raws]
        nulls = [isinstance(pp, PrePrepare) and pp.digest == NULL_DIGEST for pp in chosen]
        self._saw("new view with gaps", any(nulls))
        self._saw("new view with prepared numbers", not all(nulls))

    def _request(self, send: "Send", arrivals: list[int]) -> None:
        if isinstance(send.message, Request):
            key = (send.message.client, send.message.timestamp)
            first = self._requests.setdefault(key, send.data)
            self._saw("two requests under one timestamp", first != send.data)

    def _reply(self, send: "Send", arrivals: list[int]) -> None:
        told = isinstance(send.message, Reply) and FORGOTTEN in send.message.results
        self._saw("outcome forgotten", told)

    def arrived(self, now: int, host: Host, packet: Packet) -> None:
        if isinstance(packet.peer, str) and packet.peer in self._simulation.workloads:
            self._asked_again(packet)

    def _asked_again(self, packet: Packet) -> None:
        """A correct client asks for what at least f+1 correct replicas have executed."""
        if "reply starvation" in self.seen or packet.data[:1] != b"\x01":
            return
        request = decode_signed(packet.data)
        if isinstance(request, Request):
            key = (request.client, request.timestamp)
            self._saw("reply starvation", key in self._simulation.checkers.executed_at)

    def ended(self, now: int) -> None:
        simulation = self._simulation
        self._saw("large request", bool(simulation.checkers.large))
        self._saw("power cycle", simulation.plan.power_cycle)
        for work in simulation.workloads.values():
            self._saw("fast read", bool(work.read_at))
            if simulation.plan.config.fast_reads:
                reads = {
                    call
                    for call, operation in work.operations.items()
                    if simulation.subject.reads(operation)
                }
                self._saw(
                    "fast read ordered", bool(reads & work.answers.keys() - work.read_at.keys())
                )


def _seeing(what: str) -> Callable[[Situations, "Send", list[int]], None]:
    return lambda seer, send, arrivals: seer._saw(what)


def _lost(what: str) -> Callable[[Situations, "Send", list[int]], None]:
    return lambda seer, send, arrivals: seer._saw(what, not arrivals)


_LOOKS: dict[type, Callable[[Situations, "Send", list[int]], None]] = {
    NewView: Situations._new_view,
    Request: Situations._request,
    Reply: Situations._reply,
    Decision: _seeing("decision forwarded"),
    FetchBatch: _seeing("body fetched"),
    ViewChange: _lost("view change lost"),
}
