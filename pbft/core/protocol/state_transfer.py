"""Fetching a snapshot that q replicas certified (OSDI'99 §4.3, TOCS'02 §6; ST1-ST10).

A replica whose execution is behind a checkpoint that is stable elsewhere, or whose own state
contradicts it (T54), fetches that checkpoint in chunks from all others in turn. Every chunk is
verified against the certified root before it is kept; nothing is installed before all are there.
"""

from pbft.core.effects import Installed, TransferStarted
from pbft.core.ids import Principal, ReplicaId
from pbft.core.messages import Chunk, FetchChunk, StableProof
from pbft.core.protocol import checkpointing, execution
from pbft.core.state.replica_state import ReplicaState
from pbft.core.state.transfer import Transfer
from pbft.core.turn import Turn
from pbft.core.verified import StableCheckpoint
from pbft.crypto.merkle import verify

IN_FLIGHT = 16
"""Chunks asked for and not yet received."""
PATIENCE_TICKS = 3
"""Fruitless rounds after which a newer certified checkpoint becomes the target (ST4)."""


# -- absorb ---------------------------------------------------------------------------------


def on_fetch_chunk(state: ReplicaState, turn: Turn, peer: Principal, ask: FetchChunk) -> None:
    """Note who wants which chunk."""
    known = state.peers.get(peer)
    if known is not None and len(known.wants_chunks) < 2 * IN_FLIGHT:
        known.wants_chunks[ask.sequence, ask.index] = None


def on_chunk(state: ReplicaState, turn: Turn, peer: Principal, chunk: Chunk) -> None:
    """Keep a chunk that its proof places under the certified root; whoever sends another is not
    asked again (ST1)."""
    transfer = state.transfer
    target = transfer.target
    if target is None or chunk.sequence != target.sequence or chunk.index in transfer.chunks:
        state.drops["chunk that was not asked for"] += 1
        return
    if not isinstance(peer, int) or peer not in state.peers.by_id:
        state.drops["chunk of no replica"] += 1
        return
    if not verify(target.digest, chunk.data, chunk.index, chunk.count, list(chunk.proof)):
        transfer.liars.add(peer)
        transfer.asked = {i: r for i, r in transfer.asked.items() if r != peer}
        state.drops["chunk that does not verify"] += 1
        return
    transfer.count = chunk.count
    transfer.chunks[chunk.index] = chunk.data
    transfer.asked.pop(chunk.index, None)
    transfer.progressed_at = transfer.ticks


# -- act --------------------------------------------------------------------------------------


def start(state: ReplicaState, turn: Turn) -> None:
    """Make the highest certified checkpoint the target, if it says more than we have."""
    certified = state.checkpoints.certified
    if behind(state):
        state.transfer = Transfer(target=certified)
        turn.event(TransferStarted(certified.sequence))


def behind(state: ReplicaState) -> bool:
    """Whether a certified checkpoint lies above what we executed, or contradicts it."""
    checkpoints = state.checkpoints
    ahead = checkpoints.certified.sequence > state.executed
    return ahead or checkpoints.diverged


def repair(state: ReplicaState, turn: Turn) -> bool:
    """Divergence is repaired at once (T54)."""
    if state.checkpoints.diverged and state.transfer.target is None:
        start(state, turn)
        return True
    return False


def ask(state: ReplicaState, turn: Turn) -> bool:
    """Keep a bounded number of chunks asked for, each of the next source in turn."""
    transfer = state.transfer
    if transfer.target is None:
        return False
    wanted = range(transfer.count) if transfer.count else range(1)
    for index in wanted:
        if len(transfer.asked) >= IN_FLIGHT:
            break
        if index not in transfer.chunks and index not in transfer.asked:
            source = _source(state, index)
            transfer.asked[index] = source
            turn.send((source,), FetchChunk(transfer.target.sequence, index))
    return False


def _source(state: ReplicaState, index: int) -> ReplicaId:
    transfer = state.transfer
    honest = [r for r in state.others if r not in transfer.liars] or list(state.others)
    return honest[(index + transfer.ticks) % len(honest)]


def tick(state: ReplicaState, turn: Turn) -> None:
    """Ask other sources for what did not arrive; follow a target that moved (ST3, ST4)."""
    transfer = state.transfer
    if transfer.target is None:
        return
    transfer.ticks += 1
    transfer.asked = {}
    fruitless = transfer.ticks - transfer.progressed_at >= PATIENCE_TICKS
    if fruitless and state.checkpoints.certified.sequence > transfer.target.sequence:
        start(state, turn)
    elif not transfer.count and not behind(state):
        state.transfer = Transfer()


def finish(state: ReplicaState, turn: Turn) -> bool:
    """All chunks verified: install, and stand on the checkpoint (T51, T52)."""
    transfer = state.transfer
    if transfer.target is None or not transfer.count or len(transfer.chunks) < transfer.count:
        return False
    target = transfer.target
    state.transfer = Transfer()
    if target.sequence <= state.executed and not state.checkpoints.diverged:
        return True
    image = b"".join(transfer.chunks[index] for index in range(transfer.count))
    _install(state, turn, target, image)
    return True


def _install(state: ReplicaState, turn: Turn, target: StableCheckpoint, image: bytes) -> None:
    try:
        execution.install(state, target.sequence, image)
    except Exception:  # q replicas certified it, so this is our service's fault; stay behind
        state.drops["certified snapshot that the service refuses"] += 1
        return
    own = checkpointing.own_checkpoint(target.sequence, image, state.config.chunk_bytes)
    checkpointing.adopt(state, turn, own, target)
    turn.event(Installed(target.sequence, target.digest))


def serve(state: ReplicaState, turn: Turn) -> bool:
    """Send the chunks that were asked for, within each peer's share; where the snapshot is gone,
    say which newer one there is (ST4, FL10)."""
    for replica, peer in state.peers.by_id.items():
        for sequence, index in list(peer.wants_chunks):
            if peer.spent >= state.config.answer_max_bytes:
                break
            del peer.wants_chunks[sequence, index]
            own = state.checkpoints.own.get(sequence)
            if own is not None and index < len(own.chunks):
                data, proof = own.chunks[index], tuple(own.tree.proof(index))
                peer.spent += len(data) + 32 * len(proof)
                turn.send((replica,), Chunk(sequence, index, len(own.chunks), data, proof))
            elif state.checkpoints.stable.sequence > sequence:
                peer.spent += sum(map(len, state.checkpoints.stable.proof))
                turn.send((replica,), StableProof(state.checkpoints.stable.proof))
    return False
