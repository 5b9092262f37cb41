"""Checkpoints, stability, watermarks, garbage collection (OSDI'99 §4.3; T29, T46, T52, T54)."""

from pbft.core.effects import BecameStable, Diverged, Evidence
from pbft.core.ids import Principal, SequenceNumber
from pbft.core.messages import Checkpoint, Signed
from pbft.core.records import Snapshotted, Stabilised
from pbft.core.state.checkpoints import BEYOND_PER_SENDER, OwnCheckpoint
from pbft.core.state.replica_state import ReplicaState
from pbft.core.state.sessions import encode_image
from pbft.core.turn import Turn
from pbft.core.verified import StableCheckpoint
from pbft.crypto.merkle import MerkleTree


def cut(image: bytes, chunk_bytes: int) -> list[bytes]:
    """A snapshot in chunks, the leaves of its Merkle tree; never none."""
    return [image[i : i + chunk_bytes] for i in range(0, len(image), chunk_bytes)] or [b""]


def own_checkpoint(sequence: SequenceNumber, image: bytes, chunk_bytes: int) -> OwnCheckpoint:
    """The snapshot of one sequence number under its root."""
    chunks = cut(image, chunk_bytes)
    return OwnCheckpoint(sequence, image, chunks, MerkleTree(chunks))


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
    """On executing n = 0 mod K: snapshot, and vote for its digest, in any mode (§4.3; T46)."""
    at, checkpoints = state.executed, state.checkpoints
    due = at > checkpoints.stable.sequence and at % state.config.checkpoint_interval == 0
    if not due or at in checkpoints.own or checkpoints.diverged:
        return False
    own = own_checkpoint(
        at,
        encode_image(state.sessions, state.service.snapshot()),
        state.config.chunk_bytes,
    )
    checkpoints.own[at] = own
    if not state.voting:
        return True
    vote = state.authentication.sign(Checkpoint(at, own.tree.root, state.me))
    checkpoints.cast[at] = vote
    checkpoints.votes.setdefault(at, {})[state.me] = vote
    turn.record(Snapshotted(at, own.tree.root, own.state))
    turn.broadcast(vote)
    return True


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
    certified, own = (
        checkpoints.certified,
        checkpoints.own.get(checkpoints.certified.sequence),
    )
    if certified.sequence <= checkpoints.stable.sequence or own is None:
        return False
    if own.tree.root != certified.digest:
        return _diverge(state, turn, own)
    _move(state, turn, certified)
    return True


def _diverge(state: ReplicaState, turn: Turn, own: OwnCheckpoint) -> bool:
    if state.checkpoints.diverged:
        return False
    state.checkpoints.diverged = True
    certified = state.checkpoints.certified
    turn.event(Diverged(certified.sequence, own.tree.root, certified.digest))
    return True


def _move(state: ReplicaState, turn: Turn, stable: StableCheckpoint) -> None:
    checkpoints = state.checkpoints
    keep_from = checkpoints.stable.sequence
    checkpoints.stable = stable
    _convict_liars(state, turn, stable)
    checkpoints.drop_below(stable.sequence, keep_from)
    state.log.truncate(stable.sequence)
    turn.record(Stabilised(stable.sequence, stable.proof))
    turn.event(BecameStable(stable.sequence, stable.digest))


def _convict_liars(state: ReplicaState, turn: Turn, stable: StableCheckpoint) -> None:
    """A vote against a stable checkpoint contradicts q others: noticed, if not transferable blame
    (a correct replica whose disk rots says the same in good faith; CP1)."""
    for vote in state.checkpoints.votes.get(stable.sequence, {}).values():
        if vote.message.digest != stable.digest:
            evidence = Evidence(
                "checkpoint against a quorum",
                vote.message.replica,
                (vote.raw, *stable.proof),
            )
            if state.keep_evidence(evidence):
                turn.blame(evidence)


def adopt(state: ReplicaState, turn: Turn, own: OwnCheckpoint, stable: StableCheckpoint) -> None:
    """Take over an installed snapshot as our own checkpoint and stand on it (T51, T52)."""
    checkpoints = state.checkpoints
    checkpoints.own = {own.sequence: own}
    checkpoints.cast = {s: vote for s, vote in checkpoints.cast.items() if s > own.sequence}
    checkpoints.diverged = False
    turn.record(Snapshotted(own.sequence, own.tree.root, own.state))
    if stable.sequence > checkpoints.stable.sequence:
        _move(state, turn, stable)
