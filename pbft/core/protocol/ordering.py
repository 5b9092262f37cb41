"""The normal case: REQUEST, PRE-PREPARE, PREPARE, COMMIT (OSDI'99 §4.1, §4.2).

Absorbing puts a message into the log or the waiting set. The rules then propose, prepare, commit
and decide wherever a touched slot's guard has become true. A slot is acted on only for
h < n <= h + L; up to h + 2L messages are stored, since the checkpoint that moves the window may
be in the same burst (T47).
"""

from pbft.core.effects import Committed, Evidence
from pbft.core.ids import ClientId, Principal, ReplicaId, RequestKey, View
from pbft.core.messages import (
    Batch,
    Certificate,
    Commit,
    Prepare,
    PrePrepare,
    Proposal,
    Request,
    Signed,
)
from pbft.core.protocol import performance, recovery, references, retransmission
from pbft.core.records import Accepted, Prepared
from pbft.core.state.log import DecisionProof, EarlyMessage, Slot
from pbft.core.state.replica_state import ReplicaState
from pbft.core.turn import Turn
from pbft.core.verified import NULL_BODY, Body, Decided, PreparedProof, Proposed
from pbft.core.wire import batch_digest, encode_body, referred, request_digest

FORWARD_PER_TURN = 64


# -- absorb ---------------------------------------------------------------------------------


def on_request(state: ReplicaState, turn: Turn, peer: Principal, request: Signed[Request]) -> None:
    """Let it wait, or note that its client asks for an answer again (§4.1)."""
    key = (request.message.client, request.message.timestamp)
    references.supply(state, request)
    name = request_digest(request.raw) if references.is_large(state, request) else None
    limits = (state.config.client_window, state.config.client_max_bytes)
    if state.sessions.answer(key) is not None:
        asked = peer == request.message.client
        state.requests.retried[key] = asked or state.requests.retried.get(key, False)
    elif not state.sessions.eligible(key):
        state.drops["request below the floor"] += 1
        if peer == request.message.client:
            state.requests.closed.append(request)
    elif key in state.requests.waiting:
        state.drops["request waits already"] += 1
    elif not state.requests.add(request, *limits, name, turn.now.monotonic, peer):
        state.drops["client has too many requests waiting"] += 1


def on_proposal(state: ReplicaState, turn: Turn, peer: Principal, proposed: Proposed) -> None:
    """Accept the first valid pre-prepare for (v, n); a second one convicts the primary (T9)."""
    pp = proposed.pre_prepare
    sequence = pp.message.sequence
    if _is_early(state, pp.message.view):
        size = len(pp.raw) + len(proposed.body.raw)
        _keep_early(state, pp.message.replica, pp.message.view, proposed, size)
        return
    if not _in_reach(state, sequence):
        state.drops["outside the window"] += 1
        return
    slot = state.log.slot(sequence)
    if slot.pre_prepare is not None:
        _compare(state, turn, "conflicting pre-prepares", slot.pre_prepare, pp)
        if proposed.body.digest in state.log.missing:
            references.keep(state, proposed.body, sequence)
        else:
            state.drops["second pre-prepare"] += 1
        return
    ahead, stepped = proposed.body.time - turn.now.wall, turn.now.stepped
    late = min(abs(ahead), abs(ahead + stepped)) > state.config.clock_bound_ns
    if late and proposed.body is not NULL_BODY:
        state.drops["proposed time out of bound"] += 1
        return
    slot.pre_prepare = pp
    state.log.touched[sequence] = None
    references.keep(state, proposed.body, sequence)


def on_prepare(state: ReplicaState, turn: Turn, peer: Principal, vote: Signed[Prepare]) -> None:
    """Keep the first PREPARE of each backup for (v, n)."""
    if vote.message.replica == state.config.primary(vote.message.view):
        state.drops["prepare of a primary"] += 1
        return
    slot = _slot_for_vote(state, vote)
    if slot is None:
        return
    first = slot.prepares.setdefault(vote.message.replica, vote)
    if first is not vote:
        state.drops["second vote"] += 1
        _compare(state, turn, "conflicting prepares", first, vote)
    state.log.touched[slot.sequence] = None


