"""Checkpoints, stability, watermarks, garbage collection (OSDI'99 §4.3; T29, T46, T52, T54)."""

from collections.abc import Sequence

from pbft.core.effects import BecameStable, Damaged, Diverged, Evidence
from pbft.core.ids import Digest, Principal, SequenceNumber
from pbft.core.messages import Checkpoint, Signed
from pbft.core.protocol import execution
from pbft.core.records import Leaf as LeafRecord
from pbft.core.records import Settled, Snapshotted, Stabilised
from pbft.core.state.checkpoints import BEYOND_PER_SENDER, Checkpoints, OwnCheckpoint
from pbft.core.state.replica_state import ReplicaState
from pbft.core.turn import Turn
from pbft.core.verified import StableCheckpoint
from pbft.crypto.trie import Leaf, Path, Snapshot, leaf_digest, node_digest

SCRUBBED_LEAVES = 128
"""Digested again at each checkpoint, in rotation, whether or not anybody touched them."""


# -- absorb ---------------------------------------------------------------------------------


def on_checkpoint(
    state: ReplicaState, turn: Turn, peer: Principal, vote: Signed[Checkpoint]
) -> None:
    """Keep the first vote of each replica per sequence number, bounded above the window (CP9)."""
    message, checkpoints = vote.message, state.checkpoints
    if message.sequence <= state.log.low_watermark:
        state.drops["checkpoint below the low watermark"] += 1
        return
    if message.sequence % state.config.checkpoint_interval:
        state.drops["checkpoint off the interval"] += 1
        return
    votes = checkpoints.votes.setdefault(message.sequence, {})
    first = votes.setdefault(message.replica, vote)
    if first.message.digest != message.digest:
        evidence = Evidence("conflicting checkpoints", message.replica, (first.raw, vote.raw))
        if state.keep_evidence(evidence):
            turn.blame(evidence)
    limit = state.log.low_watermark + 2 * state.config.window
    beyond = checkpoints.count_beyond(message.replica, limit)
    for sequence in beyond[:-BEYOND_PER_SENDER]:
        checkpoints.withdraw(sequence, message.replica)


def on_stable(state: ReplicaState, turn: Turn, peer: Principal, stable: StableCheckpoint) -> None:
    """Learn of a checkpoint that is stable somewhere."""
    if stable.sequence > state.checkpoints.certified.sequence:
        state.checkpoints.certified = stable


# -- act --------------------------------------------------------------------------------------


def take(state: ReplicaState, turn: Turn) -> bool:
    """On executing n = 0 mod K: snapshot, in any mode (§4.3; T46)."""
    at, checkpoints = state.executed, state.checkpoints
    due = at > checkpoints.stable.sequence and at % state.config.checkpoint_interval == 0
    if not due or at in checkpoints.own or checkpoints.diverged:
        return False
    snapshot = execution.freeze(state)
    if _damaged(state, turn, snapshot):
        return True
    own = checkpoints.own[at] = _step(checkpoints, turn, at, snapshot)
    turn.record(Snapshotted(at, own.root, own.placed, own.removed))
    return True


def cast(state: ReplicaState, turn: Turn) -> bool:
    """Vote for what we hold above the stable checkpoint. Who recovers does so too: the content of
    a CHECKPOINT is not its choice (T35)."""
    checkpoints, acted = state.checkpoints, False
    if checkpoints.diverged or not (state.voting or state.recovery.recovering):
        return False
    for at, own in checkpoints.own.items():
        new = at > checkpoints.stable.sequence and at not in checkpoints.cast
        if new and checkpoints.abandoned.get(at, own.root) == own.root:
            vote = state.authentication.sign(Checkpoint(at, own.root, state.me))
            checkpoints.cast[at] = vote
            checkpoints.votes.setdefault(at, {})[state.me] = vote
            turn.broadcast(vote)
            acted = True
    return acted


def _damaged(state: ReplicaState, turn: Turn, snapshot: Snapshot) -> bool:
    """Whether a part of the state is no longer what it was digested as (T54)."""
    checkpoints = state.checkpoints
    checkpoints.scrubbed, found = snapshot.scrub(checkpoints.scrubbed, SCRUBBED_LEAVES)
    if found:
        checkpoints.diverged = True
        turn.event(Damaged(state.executed, len(found)))
    return bool(found)


def mend(state: ReplicaState, turn: Turn, leaves: Sequence[Digest], places: Sequence[Path]) -> None:
    """Parts of the state have rotted on the disk: say once more what they are. Where a leaf is not
    sound in memory either, it is fetched like after any damage (T54)."""
    checkpoints, lost, damaged = state.checkpoints, set(leaves), 0
    kept = {s: own.snapshot for s, own in checkpoints.own.items()}
    stable = checkpoints.stable.sequence
    for snapshot in [kept[s] for s in kept if s >= stable] if lost else ():
        for _, leaf in snapshot.leaves():
            digest = node_digest(leaf)
            if digest in lost:
                lost.remove(digest)
                if leaf_digest(leaf.data) == digest:
                    turn.record(LeafRecord(digest, leaf.data))
                else:
                    damaged += 1
    for path in places if stable in kept else ():
        node = kept[stable].node(path)
        if isinstance(node, Leaf):
            turn.record(Settled(path, node_digest(node)))
    if damaged:
        checkpoints.diverged = True
        turn.event(Damaged(state.executed, damaged))


