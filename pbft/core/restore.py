"""A replica's state from its durable records, before its first turn (T33, T34).

The records are read in the order in which they were written; each is verified as if it came from
the network. Afterwards the replica is in the view and mode it was in, holds what it accepted and
prepared, and so casts the same votes again and no others: signatures are deterministic.
"""

from collections.abc import Sequence

from pbft.core.errors import DecodeError, RecordError
from pbft.core.ingress import DropError, Ingress
from pbft.core.messages import NewView, Prepare, ViewChange
from pbft.core.protocol import execution, view_change
from pbft.core.records import (
    Accepted,
    Acknowledged,
    AnyRecord,
    Leaf,
    Places,
    Prepared,
    Settled,
    Snapshotted,
    Stabilised,
    ViewChanged,
    ViewEntered,
)
from pbft.core.state.checkpoints import OwnCheckpoint
from pbft.core.state.recovery import Recovery, recall
from pbft.core.state.replica_state import ReplicaState
from pbft.crypto.errors import TrieError
from pbft.crypto.leaves import exchange, from_leaves, known_leaves
from pbft.crypto.trie import Trie


def restore(state: ReplicaState, ingress: Ingress, records: Sequence[AnyRecord]) -> None:
    """Replay `records` into a new state. Raises `RecordError`, and then nothing may be started."""
    memory = recall(records, state.me)
    state.recovery = Recovery(memory, recovering=memory.recovering)
    try:
        _restore_checkpoint(state, ingress, records)
        for record in records:
            _apply(state, ingress, record)
    except (DropError, DecodeError) as error:
        raise RecordError(f"a record of this replica does not verify: {error}") from None
    state.views.progressed = state.views.view  # the back-off is of this life alone (T25)
    state.log.truncate(state.checkpoints.stable.sequence)


def _restore_checkpoint(
    state: ReplicaState, ingress: Ingress, records: Sequence[AnyRecord]
) -> None:
    """The newest proof is where the log begins, and its tree is stored; the newest own snapshot
    is where execution continues."""
    proofs = [r for r in records if isinstance(r, Stabilised)]
    if proofs:
        newest = max(proofs, key=lambda proof: proof.sequence)
        state.checkpoints.abandoned = dict(newest.abandoned)
        if newest.sequence:
            stable = ingress.stable(newest.proof)
            state.checkpoints.stable = state.checkpoints.certified = stable
    leaves = {record.digest: record.data for record in records if isinstance(record, Leaf)}
    places = tuple((r.path, r.digest) for r in records if isinstance(r, Settled))
    later = sorted((r for r in records if isinstance(r, Snapshotted)), key=lambda r: r.sequence)
    try:
        _restore_trees(state, leaves, places, later)
    except (TrieError, KeyError):
        _lose_trees(state, places, later)
    used = {digest for each in (places, *(r.placed for r in later)) for _, digest in each}
    if state.checkpoints.diverged:
        used = set()
    state.transfer.known.update(known_leaves((d, leaves[d]) for d in leaves.keys() - used))
    if state.checkpoints.own:
        last = max(state.checkpoints.own)
        execution.install(state, last, state.checkpoints.own[last].snapshot)


def _restore_trees(
    state: ReplicaState, leaves: dict[bytes, bytes], places: Places, later: list[Snapshotted]
) -> None:
    """The stable tree, and each later snapshot from the one before it; all under their roots.
    Raises `TrieError` or `KeyError` where a leaf is damaged or missing."""
    stable, own = state.checkpoints.stable, state.checkpoints.own
    snapshot = from_leaves([(path, leaves[digest]) for path, digest in places])
    if stable.sequence or places:
        if snapshot.digest != stable.digest:
            raise TrieError("a stable tree that nobody certified")
        own[stable.sequence] = OwnCheckpoint(stable.sequence, snapshot)
    tree = Trie(snapshot)
    for record in later:
        placed = [(path, leaves[digest]) for path, digest in record.placed]
        exchange(tree, [path for path, _ in record.removed], placed)
        snapshot = tree.freeze()
        if snapshot.digest != record.root:
            raise TrieError("a snapshot that is not what we recorded")
        step = (record.placed, record.removed)
        own[record.sequence] = OwnCheckpoint(record.sequence, snapshot, *step)


def _lose_trees(state: ReplicaState, places: Places, later: list[Snapshotted]) -> None:
    """The stored state is damaged. Votes and certificates are not: the replica goes on with them,
    and fetches what it needs of a certified state (T54)."""
    checkpoints = state.checkpoints
    checkpoints.own.clear()
    checkpoints.diverged = True
    checkpoints.lost = places + tuple(place for record in later for place in record.placed)
    checkpoints.lost_until = max((record.sequence for record in later), default=0)
    checkpoints.abandoned = {r.sequence: r.root for r in later} | checkpoints.abandoned


def _apply(state: ReplicaState, ingress: Ingress, record: AnyRecord) -> None:
    match record:
        case ViewChanged():
            _view_changed(state, ingress, record)
        case ViewEntered():
            new_view = ingress.signed(record.new_view, NewView)
            proven = ingress.new_view(new_view.message, new_view.raw)
            if proven.signed.message.view >= state.views.view:
                view_change.stand_in(state, proven)
        case Accepted():
            _accepted(state, ingress, record)
        case Prepared():
            _prepared(state, ingress, record)
        case Acknowledged(sequence):
            state.acknowledged = max(state.acknowledged, sequence)
        case _:
            pass


def _view_changed(state: ReplicaState, ingress: Ingress, record: ViewChanged) -> None:
    signed = ingress.signed(record.view_change, ViewChange)
    state.views.view = signed.message.view
    state.views.active = False
    state.views.accepted = None
    proven = ingress.view_change(signed.message, signed.raw)
    state.views.view_changes[state.me] = proven


def _accepted(state: ReplicaState, ingress: Ingress, record: Accepted) -> None:
    pp = ingress.pre_prepare(record.pre_prepare)
    body = ingress.stored_body(record.batch, record.large)
    sequence = pp.message.sequence
    if sequence <= state.checkpoints.stable.sequence:
        return
    state.log.keep_body(body, sequence)
    if state.views.active and pp.message.view == state.views.view:
        slot = state.log.slot(sequence)
        slot.pre_prepare = pp
        slot.voted = pp.message.replica == state.me
        if slot.voted:
            state.log.next_sequence = max(state.log.next_sequence, sequence + 1)


def _prepared(state: ReplicaState, ingress: Ingress, record: Prepared) -> None:
    proof = ingress.prepared(record.certificate)
    if proof.sequence <= state.checkpoints.stable.sequence:
        return
    slot = state.log.slot(proof.sequence)
    if slot.prepared is None or slot.prepared.view <= proof.view:
        slot.prepared = proof
    if state.views.active and proof.view == state.views.view:
        for raw in record.certificate.prepares:
            vote = ingress.signed(raw, Prepare)
            slot.prepares[vote.message.replica] = vote