def on_commit(state: ReplicaState, turn: Turn, peer: Principal, vote: Signed[Commit]) -> None:
    """Keep the first COMMIT of each replica for (v, n); before its PRE-PREPARE too (T7)."""
    slot = _slot_for_vote(state, vote)
    if slot is None:
        return
    first = slot.commits.setdefault(vote.message.replica, vote)
    if first is not vote:
        state.drops["second vote"] += 1
        _compare(state, turn, "conflicting commits", first, vote)
    state.log.touched[slot.sequence] = None


def on_decided(state: ReplicaState, turn: Turn, peer: Principal, decided: Decided) -> None:
    """Follow a decision by its commit certificate, in any mode and from any view (T12, T27).

    A deviation from committed-local (§4.2): q COMMITs contain f+1 of correct replicas that had
    prepared, so the certificate alone proves what was decided.
    """
    sequence = decided.pre_prepare.message.sequence
    if not _in_reach(state, sequence):
        state.drops["outside the window"] += 1
        return
    slot = state.log.slot(sequence)
    if slot.pre_prepare is not None:
        _compare(state, turn, "conflicting pre-prepares", slot.pre_prepare, decided.pre_prepare)
    if slot.decision is None:
        slot.decision = DecisionProof(decided.pre_prepare, decided.commits)
        turn.event(Committed(sequence, (decided.pre_prepare.raw, *decided.commits)))
    if slot.decision.pre_prepare.message.digest == decided.body.digest:
        references.keep(state, decided.body, sequence)
    state.log.touched[sequence] = None


def on_body(state: ReplicaState, turn: Turn, peer: Principal, body: Body) -> None:
    """Keep a body that a chosen or decided slot waits for (T20), and no other."""
    if body.digest not in state.log.missing:
        state.drops["body that was not asked for"] += 1
        return
    for slot in state.log.slots.values():
        if body.digest in slot.digests:
            references.keep(state, body, slot.sequence)


def _is_early(state: ReplicaState, view: int) -> bool:
    """Whether a message of `view` must wait for a NEW-VIEW (T7, T44)."""
    views = state.views
    return view > views.view or (view == views.view and not views.active)


def _in_reach(state: ReplicaState, sequence: int) -> bool:
    low = state.log.low_watermark
    return low < sequence <= low + 2 * state.config.window


def _keep_early(
    state: ReplicaState, sender: ReplicaId, view: View, message: EarlyMessage, size: int
) -> None:
    if not state.log.keep_early(sender, view, message, size, state.config.early_max_bytes):
        state.drops["too many messages of later views"] += 1


def _slot_for_vote(state: ReplicaState, vote: "Signed[Prepare] | Signed[Commit]") -> Slot | None:
    """The slot a vote of the current view belongs to; none if it was stored or dropped."""
    if _is_early(state, vote.message.view):
        _keep_early(state, vote.message.replica, vote.message.view, vote, len(vote.raw))
        return None
    if not _in_reach(state, vote.message.sequence):
        state.drops["outside the window"] += 1
        return None
    return state.log.slot(vote.message.sequence)


def _compare(
    state: ReplicaState,
    turn: Turn,
    kind: str,
    first: "Signed[PrePrepare] | Signed[Prepare] | Signed[Commit]",
    second: "Signed[PrePrepare] | Signed[Prepare] | Signed[Commit]",
) -> None:
    """Two different statements of one signer about one (view, number) convict it (EQ1, EQ7)."""
    places = {(each.view, each.sequence, each.replica) for each in (first.message, second.message)}
    if len(places) > 1 or first.message.digest == second.message.digest:
        return
    evidence = Evidence(kind, first.message.replica, (first.raw, second.raw))
    if state.keep_evidence(evidence):
        turn.blame(evidence)