def _step(
    checkpoints: Checkpoints, turn: Turn, sequence: SequenceNumber, snapshot: Snapshot
) -> OwnCheckpoint:
    """The snapshot after our newest, and on record whatever leaves it has that this one has not."""
    found = snapshot.difference(checkpoints.newest)
    for _, leaf in found.placed:
        turn.record(LeafRecord(node_digest(leaf), leaf.data))
    placed, removed = (tuple([(p, node_digest(leaf)) for p, leaf in each]) for each in found)
    return OwnCheckpoint(sequence, snapshot, placed, removed)


def certify(state: ReplicaState, turn: Turn) -> bool:
    """q matching votes make a proof (T29): tallied by (n, digest), whoever is in which view."""
    checkpoints, q = state.checkpoints, state.config.quorum
    for sequence in sorted(checkpoints.votes, reverse=True):
        if sequence <= checkpoints.certified.sequence:
            return False
        by_digest: dict[bytes, list[Signed[Checkpoint]]] = {}
        for vote in checkpoints.votes[sequence].values():
            by_digest.setdefault(vote.message.digest, []).append(vote)
        for digest, votes in by_digest.items():
            if len(votes) >= q:
                proof = tuple(vote.raw for vote in votes[:q])
                checkpoints.certified = StableCheckpoint(sequence, digest, proof)
                return True
    return False


def stabilise(state: ReplicaState, turn: Turn) -> bool:
    """Where we hold the certified state ourselves, the low watermark moves to it (§4.3)."""
    checkpoints = state.checkpoints
    certified = checkpoints.certified
    own = checkpoints.own.get(certified.sequence)
    if certified.sequence <= checkpoints.stable.sequence or own is None:
        return False
    if own.root != certified.digest:
        return _diverge(state, turn, own)
    ours = [each for s, each in sorted(checkpoints.own.items()) if s > checkpoints.stable.sequence]
    steps = [each for each in ours if each.sequence <= certified.sequence]
    turn.record(_folded(checkpoints, certified, steps, ours[len(steps) :]))
    _move(state, turn, certified)
    return True


def _folded(
    checkpoints: Checkpoints,
    stable: StableCheckpoint,
    steps: list[OwnCheckpoint],
    later: list[OwnCheckpoint],
) -> Stabilised:
    """`steps` lead from the stable tree before to the one at `stable`. A leaf goes once neither
    that one nor a later snapshot has it (T52)."""
    rows: dict[bytes, bytes | None] = {}
    dropped: set[bytes] = set()
    for step in steps:
        rows.update((path, None) for path, _ in step.removed)
        rows.update(step.placed)
        dropped.update(digest for _, digest in step.removed)
        dropped.difference_update(digest for _, digest in step.placed)
    for step in later:
        dropped.difference_update(digest for _, digest in step.placed)
    return Stabilised(
        stable.sequence,
        stable.proof,
        tuple([(path, digest) for path, digest in rows.items() if digest is not None]),
        tuple([path for path, digest in rows.items() if digest is None]),
        tuple(sorted(dropped)),
        max(step.sequence for step in steps),
        tuple([each for each in checkpoints.abandoned.items() if each[0] > stable.sequence]),
    )


def _diverge(state: ReplicaState, turn: Turn, own: OwnCheckpoint) -> bool:
    if state.checkpoints.diverged:
        return False
    state.checkpoints.diverged = True
    certified = state.checkpoints.certified
    turn.event(Diverged(certified.sequence, own.root, certified.digest))
    return True


def _move(state: ReplicaState, turn: Turn, stable: StableCheckpoint) -> None:
    checkpoints = state.checkpoints
    keep_from = checkpoints.stable.sequence
    checkpoints.stable = stable
    _convict_liars(state, turn, stable)
    checkpoints.drop_below(stable.sequence, keep_from)
    state.log.truncate(stable.sequence)
    turn.event(BecameStable(stable.sequence, stable.digest))


def _convict_liars(state: ReplicaState, turn: Turn, stable: StableCheckpoint) -> None:
    """A vote against a stable checkpoint contradicts q others: noticed, if not transferable blame
    (a correct replica whose disk rots says the same in good faith; CP1)."""
    for vote in state.checkpoints.votes.get(stable.sequence, {}).values():
        if vote.message.digest != stable.digest:
            said = (vote.raw, *stable.proof)
            evidence = Evidence("checkpoint against a quorum", vote.message.replica, said)
            if state.keep_evidence(evidence):
                turn.blame(evidence)


def adopt(state: ReplicaState, turn: Turn, stable: StableCheckpoint, snapshot: Snapshot) -> None:
    """Take over an installed snapshot as our own checkpoint and stand on it (T51, T52), whatever
    ours said since the last stable one."""
    checkpoints = state.checkpoints
    steps = [each for s, each in sorted(checkpoints.own.items()) if s > checkpoints.stable.sequence]
    checkpoints.abandoned = {s.sequence: s.root for s in steps} | checkpoints.abandoned
    if checkpoints.lost:
        steps = [OwnCheckpoint(checkpoints.lost_until, Snapshot(None), (), checkpoints.lost)]
        checkpoints.lost, checkpoints.lost_until = (), 0
    own = _step(checkpoints, turn, stable.sequence, snapshot)
    turn.record(_folded(checkpoints, stable, [*steps, own], []))
    checkpoints.own = {own.sequence: own}
    checkpoints.diverged = False
    if stable.sequence > checkpoints.stable.sequence:
        _move(state, turn, stable)
