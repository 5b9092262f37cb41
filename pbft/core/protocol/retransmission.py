"""Status exchange: periodic, complete, bounded -- what makes lost datagrams harmless (T12, T53).

Every replica tells the others how far it is. Whoever is ahead of a peer that did not move between
two statuses re-sends what that peer lacks: its stable proof, decisions with bodies, its NEW-VIEW or
VIEW-CHANGE, its own votes, verbatim. All that one interval may cost per peer is bounded (FL7).
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice

from pbft.core.ids import ClientId, Digest, Principal, ReplicaId, SequenceNumber
from pbft.core.messages import (
    BatchBody,
    Decision,
    FetchBatch,
    LinkMessage,
    Proposal,
    Request,
    Signable,
    Signed,
    StableProof,
    Status,
)
from pbft.core.protocol import recovery, references, witness
from pbft.core.state.log import Slot
from pbft.core.state.peers import Peer
from pbft.core.state.replica_state import ReplicaState
from pbft.core.state.requests import REQUESTS_PER_CLIENT
from pbft.core.turn import Turn
from pbft.core.verified import Body
from pbft.core.wire import encode_link

Resent = Signed[Signable] | LinkMessage
REFORWARDED_PER_TICK = 32
FETCH_STEPS = 4
"""In one status interval: what was asked for and has not come in so many was lost on the way."""
FETCHED_PER_STEP = 16
"""The primary can name as many as it likes."""
SHARED_PER_TICK = 32
"""What is given to a peer unasked may be of no use to it, and is charged to us then."""


# -- absorb ---------------------------------------------------------------------------------


def on_status(state: ReplicaState, turn: Turn, peer: Principal, status: Status) -> None:
    """Remember it, and whether the peer moved since its last one."""
    known = state.peers.get(peer)
    if known is None:
        state.drops["status of no replica"] += 1
        return
    known.stalled = known.status is not None and _progress(known.status) == _progress(status)
    known.status = status
    known.unanswered = True


def _progress(status: Status) -> tuple[int, ...]:
    return status.view, status.active, status.low_watermark, status.executed


def on_fetch_batch(state: ReplicaState, turn: Turn, peer: Principal, fetch: FetchBatch) -> None:
    """Note who wants which body. Of a large request that waits here its client has told only some
    of us, and so perhaps of others: who asked gets those unasked."""
    known = state.peers.get(peer)
    held = fetch.digest in state.log.bodies or references.find(state, fetch.digest) is not None
    if known is not None and held:
        known.wants[fetch.digest] = None
        waiting = state.requests.large.get(fetch.digest)
        if waiting is not None:
            known.lacks.setdefault(waiting.message.client, set())
            _share_backlog(state, known)


# -- act --------------------------------------------------------------------------------------


def tick(state: ReplicaState, turn: Turn) -> None:
    """Say where we are; ask again for what is missing; pass on what still waits (T38)."""
    ticks = state.config.request_timeout_ns // state.config.status_interval_ns
    for peer in state.peers.by_id.values():
        peer.spent = peer.served = peer.shown = peer.shared = 0
        if state.timers.fired["status"] % ticks == 0:
            large, greedy = state.requests.large.keys(), state.requests.greedy
            peer.lacks = {c: given & large for c, given in peer.lacks.items() if greedy(c)}
        _share_backlog(state, peer)
    recovery.tick(state)
    turn.broadcast(recovery.status(state))
    _reforward(state, turn)


def _passed_on(state: ReplicaState) -> Iterator[Signed[Request]]:
    """What waits and is small, oldest first; of a greedy client one, so that all are ordered in
    time. Of one that is greedy with the primary alone so many that others find so too: they may
    know of few, and would blame the primary for what these wait behind the rest."""
    most = REQUESTS_PER_CLIENT + 1 if state.is_primary else 1
    served: Counter[ClientId] = Counter()
    later: list[Signed[Request]] = []
    for (client, _), request in state.requests.waiting.items():
        if references.is_large(state, request):
            continue
        if not state.requests.greedy(client) or not served[client]:
            yield request
        elif served[client] < most:
            later.append(request)
        served[client] += 1
    yield from later


def accompany(state: ReplicaState, body: Body) -> None:
    """As primary, give the large requests of a batch to whoever had to ask for others of their
    clients: one batch after another would else wait until it has asked, and we be blamed."""
    for peer in state.peers.by_id.values():
        _share(peer, [name for name, each in body.large if each.message.client in peer.lacks])


def _share_backlog(state: ReplicaState, peer: Peer) -> None:
    """As primary, give it of what waits for its turn, once, as much as shows that its client is
    greedy: the peer would blame us for what other requests of that client wait behind it."""
    requests = state.requests
    for client, given in peer.lacks.items() if state.is_primary else ():
        if requests.greedy(client):
            keys = ((client, timestamp) for timestamp in requests.by_client[client])
            large = (requests.names.get(key) for key in keys if key in requests.unproposed)
            first = list(islice(filter(None, large), REQUESTS_PER_CLIENT + 1))
            given.update(_share(peer, [name for name in first if name not in given]))


def _share(peer: Peer, names: list[Digest]) -> list[Digest]:
    shared = names[: SHARED_PER_TICK - peer.shared]
    peer.shared += len(shared)
    peer.wants |= dict.fromkeys(shared)
    return shared


def ask(
    state: ReplicaState, turn: Turn, digest: Digest, to: tuple[ReplicaId, ...], before: int = 0
) -> None:
    """Ask for what we lack, which we did `before`."""
    state.log.missing[digest] = FETCH_STEPS * before + 1
    turn.send(to, FetchBatch(digest))


def fetch(state: ReplicaState, turn: Turn) -> None:
    """What does not come from its client, or was asked for an interval ago and so lost on the way,
    is asked for, and goes behind all others, so that each has its turn: a body of everybody, since
    at least one correct replica holds it (T20)."""
    named = {name for body in state.log.partial.values() for _, name in body.references}
    missing, room = state.log.missing, FETCHED_PER_STEP
    for digest, steps in list(missing.items()):
        if steps % FETCH_STEPS:
            missing[digest] = steps + 1
        elif room:
            room -= 1
            before = missing.pop(digest) // FETCH_STEPS
            to = _holders(state, digest, before) if digest in named else turn.peers
            ask(state, turn, digest, to, before)


def _holders(state: ReplicaState, digest: Digest, before: int) -> tuple[ReplicaId, ...]:
    """Whom to ask for a large request: the primary that named it, since its client may have told
    nobody else; and where we have before, one of the others in turn: it may not answer."""
    primary = state.config.primary(state.views.view)
    others = [peer for peer in state.others if peer != primary]
    one = others[(before + digest[0]) % len(others)]
    return (one,) if primary == state.me else (primary, one) if before else (primary,)


def _reforward(state: ReplicaState, turn: Turn) -> None:
    """Requests that a client may have told only us go to all, so that f+1 wait for them (CL3): a
    large one only where it has been the oldest for half of T; those of greedy clients come last."""
    for request in list(islice(_passed_on(state), REFORWARDED_PER_TICK)):
        turn.forward(turn.peers, request.message, request.raw)
    oldest = state.requests.oldest() or next(iter(state.requests.waiting), None)
    head, ticks = state.peers.head
    state.peers.head = (oldest, ticks + 1 if oldest == head else 0)
    due = state.config.request_timeout_ns // (2 * state.config.status_interval_ns)
    if oldest in state.requests.names and ticks % due == due - 1:
        request = state.requests.waiting[oldest]
        turn.forward(turn.peers, request.message, request.raw)


def answer(state: ReplicaState, turn: Turn) -> bool:
    """Give each peer that spoke what it lacks, up to its share of this interval."""
    for replica, peer in state.peers.by_id.items():
        if peer.unanswered and peer.status is not None:
            peer.unanswered = False
            if peer.status.fresh:
                witness.show(state, turn, replica, peer)
            recovery.ask_back(state, turn, replica)
            _resend(state, turn, replica, peer, _owed(state, peer.status, peer.stalled), 1)
        if peer.wants:
            wanted, peer.wants = peer.wants, {}
            _resend(state, turn, replica, peer, _wanted(state, wanted), 2)
    return False


def _wanted(state: ReplicaState, digests: Iterable[Digest]) -> Iterator[Resent]:
    """The bodies and large requests behind `digests`."""
    for digest in digests:
        body, request = state.log.bodies.get(digest), references.find(state, digest)
        if body is not None:
            yield BatchBody(body.raw)
        elif request is not None:
            yield request


def _resend(
    state: ReplicaState,
    turn: Turn,
    replica: ReplicaId,
    peer: Peer,
    owed: Iterator[Resent],
    shares: int,
) -> None:
    """Until so many shares are used up: what a peer asks for by name has one more, since what it
    is owed besides may take the first in every interval. The last message may be of any size."""
    for message in owed:
        if peer.spent >= shares * state.config.answer_max_bytes:
            state.drops["answer cut at its limit"] += 1
            return
        peer.spent += len(message.raw if isinstance(message, Signed) else encode_link(message))
        turn.send((replica,), message)


def _owed(state: ReplicaState, status: Status, stalled: bool) -> Iterator[Resent]:
    """What a peer in that state lacks and we have, most useful first."""
    if not stalled:
        return
    if status.low_watermark < state.checkpoints.stable.sequence:
        yield StableProof(state.checkpoints.stable.proof)
    yield from _views_owed(state, status)
    yield from _decisions_owed(state, status.executed)
    for sequence, vote in state.checkpoints.cast.items():
        if sequence > status.low_watermark:
            yield vote
    if status.view == state.views.view and state.views.active:
        yield from _votes_owed(state, status.executed)


def _views_owed(state: ReplicaState, status: Status) -> Iterator[Resent]:
    views = state.views
    behind = status.view < views.view or (status.view == views.view and not status.active)
    if not behind:
        return
    own = views.view_changes.get(state.me)
    if own is not None and own.signed.message.view >= status.view:
        yield own.signed
    if views.accepted is not None:
        yield views.accepted


def _decisions_owed(state: ReplicaState, executed: SequenceNumber) -> Iterator[Resent]:
    for sequence in range(max(executed, state.log.low_watermark) + 1, state.executed + 1):
        slot = state.log.slots.get(sequence)
        if slot is None or slot.decision is None:
            continue
        body = state.log.bodies.get(slot.decision.pre_prepare.message.digest)
        if body is not None:
            yield Decision(slot.decision.pre_prepare.raw, slot.decision.commits, body.raw)


def _votes_owed(state: ReplicaState, executed: SequenceNumber) -> Iterator[Resent]:
    first = max(executed, state.executed, state.log.low_watermark) + 1
    for sequence in range(first, state.high_watermark + 1):
        slot = state.log.slots.get(sequence)
        if slot is not None:
            yield from _slot_votes(state, slot)


def _slot_votes(state: ReplicaState, slot: Slot) -> Iterator[Resent]:
    pp = slot.pre_prepare
    if pp is not None and state.is_primary and slot.voted:
        body = state.log.bodies.get(pp.message.digest)
        if body is not None:
            yield Proposal(pp.raw, body.raw)
    if state.me in slot.prepares:
        yield slot.prepares[state.me]
    if state.me in slot.commits:
        yield slot.commits[state.me]
