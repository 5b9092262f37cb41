"""Fetching a state that q replicas certified (OSDI'99 §4.3, TOCS'02 §6.2; ST1-ST10).

A replica whose execution is behind a checkpoint that is stable elsewhere, or whose own state
contradicts it (T54), walks down the certified root and fetches the nodes that it has not, of all
others at once. Every node is verified against its parent's digest before it is kept, and a leaf is
durable once kept; nothing is installed before all are there. A target that moves costs what
changed, since nodes are known by their digests alone.
"""

from pbft.core.effects import Installed, TransferStarted
from pbft.core.errors import HaltError
from pbft.core.ids import Principal, ReplicaId, SequenceNumber
from pbft.core.messages import FetchNodes, Node, Nodes, Place, StableProof
from pbft.core.protocol import checkpointing, execution
from pbft.core.records import Leaf as LeafRecord
from pbft.core.records import Stabilised
from pbft.core.state.replica_state import ReplicaState
from pbft.core.state.transfer import Source, Transfer
from pbft.core.turn import Turn
from pbft.crypto.errors import TrieError
from pbft.crypto.graft import Graft, sound
from pbft.crypto.leaves import holds
from pbft.crypto.trie import Leaf, Path, Snapshot, decode_node, encode_node, node_digest

IN_FLIGHT = 32
"""The most nodes asked of one source and not yet received."""
WINDOW = 4
"""So many at first."""
PATIENCE_TICKS = 4
"""Ticks of silence after which a source is left, and without any node a newer target followed."""
STALE_TICKS = 30
"""Ticks after which, whatever a source gives, others are asked, and a newer target is followed."""
RESTING_TICKS = 16


# -- absorb ---------------------------------------------------------------------------------


def on_fetch_nodes(state: ReplicaState, turn: Turn, peer: Principal, ask: FetchNodes) -> None:
    """Note who wants which nodes."""
    known = state.peers.get(peer)
    if known is None:
        return
    for place in ask.places:
        if len(known.wants_nodes) < 2 * IN_FLIGHT:
            known.wants_nodes[place.path, place.digest] = None


def on_nodes(state: ReplicaState, turn: Turn, peer: Principal, answer: Nodes) -> None:
    """Keep the nodes that are wanted; whoever sends one that is not what it says is not asked
    again (ST1)."""
    transfer = state.transfer
    source = transfer.sources.get(peer) if isinstance(peer, int) else None
    if transfer.graft is None or source is None:
        state.drops["nodes that nobody asked for"] += 1
        return
    useful = False
    for node in answer.nodes:
        wanted = transfer.graft.wanted.get(node.path)
        if wanted is None or wanted == node.digest:
            source.asked.pop(node.path, None)
        if wanted != node.digest:  # of an earlier target, or another was faster
            state.drops["node that is not wanted"] += 1
        elif not _keep(state, turn, transfer.graft, node):
            source.lied = True
            transfer.todo.append(node.path)
            _give_up(transfer, source)
            state.drops["node that does not verify"] += 1
            return
        else:
            useful = True
    if useful:
        source.heard, source.resting = transfer.ticks, 0
        source.window = min(source.window + 1, IN_FLIGHT)


def _keep(state: ReplicaState, turn: Turn, graft: Graft, node: Node) -> bool:
    transfer = state.transfer
    try:
        known = decode_node(node.data, node.path, node.digest)
    except TrieError:
        return False
    transfer.known[node.digest] = known
    transfer.todo += graft.take(node.path, known)
    transfer.progressed_at = transfer.ticks
    if isinstance(known, Leaf):
        turn.record(LeafRecord(node.digest, known.data))
    return True


# -- act --------------------------------------------------------------------------------------


def start(state: ReplicaState, turn: Turn) -> None:
    """Make the highest certified checkpoint the target, if it says more than we have. A state that
    contradicts it is digested anew first: what it claims to be equal may not be (T54).
    Who lied before lies still."""
    target = state.checkpoints.certified
    if not behind(state):
        return
    at_hand = state.machine.tree.freeze()
    at_hand = sound(at_hand) if state.checkpoints.diverged else at_hand
    graft = Graft(target.digest, at_hand, state.transfer.known)
    ticks = state.transfer.ticks
    sources = state.transfer.sources or {replica: Source(WINDOW) for replica in state.others}
    for source in sources.values():
        source.asked, source.heard = {}, ticks
    state.transfer = Transfer(
        target, graft, state.transfer.known, list(graft.wanted), sources, ticks, ticks
    )
    turn.event(TransferStarted(target.sequence))


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
    """Keep a bounded number of nodes asked of each source, in bundles."""
    transfer = state.transfer
    if transfer.graft is None:
        return False
    for replica in _awake(transfer):
        source, places = transfer.sources[replica], list[Place]()
        room = source.window - len(source.asked)
        while 2 * room >= source.window and transfer.todo and len(places) < room:
            path = transfer.todo.pop()
            if path in transfer.graft.wanted:
                places.append(Place(path, transfer.graft.wanted[path]))
                source.asked[path] = transfer.ticks
        if places:
            turn.send((replica,), FetchNodes(tuple(places)))
    return False


