"""Execution: strictly in sequence, each request at most once, the same everywhere (T11, T30).

What a batch may not decide before it is ordered is decided here, from replicated state alone:
whether a request is a duplicate or below its session's floor, and the agreed time (T48).
"""

from collections.abc import Callable
from functools import partial

from pbft.core.effects import Executed
from pbft.core.errors import HaltError, Refusal
from pbft.core.ids import ClientId, Digest, Principal, RequestKey, SequenceNumber
from pbft.core.messages import Attest, Read, ReadReply, Receipt, Reply, Request, Signed
from pbft.core.records import Acknowledged
from pbft.core.service import FORGOTTEN, OK, REFUSED, Context
from pbft.core.state.replica_state import ReplicaState
from pbft.core.state.sessions import Answer, load
from pbft.core.turn import Turn
from pbft.core.verified import Body
from pbft.core.wire import decode_ticket, request_digest, results_digest
from pbft.crypto.trie import Snapshot

SLOTS_PER_RULE = 32
MAX_REFUSAL_BYTES = 512
WHOLE_RESULTS_BYTES = 256
"""Results up to here are sent by every replica: a digest would hardly be smaller."""
READS_PER_TURN = 8
"""Of one client."""
ATTESTS_PER_TURN = 64
"""Of all clients together: each costs a signature."""
AGAIN_US, AGAIN_BYTES_PER_US = 20, 1024
"""What an answer costs that a client asks for again, and its size, also for a receipt: a correct
client asks again, too, where links are slow."""
ANSWERS_PER_WRITE = 256
"""Written into the tree together, also between checkpoints: so a checkpoint finds only a few."""
TOO_LARGE = REFUSED + b"ResultTooLarge: the operation took effect, its result cannot be sent"


def execute(state: ReplicaState, turn: Turn) -> bool:
    """Run the next decided batch, up to the next checkpoint boundary of one round of rules."""
    acted = False
    for _ in range(SLOTS_PER_RULE):
        if _boundary_waits(state):
            return acted
        slot = state.log.slots.get(state.executed + 1)
        if slot is None or slot.decision is None:
            return acted
        body = state.log.bodies.get(slot.decision.pre_prepare.message.digest)
        if body is None:
            return acted
        run(state, turn, slot.sequence, body)
        state.log.touched[slot.sequence] = None
        acted = True
    return acted


def _boundary_waits(state: ReplicaState) -> bool:
    """Whether the state at a multiple of K has yet to be checkpointed (§4.3)."""
    at, checkpoints = state.executed, state.checkpoints
    due = at > checkpoints.stable.sequence and at % state.config.checkpoint_interval == 0
    return due and at not in checkpoints.own and not checkpoints.diverged


def run(state: ReplicaState, turn: Turn, sequence: SequenceNumber, body: Body) -> None:
    """Let one batch take effect: what it gives depends on the replicated state and on it alone."""
    if body.requests:
        state.sessions.time = max(state.sessions.time + 1, body.time)
    executed: list[RequestKey] = []
    operations = 0
    for request in body.requests:
        key = (request.message.client, request.message.timestamp)
        if state.sessions.eligible(key):
            _apply(state, turn, sequence, request, body.digest)
            executed.append(key)
            operations += len(request.message.operations)
        state.requests.drop(key)
    state.executed = sequence
    if len(state.sessions.changed) >= ANSWERS_PER_WRITE:
        state.sessions.flush(state.machine.tree)
    turn.event(Executed(sequence, body.digest, tuple(executed), operations))


def _apply(
    state: ReplicaState,
    turn: Turn,
    sequence: SequenceNumber,
    request: Signed[Request],
    batch: Digest,
) -> None:
    message, time = request.message, state.sessions.time
    ticket = decode_ticket(message.ticket)
    contexts = (
        Context(message.client, sequence, time, message.timestamp, number, batch, ticket)
        for number in range(len(message.operations))
    )
    run = state.machine.execute
    results = _results(state, message.operations, lambda each: run(each, next(contexts)))
    answer = Answer(message.timestamp, request_digest(request.raw), sequence, results)
    config = state.config
    if state.sessions.close(message.client, answer, config.client_window, config.session_max_bytes):
        state.requests.drop_below(message.client, state.sessions.floor(message.client))
    designated = answer.timestamp % config.n == state.me
    _reply(state, turn, message.client, answer, designated)


def _results(
    state: ReplicaState, operations: tuple[bytes, ...], run: Callable[[bytes], bytes]
) -> tuple[bytes, ...]:
    """A result per operation. What would make the reply too large is replaced by a refusal: the
    operation *did* take effect, equally everywhere, and the client is told so."""
    results: list[bytes] = []
    room = state.config.reply_max_bytes
    for operation in operations:
        result = _result(operation, run)
        if len(result) > room:
            result = TOO_LARGE
        room -= len(result)
        results.append(result)
    return tuple(results)


def _result(operation: bytes, run: Callable[[bytes], bytes]) -> bytes:
    """A value, or the refusal that the service raised: both are results, equal everywhere."""
    try:
        return OK + run(operation)
    except HaltError:
        raise
    except Exception as refusal:  # the service's own exception is the outcome, whatever it is
        own = isinstance(refusal, Refusal)
        text = str(refusal) if own else f"{type(refusal).__name__}: {refusal}"
        return REFUSED + text.encode("utf-8", "replace")[:MAX_REFUSAL_BYTES]


