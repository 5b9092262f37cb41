"""Large requests travel beside the order: their client sends them to all, a batch names them.

A batch that names requests by digest is *whole* once they are all here, and only then is it a body
that a replica votes for, stores and executes (T10). Bodies are looked up by digest, never by who
sent them under which timestamp: a client may send a different one to every replica (T31). What
does not come from the client in time is asked of the primary, then of others (`retransmission`).
"""

from pbft.core.ids import Digest, RequestKey
from pbft.core.messages import Request, Signed
from pbft.core.state.replica_state import ReplicaState
from pbft.core.verified import Body
from pbft.core.wire import reference_to, request_digest

ON_ITS_WAY = -1
"""In steps of fetching: what a batch names may come from its client until the one after this."""
MAX_PARTIAL = 32
"""Batches that wait for large requests; a primary can send as many as the window has numbers."""


def is_large(state: ReplicaState, request: Signed[Request]) -> bool:
    """Whether batches name it, and its client sends it to everybody."""
    return len(request.raw) > state.config.inline_max_bytes


def find(state: ReplicaState, digest: Digest) -> Signed[Request] | None:
    """A large request that waits here, or that a body is made of."""
    return state.requests.large.get(digest) or state.log.large.get(digest)


def entry(state: ReplicaState, key: RequestKey, request: Signed[Request]) -> bytes:
    """How a batch carries `request`."""
    digest = state.requests.names.get(key)
    return request.raw if digest is None else reference_to(digest)


def keep(state: ReplicaState, body: Body, sequence: int) -> None:
    """Keep `body` for `sequence`, made whole if its requests are here. What is not may be on its
    way from its client: it is not asked for at once."""
    requests = [find(state, digest) for _, digest in body.references]
    known = [request for request in requests if request is not None]
    if sum(len(each.raw) for each in known) > 2 * state.config.request_max_bytes:
        state.drops["batch of too many large requests"] += 1
        state.log.partial.pop(body.digest, None)
        state.log.let_go()
        return
    if body.references and len(known) == len(requests):
        body = body.made_whole(known)
    elif body.references and not _has_room(state, body, sequence):
        state.drops["batch among too many that wait for large requests"] += 1
        return
    for (_, digest), request in zip(body.references, requests, strict=False):
        if request is None:
            state.log.missing.setdefault(digest, ON_ITS_WAY)
    state.log.keep_body(body, sequence)
    state.log.touched[sequence] = None


def _has_room(state: ReplicaState, body: Body, sequence: int) -> bool:
    """Whether `body` may wait for its requests: of too many, the farthest goes, and is fetched
    when its turn comes."""
    log = state.log
    log.touched[sequence] = None
    if body.digest in log.partial or len(log.partial) < MAX_PARTIAL:
        return True
    last = max(log.partial, key=log.body_at.__getitem__)
    if log.body_at[last] <= sequence:
        return False
    log.touched[log.body_at[last]] = None
    del log.partial[last]
    log.partial[body.digest] = body
    log.let_go()
    return True


def supply(state: ReplicaState, request: Signed[Request]) -> bool:
    """Whether a batch waited for `request`; those that are whole now become bodies."""
    digest = request_digest(request.raw) if state.log.missing else b""
    if digest not in state.log.missing:
        return False
    del state.log.missing[digest]
    state.log.large[digest] = request
    known = [
        (slot, state.log.partial.get(d)) for slot in state.log.slots.values() for d in slot.digests
    ]
    for slot, body in known:
        if body is not None and digest in (name for _, name in body.references):
            keep(state, body, slot.sequence)
    return True
