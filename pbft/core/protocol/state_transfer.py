"""Fetching a snapshot that q replicas certified (OSDI'99 §4.3, TOCS'02 §6; ST1-ST10).

A replica whose execution is behind a checkpoint that is stable elsewhere, or whose own state
contradicts it (T54), fetches the nodes in which that checkpoint's tree differs from its own, from
all others in turn. Every node is verified against its parent's digest, the first against the
certified root, before it is kept; nothing is installed before all are there. A node goes by the
number that its path is.
"""

from pbft.core.effects import Installed, TransferStarted
from pbft.core.ids import Principal, ReplicaId
from pbft.core.messages import Chunk, FetchChunk, StableProof
from pbft.core.protocol import checkpointing, execution
from pbft.core.state.replica_state import ReplicaState
from pbft.core.state.transfer import Transfer
from pbft.core.turn import Turn
from pbft.core.verified import StableCheckpoint
from pbft.crypto.errors import TrieError
from pbft.crypto.graft import Graft
from pbft.crypto.trie import Path, decode_node, encode_node

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
    """Keep a wanted node that is what its parent says; whoever sends another is not asked again
    (ST1)."""
    transfer = state.transfer
    target, graft, path = transfer.target, transfer.graft, _path(chunk.index)
    if target is None or graft is None or path not in graft.wanted:
        state.drops["chunk that was not asked for"] += 1
        return
    if not isinstance(peer, int) or peer not in state.peers.by_id:
        state.drops["chunk of no replica"] += 1
        return
    try:
        graft.take(path, decode_node(chunk.data, path, graft.wanted[path]))
    except TrieError:
        transfer.liars.add(peer)
        transfer.asked = {at: r for at, r in transfer.asked.items() if r != peer}
        state.drops["chunk that does not verify"] += 1
        return
    transfer.asked.pop(path, None)
    transfer.progressed_at = transfer.ticks


# -- act --------------------------------------------------------------------------------------


def start(state: ReplicaState, turn: Turn) -> None:
    """Make the highest certified checkpoint the target, if it says more than we have. What
    contradicts it is digested anew first: it may claim to be what it no longer is (T54)."""
    certified = state.checkpoints.certified
    if behind(state):
        own = state.machine.tree.freeze()
        if state.checkpoints.diverged:
            own.scrub(None, len(own))
        state.transfer = Transfer(certified, Graft(certified.digest, own, {}))
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
    if transfer.target is None or transfer.graft is None:
        return False
    for path in transfer.graft.wanted:
        if len(transfer.asked) >= IN_FLIGHT:
            break
        if path not in transfer.asked:
            source = _source(state, sum(path))
            transfer.asked[path] = source
            turn.send((source,), FetchChunk(transfer.target.sequence, _index(path)))
    return False


def _source(state: ReplicaState, turn: int) -> ReplicaId:
    transfer = state.transfer
    honest = [r for r in state.others if r not in transfer.liars] or list(state.others)
    return honest[(turn + transfer.ticks) % len(honest)]


def _index(path: Path) -> int:
    return int("1" + path.hex()[1::2], 16)


def _path(index: int) -> Path:
    return bytes(int(nibble, 16) for nibble in f"{index:x}"[1:])


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
    elif not behind(state):
        state.transfer = Transfer()


def finish(state: ReplicaState, turn: Turn) -> bool:
    """All nodes verified: install, and stand on the checkpoint (T51, T52)."""
    target, graft = state.transfer.target, state.transfer.graft
    if target is None or graft is None or graft.wanted:
        return False
    state.transfer = Transfer()
    if target.sequence > state.executed or state.checkpoints.diverged:
        _install(state, turn, target, graft)
    return True


def _install(state: ReplicaState, turn: Turn, target: StableCheckpoint, graft: Graft) -> None:
    try:
        snapshot = graft.snapshot()
        execution.install(state, target.sequence, snapshot)
    except Exception:  # q replicas certified it, so this is our service's fault; stay behind
        state.drops["certified snapshot that the service refuses"] += 1
        return
    checkpointing.adopt(state, turn, target, snapshot)
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
            node = None if own is None else own.snapshot.node(_path(index))
            if node is not None:
                data = encode_node(node)
                peer.spent += len(data)
                turn.send((replica,), Chunk(sequence, index, 0, data, ()))
            elif state.checkpoints.stable.sequence > sequence:
                peer.spent += sum(map(len, state.checkpoints.stable.proof))
                turn.send((replica,), StableProof(state.checkpoints.stable.proof))
    return False