def answer(state: ReplicaState, turn: Turn) -> bool:
    """Answer retries from the client table (§4.1): whole, where the client itself asks, since
    whoever should have sent the results may be faulty. It pays for that: few bytes bring many."""
    retried, state.requests.retried = state.requests.retried, {}
    for key, asked in retried.items():
        cached = state.sessions.answer(key)
        if cached is not None:
            _reply(state, turn, key[0], cached, asked)
            if asked:
                turn.charge(key[0], AGAIN_US + cached.weight // AGAIN_BYTES_PER_US)
    closed, state.requests.closed = state.requests.closed, []
    for request in closed:
        message = request.message
        forgotten = (FORGOTTEN,) * len(message.operations)
        gone = Answer(message.timestamp, request_digest(request.raw), 0, forgotten)
        _reply(state, turn, message.client, gone, True)
    return False


def _reply(state: ReplicaState, turn: Turn, client: ClientId, answer: Answer, whole: bool) -> None:
    """The one place where replies are made; a diverged replica makes none (T54)."""
    if state.checkpoints.diverged:
        return
    view, said = state.views.view, _said(answer.results, whole)
    reply = Reply(view, answer.timestamp, answer.request, answer.sequence, said, state.me)
    turn.reply(client, reply)


def _said(results: tuple[bytes, ...], whole: bool) -> tuple[bytes, ...] | Digest:
    """Results as a reply carries them."""
    whole = whole or sum(map(len, results)) <= WHOLE_RESULTS_BYTES
    return results if whole else results_digest(results)


# -- receipts -----------------------------------------------------------------------------------


def on_attest(state: ReplicaState, turn: Turn, peer: Principal, ask: Attest) -> None:
    """Let it wait for the end of the turn."""
    if len(state.requests.attests) < ATTESTS_PER_TURN:
        state.requests.attests.add((str(peer), ask.timestamp))
    else:
        state.drops["too many receipts in one turn"] += 1


def attest(state: ReplicaState, turn: Turn) -> bool:
    """Sign what the client table has, which takes its digest: that is paid for. A diverged replica
    vouches for nothing (T54)."""
    wanted, state.requests.attests = state.requests.attests, set()
    for key in sorted(wanted) if not state.checkpoints.diverged else ():
        answer = state.sessions.answer(key)
        if answer is not None:
            results = results_digest(answer.results)
            receipt = Receipt(*key, answer.request, answer.sequence, results, state.me)
            turn.reply(key[0], state.authentication.sign(receipt))
            turn.charge(key[0], answer.weight // AGAIN_BYTES_PER_US)
    return False


# -- reads outside the order (§5.1) -----------------------------------------------------------


def on_read(state: ReplicaState, turn: Turn, peer: Principal, read: Read) -> None:
    """Let it wait for the end of the turn."""
    waiting = state.requests.reads.setdefault(str(peer), [])
    if len(waiting) < READS_PER_TURN:
        waiting.append(read)
    else:
        state.drops["client has too many reads waiting"] += 1


def answer_reads(state: ReplicaState, turn: Turn) -> bool:
    """From the executed state alone: nothing in it is tentative (T36). Whoever cannot vouch for
    its state, or has been further than it is now, leaves the answer to others (T34)."""
    waiting, state.requests.reads = state.requests.reads, {}
    sound = state.voting and not state.checkpoints.diverged and state.transfer.target is None
    if not sound:
        return False
    time = state.sessions.time
    for client, reads in waiting.items():
        for read in reads:
            if state.executed < state.acknowledged and not read.stale:
                continue
            who = Context(client, state.executed, time, ticket=decode_ticket(read.ticket))
            results = _results(state, read.operations, partial(state.machine.ask, context=who))
            said = _said(results, read.nonce % state.config.n == state.me)
            reply = ReadReply(read.session, read.nonce, state.executed, said, state.me)
            turn.reply(client, reply)
    return False


def acknowledge(state: ReplicaState, turn: Turn) -> bool:
    """With fast reads, how far we have executed is durable before a client hears of it (T34)."""
    if state.config.fast_reads and turn.effects.replies and state.executed > state.acknowledged:
        state.acknowledged = state.executed
        turn.record(Acknowledged(state.executed))
    return False


def withhold_reads(state: ReplicaState, turn: Turn, until: SequenceNumber) -> None:
    """Clients may know of anything up to `until` that a forgotten life has executed (T34, T35)."""
    state.acknowledged = max(state.acknowledged, until)
    turn.record(Acknowledged(state.acknowledged))


def freeze(state: ReplicaState) -> Snapshot:
    """The whole state as of what has executed; costs what changed since the last time."""
    state.sessions.flush(state.machine.tree)
    return state.machine.tree.freeze()


def install(state: ReplicaState, sequence: SequenceNumber, snapshot: Snapshot) -> None:
    """Put a certified snapshot in the place of sessions and service state. Raises `ServiceError`,
    or what the service raises, with the state as it was."""
    sessions = load(snapshot)
    state.machine.install(snapshot)
    state.sessions = sessions
    state.executed = sequence
    for key in list(state.requests.waiting):
        if not sessions.eligible(key):
            state.requests.drop(key)
