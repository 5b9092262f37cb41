"""A proof stands behind every watermark and every decision (T29, T17): looked at after each turn in
which one moved, with checks that are not the core's own.
"""

from pbft.core.effects import Effects, Executed
from pbft.core.ids import Digest, ReplicaId, SequenceNumber
from pbft.core.messages import Checkpoint, Commit, PrePrepare
from pbft.core.state.replica_state import ReplicaState
from pbft.core.wire import decode_signed
from pbft.testing.host import Host
from pbft.testing.inside import state_of
from pbft.testing.observers import Observer


class Proofs(Observer):
    """Complains of a low watermark without q signed CHECKPOINTs, and of a decision without q
    signed COMMITs of one view."""

    def __init__(self) -> None:
        self._seen: dict[ReplicaId, SequenceNumber] = {}
        self._decided: set[tuple[ReplicaId, SequenceNumber, Digest]] = set()

    def turned(self, now: int, host: Host, effects: Effects) -> None:
        state = state_of(host) if host.correct else None
        if state is None:
            return
        low = state.log.low_watermark
        if low != self._seen.get(host.number, 0):
            self._seen[host.number] = low
            if low and not self._stable(state, low):
                text = f"replica {host.number} has the low watermark {low} without a proof of it"
                self.complain(f"proofs: {text}")
        for sequence in [e.sequence for e in effects.events if isinstance(e, Executed)]:
            if not self._proven(host.number, state, sequence):
                text = f"replica {host.number} executed {sequence} without q COMMITs for it"
                self.complain(f"proofs: {text}")

    def _stable(self, state: ReplicaState, low: SequenceNumber) -> bool:
        stable = state.checkpoints.stable
        signers = set()
        for raw in stable.proof:
            vote = decode_signed(raw)
            genuine = isinstance(vote, Checkpoint) and state.authentication.authentic(vote, raw)
            if genuine and isinstance(vote, Checkpoint):
                matches = (vote.sequence, vote.digest) == (stable.sequence, stable.digest)
                signers |= {vote.replica} if matches else set()
        return stable.sequence >= low and len(signers) >= _quorum(state)

    def _proven(self, replica: ReplicaId, state: ReplicaState, sequence: SequenceNumber) -> bool:
        slot = state.log.slots.get(sequence)
        if slot is None or slot.decision is None:
            return sequence <= state.log.low_watermark
        pp = slot.decision.pre_prepare.message
        key = (replica, sequence, pp.digest)
        if key in self._decided:
            return True
        signers = set()
        for raw in slot.decision.commits:
            vote = decode_signed(raw)
            if isinstance(vote, Commit) and state.authentication.authentic(vote, raw):
                same = (vote.view, vote.sequence, vote.digest) == (pp.view, sequence, pp.digest)
                signers |= {vote.replica} if same else set()
        self._decided.add(key)
        return len(signers) >= _quorum(state) and isinstance(pp, PrePrepare)


def _quorum(state: ReplicaState) -> int:
    """ceil((n+f+1)/2), worked out here once more (T1)."""
    n = state.config.n
    f = (n - 1) // 3
    return -(-(n + f + 1) // 2)