# -- act --------------------------------------------------------------------------------------


def replay(state: ReplicaState, turn: Turn) -> bool:
    """Absorb what overtook the NEW-VIEW of the view we are now active in."""
    view = state.views.view
    if not state.views.active or not state.log.early:
        return False
    for sender, early in state.log.early.items():
        for message in early.take(view) if view in early.by_view else ():
            if isinstance(message, Proposed):
                on_proposal(state, turn, sender, message)
            elif isinstance(message.message, Prepare):
                on_prepare(state, turn, sender, Signed(message.message, message.raw))
            else:
                on_commit(state, turn, sender, Signed(message.message, message.raw))
    return False


def propose(state: ReplicaState, turn: Turn) -> bool:
    """As primary, assign the next sequence number to what waits (§4.2), or to a null request where
    a recovering peer needs the numbers to rise (T35)."""
    log = state.log
    if not (state.voting and state.views.active and state.is_primary):
        return False
    if not performance.has_room(state, turn.now.monotonic):
        return False
    if not state.requests.unproposed and not recovery.null_is_due(state):
        return False
    body = _next_batch(state, turn) if state.requests.unproposed else NULL_BODY
    if body is None:
        return True
    pp = state.authentication.sign(
        PrePrepare(state.views.view, log.next_sequence, body.digest, state.me)
    )
    log.next_sequence += 1
    slot = log.slot(pp.message.sequence)
    slot.pre_prepare = pp
    slot.voted = True
    performance.led(state, turn, body)
    references.keep(state, body, slot.sequence)
    retransmission.accompany(state, body)
    turn.record(Accepted(pp.raw, body.raw, body.beside))
    turn.broadcast(Proposal(pp.raw, body.raw))
    return True


def _next_batch(state: ReplicaState, turn: Turn) -> Body | None:
    """The oldest unproposed requests that fit, at our wall time; none where all were stale. Of
    a greedy client there is one, and what others asked later comes along (FL5)."""
    config, size, weight = state.config, 0, 0
    chosen: list[tuple[bytes, Signed[Request]]] = []
    taken: list[RequestKey] = []
    served: set[ClientId] = set()
    for key, request in state.requests.unproposed.items():
        if key[0] in served:
            continue
        if state.requests.greedy(key[0]):
            served.add(key[0])
        entry = references.entry(state, key, request)
        size += len(entry) + 5
        weight += len(request.raw) if entry is not request.raw else 0
        full = size > config.batch_max_bytes or weight > 2 * config.request_max_bytes
        if chosen and (full or len(chosen) >= config.batch_max_requests):
            break
        taken.append(key)
        if state.sessions.eligible(key):
            chosen.append((entry, request))
    for key in taken:
        del state.requests.unproposed[key]
    if not chosen:
        return None
    raw = encode_body(Batch(turn.now.wall, tuple(entry for entry, _ in chosen)))
    names = [(referred(entry), request) for entry, request in chosen]
    large = tuple((name, request) for name, request in names if name is not None)
    requests = tuple(request for _, request in chosen)
    return Body(batch_digest(raw), raw, turn.now.wall, requests, (), large)


def prepare(state: ReplicaState, turn: Turn) -> bool:
    """As backup, vote for each accepted pre-prepare whose body we hold (§4.2; T10). As primary of
    a new view, our pre-prepare in O is our vote, once the body is at hand."""
    if not _may_vote(state):
        return False
    acted = False
    for sequence in list(state.log.touched):
        slot = state.log.slots.get(sequence)
        if slot is None or slot.voted or slot.pre_prepare is None:
            continue
        pp = slot.pre_prepare
        body = state.log.bodies.get(pp.message.digest)
        if body is None or sequence > state.high_watermark or _contradicts(slot):
            continue
        slot.voted = acted = True
        performance.proposed(state, turn, sequence, body)
        turn.record(Accepted(pp.raw, body.raw, body.beside))
        if not state.is_primary:
            message = Prepare(pp.message.view, sequence, pp.message.digest, state.me)
            slot.prepares[state.me] = vote = state.authentication.sign(message)
            turn.broadcast(vote)
    return acted