def _awake(transfer: Transfer) -> list[ReplicaId]:
    """Who may be asked now, another one first at every tick."""
    honest = [r for r, source in transfer.sources.items() if not source.lied]
    honest = honest or list(transfer.sources)
    ready = [r for r in honest if transfer.sources[r].resting <= transfer.ticks] or honest
    first = transfer.ticks % len(ready)
    return ready[first:] + ready[:first]


def _give_up(transfer: Transfer, source: Source) -> None:
    """What was asked of `source` is asked of others."""
    transfer.todo += source.asked
    source.asked.clear()
    source.window = max(1, source.window // 2)


def tick(state: ReplicaState, turn: Turn) -> None:
    """Ask others for what did not arrive; follow a target that moved (ST3, ST4)."""
    transfer = state.transfer
    if transfer.target is None:
        return
    if not behind(state):
        _release(state, turn)
        return
    transfer.ticks += 1
    for source in transfer.sources.values():
        oldest = min(source.asked.values(), default=transfer.ticks)
        if max(oldest, source.heard) + PATIENCE_TICKS <= transfer.ticks:
            _give_up(transfer, source)
            source.resting = transfer.ticks + RESTING_TICKS
        elif oldest + STALE_TICKS <= transfer.ticks:
            _give_up(transfer, source)
    fruitless = transfer.ticks - transfer.progressed_at >= PATIENCE_TICKS
    fruitless |= not transfer.ticks % STALE_TICKS  # what trickles in may be all that is left of it
    if fruitless and state.checkpoints.certified.sequence > transfer.target.sequence:
        start(state, turn)


def finish(state: ReplicaState, turn: Turn) -> bool:
    """All nodes verified: install, and stand on the checkpoint (T51, T52). Raises `HaltError`."""
    target, graft = state.transfer.target, state.transfer.graft
    if target is None or graft is None or graft.wanted:
        return False
    snapshot = graft.snapshot()
    state.transfer = Transfer(known=state.transfer.known)
    if behind(state):
        _install(state, target.sequence, snapshot)
        checkpointing.adopt(state, turn, target, snapshot)
        turn.event(Installed(target.sequence, target.digest))
    _release(state, turn)
    return True


def _install(state: ReplicaState, sequence: SequenceNumber, snapshot: Snapshot) -> None:
    """Raises `HaltError` where the service refuses what q replicas certified: it has other code
    than they have, and would refuse the same state as often as it is fetched."""
    try:
        execution.install(state, sequence, snapshot)
    except HaltError:
        raise
    except Exception as error:  # whatever the service raises
        raise HaltError(
            "the service of this replica cannot go on from the state that the others have"
            f" ({type(error).__name__}: {error}): start it again with the code that they run"
        ) from error


def _release(state: ReplicaState, turn: Turn) -> None:
    """Let go of what was fetched, on the disk too where no snapshot of ours has it that is there:
    the one before the stable one is not."""
    stable, known = state.checkpoints.stable, state.transfer.known
    if not stable.sequence:
        return
    held = [own.snapshot for s, own in state.checkpoints.own.items() if s >= stable.sequence]
    loose = [d for d, node in known.items() if isinstance(node, Leaf) and not _any(held, node)]
    state.transfer = Transfer()
    if loose:
        kept = tuple(state.checkpoints.abandoned.items())
        turn.record(Stabilised(stable.sequence, stable.proof, dropped=tuple(loose), abandoned=kept))


def _any(snapshots: list[Snapshot], leaf: Leaf) -> bool:
    """Whether one of them has this very leaf."""
    return any(holds(snapshot, leaf) for snapshot in snapshots)


def serve(state: ReplicaState, turn: Turn) -> bool:
    """Send the nodes that were asked for, within each peer's share of the interval; where they are
    gone, say which newer checkpoint there is (ST4, FL10)."""
    for replica, peer in state.peers.by_id.items():
        bundle: list[Node] = []
        size, gone = 0, False
        while peer.wants_nodes and peer.served < state.config.transfer_max_bytes:
            path, digest = next(iter(peer.wants_nodes))
            del peer.wants_nodes[path, digest]
            data = _find(state, path, digest)
            if data is None:
                gone = True
                continue
            peer.served += len(data)
            if bundle and size + len(data) > state.config.chunk_bytes:
                turn.send((replica,), Nodes(tuple(bundle)))
                bundle, size = [], 0
            bundle.append(Node(path, digest, data))
            size += len(data)
        if bundle:
            turn.send((replica,), Nodes(tuple(bundle)))
        if gone and peer.served < state.config.transfer_max_bytes:
            peer.served += sum(map(len, state.checkpoints.stable.proof))
            turn.send((replica,), StableProof(state.checkpoints.stable.proof))
    return False


def _find(state: ReplicaState, path: Path, digest: bytes) -> bytes | None:
    """The node, from whichever of our checkpoints has it there."""
    for own in reversed(state.checkpoints.own.values()):
        node = own.snapshot.node(path)
        if node is not None and node_digest(node) == digest:
            return encode_node(node)
    return None
