"""A second reading of §4.4: is this NEW-VIEW what its VIEW-CHANGEs give? Written from the paper,
from bytes, without the protocol's own ingress or choice, so that the two can disagree.
"""

from collections.abc import Iterable

from pbft.core.authentication import Authentication
from pbft.core.config import Configuration
from pbft.core.messages import (
    Certificate,
    Checkpoint,
    NewView,
    Prepare,
    PrePrepare,
    Signable,
    ViewChange,
)
from pbft.core.wire import NULL_DIGEST, decode_signed


class NewViewOracle:
    """Judges whole NEW-VIEW messages as they were accepted."""

    def __init__(self, config: Configuration, authentication: Authentication) -> None:
        self._config = config
        self.authentication = authentication

    def complaint(self, raw: bytes) -> str | None:
        """What is wrong with it, or none."""
        new_view = self._read(raw)
        if not isinstance(new_view, NewView):
            return "not a new view signed by its sender"
        if new_view.view % self._config.n != new_view.replica:
            return "not by the primary"
        changes = [self._read(each) for each in new_view.view_changes]
        valid = [c for c in changes if isinstance(c, ViewChange) and c.view == new_view.view]
        senders = {change.replica for change in valid}
        if len(valid) != len(changes) or len(senders) != len(changes):
            return "view changes that do not count"
        if len(senders) < self._config.quorum:
            return "fewer than a quorum of view changes"
        if not all(self._proven(change) for change in valid):
            return "a view change with an unproven claim"
        return self._judge_o(new_view, valid)

    def proves(self, raw: bytes) -> bool:
        """Whether a VIEW-CHANGE is signed by its sender and all that it claims is proven."""
        change = self._read(raw)
        return isinstance(change, ViewChange) and self._proven(change)

    def certifies(self, certificate: Certificate) -> bool:
        """Whether it takes a pre-prepare and q-1 prepares of distinct backups for it (T2, T15)."""
        return self._certified(certificate) is not None

    def supports(self, claim: Checkpoint, proof: Iterable[bytes]) -> bool:
        """Whether q distinct replicas signed what `claim` says, whoever it names."""
        votes = [vote for vote in map(self._read, proof) if isinstance(vote, Checkpoint)]
        about = (claim.sequence, claim.digest)
        signers = {vote.replica for vote in votes if (vote.sequence, vote.digest) == about}
        return len(signers) >= self._config.quorum

    def _judge_o(self, new_view: NewView, changes: list[ViewChange]) -> str | None:
        low = max(change.low_watermark for change in changes)
        held: dict[int, list[PrePrepare]] = {}
        for change in changes:
            for certificate in change.prepared:
                pp = self._read(certificate.pre_prepare)
                if isinstance(pp, PrePrepare) and pp.sequence > low:
                    held.setdefault(pp.sequence, []).append(pp)
        top = max(held, default=low)
        expected = []
        for sequence in range(low + 1, top + 1):
            candidates = held.get(sequence, [])
            digest = NULL_DIGEST
            if candidates:
                digest = max(candidates, key=lambda pp: pp.view).digest
            expected.append(PrePrepare(new_view.view, sequence, digest, new_view.replica))
        if [self._read(each) for each in new_view.pre_prepares] != expected:
            return "O is not what V gives"
        return None

    def _proven(self, change: ViewChange) -> bool:
        if not self._proves_checkpoint(change):
            return False
        numbers = []
        for certificate in change.prepared:
            pp = self._certified(certificate)
            if pp is None or pp.view >= change.view:
                return False
            if not 0 < pp.sequence - change.low_watermark <= self._config.window:
                return False
            numbers.append(pp.sequence)
        return len(set(numbers)) == len(numbers)

    def _proves_checkpoint(self, change: ViewChange) -> bool:
        if change.low_watermark == 0:
            return True
        votes = [self._read(raw) for raw in change.checkpoint_proof]
        matching: dict[bytes, set[int]] = {}
        for vote in votes:
            if isinstance(vote, Checkpoint) and vote.sequence == change.low_watermark:
                matching.setdefault(vote.digest, set()).add(vote.replica)
        return any(len(signers) >= self._config.quorum for signers in matching.values())

    def _certified(self, certificate: Certificate) -> PrePrepare | None:
        pp = self._read(certificate.pre_prepare)
        if not isinstance(pp, PrePrepare) or pp.replica != pp.view % self._config.n:
            return None
        backups = self._backups(certificate.prepares, pp)
        return pp if len(backups) >= self._config.quorum - 1 else None

    def _backups(self, raws: Iterable[bytes], pp: PrePrepare) -> set[int]:
        votes = [self._read(raw) for raw in raws]
        return {
            vote.replica
            for vote in votes
            if isinstance(vote, Prepare)
            and vote.replica != pp.replica
            and (vote.view, vote.sequence, vote.digest) == (pp.view, pp.sequence, pp.digest)
        }

    def _read(self, raw: bytes) -> Signable | None:
        message = decode_signed(raw)
        return message if self.authentication.authentic(message, raw) else None