def _contradicts(slot: Slot) -> bool:
    """Whether the pre-prepare is against a decision we hold: only more than f faults bring that."""
    if slot.decision is None or slot.pre_prepare is None:
        return False
    return slot.decision.pre_prepare.message.digest != slot.pre_prepare.message.digest


def commit(state: ReplicaState, turn: Turn) -> bool:
    """Vote to commit what is prepared: the pre-prepare, its body and q-1 matching prepares of
    distinct backups, ours among them unless we are the primary (§4.2; T2)."""
    if not _may_vote(state):
        return False
    acted = False
    for sequence in list(state.log.touched):
        slot = state.log.slots.get(sequence)
        if slot is None or slot.committed or not slot.voted or slot.pre_prepare is None:
            continue
        pp = slot.pre_prepare.message
        prepares = slot.matching_prepares(pp.digest)
        if len(prepares) < state.config.quorum - 1 or pp.digest not in state.log.bodies:
            continue
        slot.committed = acted = True
        chosen = sorted(prepares, key=lambda vote: vote.message.replica)[: state.config.quorum - 1]
        certificate = Certificate(slot.pre_prepare.raw, tuple(vote.raw for vote in chosen))
        slot.prepared = PreparedProof(pp.view, sequence, pp.digest, certificate)
        vote = state.authentication.sign(Commit(pp.view, sequence, pp.digest, state.me))
        slot.commits[state.me] = vote
        turn.record(Prepared(sequence, certificate))
        turn.broadcast(vote)
    return acted


def decide(state: ReplicaState, turn: Turn) -> bool:
    """committed-local(m, v, n): we are prepared and hold q matching COMMITs (§4.2)."""
    acted = False
    for sequence in state.log.touched:
        slot = state.log.slots.get(sequence)
        if slot is None or slot.decision is not None or (state.voting and not slot.committed):
            continue  # without a vote of our own, q COMMITs are as good as a decision's
        pp = slot.pre_prepare
        if pp is None:
            continue
        commits = slot.matching_commits(pp.message.digest)
        if len(commits) >= state.config.quorum:
            chosen = tuple(vote.raw for vote in commits[: state.config.quorum])
            slot.decision = DecisionProof(pp, chosen)
            turn.event(Committed(sequence, (pp.raw, *chosen)))
            acted = True
    return acted


def look_for_bodies(state: ReplicaState, turn: Turn) -> bool:
    """Ask for the bodies that we lack of what is chosen or decided (T20)."""
    log = state.log
    for sequence in log.touched:
        slot = log.slots.get(sequence)
        if slot is None or sequence > state.high_watermark:
            continue
        for digest in slot.digests:
            if not (digest in log.bodies or digest in log.partial or digest in log.missing):
                retransmission.ask(state, turn, digest, turn.peers)
    return False


def forward(state: ReplicaState, turn: Turn) -> bool:
    """As backup, pass on to the primary what clients told us, before suspecting it (T38). Large
    requests it has from them, or else gets from us later (`retransmission`)."""
    requests = state.requests
    if not requests.unforwarded or not state.views.active:
        return False
    if state.is_primary:
        requests.unforwarded.clear()
        return False
    to = (state.config.primary(state.views.view),)
    for key in list(requests.unforwarded)[:FORWARD_PER_TURN]:
        request = requests.unforwarded.pop(key)
        if not references.is_large(state, request) and not requests.greedy(key[0]):
            turn.forward(to, request.message, request.raw)
    return bool(requests.unforwarded)


def _may_vote(state: ReplicaState) -> bool:
    """No vote before leave to vote, and none while a view change is under way (T22)."""
    return state.voting and state.views.active
