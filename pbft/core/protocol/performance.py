"""A primary that is slow just below the timeout, or slow for some, is replaced (T37).

Each request is *due* from the moment at which a correct primary would have proposed it: there was
room in the pipeline; or a batch left it out that had room for it, or held what came much later;
or nothing else has waited longer. Waiting behind others is nobody's fault and does not count.
`deadlines` gives each due request T. Below that, whoever is served in more than T/4 on average
runs up a debt, and f+1 replicas that see one too large move on. Why so: docs/decisions/013.
"""

from pbft.core.ids import SequenceNumber
from pbft.core.protocol import view_change
from pbft.core.state.replica_state import ReplicaState
from pbft.core.turn import Turn
from pbft.core.verified import Body

EXPECTED_PART = 4
"""A request that is due is expected to be served within T over this, on average, ..."""
EXPECTED_ECHOES = 8
"""... or within so many times the echo: what another backup takes to vote for what we vote for. A
primary that is slow for some must show its batch early to two of them, and then their echo is
quick; where everybody is slow, and the primary with them, it is not."""
ECHOES = 16
MAX_DEBT = 4
"""In T: what a client's requests may exceed that by, together."""
QUICK_TURNS = 64
EVERYBODY = ""


def has_room(state: ReplicaState, now: int) -> bool:
    """Whether the primary may propose: the pipeline and the window have room (§4.2). For greedy
    clients alone, nothing else may be under way, nor have been of late: they keep nobody busy, and
    go along with what others ask."""
    log, unproposed = state.log, state.requests.unproposed
    in_flight = log.next_sequence - 1 - max(state.executed, log.low_watermark)
    patient = bool(unproposed) and all(state.requests.greedy(client) for client, _ in unproposed)
    if patient and now < state.pace.others_at + state.config.request_timeout_ns // EXPECTED_PART:
        return False
    most = 1 if patient else state.config.pipeline
    return in_flight < most and log.next_sequence <= state.high_watermark


def led(state: ReplicaState, turn: Turn, body: Body) -> None:
    """As primary, note that a batch of clients that are not greedy is on its way."""
    if not all(state.requests.greedy(each.message.client) for each in body.requests):
        state.pace.others_at = turn.now.monotonic


def proposed(state: ReplicaState, turn: Turn, sequence: SequenceNumber, body: Body) -> None:
    """Note what a batch holds, and whom it passed over though they have waited for long."""
    requests, config, now = state.requests, state.config, turn.now.monotonic
    state.log.next_sequence = max(state.log.next_sequence, sequence + 1)
    if not state.is_primary:
        state.pace.voted[sequence] = now
    newest = 0
    for request in body.requests:
        key = (request.message.client, request.message.timestamp)
        if requests.unproposed.pop(key, None) is not None:
            newest = max(newest, requests.arrived[key])
            requests.expect(key, now)
    full = (
        len(body.requests) >= config.batch_max_requests
        or len(body.raw) + config.inline_max_bytes > config.batch_max_bytes
        or bool(body.large)
    )
    until = (newest if full else now) - expected(state)
    for key in requests.unproposed:
        if requests.arrived[key] > until:
            break
        requests.expect(key, now)


def watch(state: ReplicaState, turn: Turn) -> bool:
    """Judge what was served in this turn, then see what has become due."""
    requests, now = state.requests, turn.now.monotonic
    if not _comparable(state):
        requests.wait_anew()
        return False
    _begin(state)
    _listen(state, now)
    if requests.served and not state.is_primary:
        _judge(state, now)
    requests.served.clear()
    oldest = requests.oldest()
    if oldest is not None:
        requests.expect(oldest, now)
    if requests.unproposed and has_room(state, now):
        _next_batch_is_due(state, now)
    return False


def _comparable(state: ReplicaState) -> bool:
    """Whether this view's primary can be judged: not before what the last one left is done."""
    views = state.views
    awaiting = views.awaited is not None and views.view > views.progressed
    return views.active and state.voting and state.transfer.target is None and not awaiting


def _begin(state: ReplicaState) -> None:
    """Owe a new primary's slowness to nobody else."""
    pace = state.pace
    if pace.view != state.views.view:
        pace.replaced += pace.slow
        pace.view, pace.debt, pace.quick, pace.slow = state.views.view, {}, 0, False
        pace.voted = {}


def _listen(state: ReplicaState, now: int) -> None:
    """Note the echo of our votes: from f others, so that f liars among them cannot delay it."""
    pace = state.pace
    for sequence, at in list(pace.voted.items()):
        slot = state.log.slots.get(sequence)
        if slot is None or len(slot.prepares.keys() - {state.me}) >= state.config.f:
            pace.echoes = [*pace.echoes[1 - ECHOES :], now - at]
            del pace.voted[sequence]


def _next_batch_is_due(state: ReplicaState, now: int) -> None:
    requests, config = state.requests, state.config
    count = size = 0
    for key in requests.unproposed:
        if key in requests.names:
            continue
        count += 1
        size += requests.by_client[key[0]][key[1]]
        if count > config.batch_max_requests or size > config.batch_max_bytes:
            break
        requests.expect(key, now)


def expected(state: ReplicaState) -> int:
    """How long a due request may take on average (ns). Among f+1 primaries one is correct: if none
    is quick enough, twice as much is allowed."""
    doublings = min(state.pace.replaced // (state.config.f + 1), 2)
    echoes = sorted(state.pace.echoes) or [0]
    allowed = (state.config.request_timeout_ns // EXPECTED_PART) << doublings
    return max(allowed, EXPECTED_ECHOES * echoes[len(echoes) // 2])


def _judge(state: ReplicaState, now: int) -> None:
    pace = state.pace
    longest: dict[str, int] = {}
    for client, since in state.requests.served:
        longest[client] = max(longest.get(client, 0), now - since)
    longest[EVERYBODY] = sum(longest.values()) // len(longest)
    enough = expected(state)
    for client, waited in longest.items():
        most = min(waited, state.config.request_timeout_ns)
        debt = pace.debt.pop(client, 0) + most - enough
        if debt > 0:
            pace.debt[client] = debt
    pace.quick = pace.quick + 1 if 2 * longest[EVERYBODY] <= enough else 0
    if pace.quick >= QUICK_TURNS:
        pace.quick = pace.replaced = 0


def tick(state: ReplicaState, turn: Turn) -> None:
    """Once per status: ask the others, and move on when f+1 find the same."""
    pace, views = state.pace, state.views
    if pace.view != views.view or not views.active:
        return
    limit = MAX_DEBT * state.config.request_timeout_ns
    pace.slow = any(debt > limit for debt in pace.debt.values())
    said = [peer.status for peer in state.peers.by_id.values() if peer.status is not None]
    slow = sum(each.slow and each.active and each.view == views.view for each in said) + pace.slow
    if slow > state.config.f:
        view_change.suspect(state, turn, "f+1 replicas find the primary too slow")
