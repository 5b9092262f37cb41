"""What a new view must contain, computed from its view changes alone (OSDI'99 §4.4; T13, T17-T19).

Pure functions over proven view changes. The new primary builds O with `choose`; every backup
recomputes it with the same function from the VIEW-CHANGEs *inside* the NEW-VIEW and demands
equality. Bodies play no part: certificates name digests.
"""

from collections.abc import Sequence

from msgspec import Struct

from pbft.core.ids import Digest, SequenceNumber
from pbft.core.verified import ProvenNewView, ProvenViewChange, StableCheckpoint
from pbft.core.wire import NULL_DIGEST


class Choice(Struct, frozen=True):
    """min-s with its proof, and for each n in (min-s, max-s] the digest to propose again."""

    stable: StableCheckpoint
    digests: dict[SequenceNumber, Digest]

    @property
    def highest(self) -> SequenceNumber:
        """max(min-s, max-s)."""
        return max(self.digests, default=self.stable.sequence)


def choose(view_changes: Sequence[ProvenViewChange]) -> Choice:
    """min-s is the highest proven stable checkpoint (T18); each number above it, up to the highest
    prepared one, gets the digest prepared in the highest view (T13), or null (T19)."""
    stable = max((vc.stable for vc in view_changes), key=lambda s: (s.sequence, s.digest))
    best: dict[SequenceNumber, tuple[int, Digest]] = {}
    for view_change in view_changes:
        for sequence, proof in view_change.prepared.items():
            if sequence > stable.sequence:
                candidate = (proof.view, proof.digest)
                best[sequence] = max(best.get(sequence, candidate), candidate)
    digests = {
        sequence: best[sequence][1] if sequence in best else NULL_DIGEST
        for sequence in range(stable.sequence + 1, max(best, default=0) + 1)
    }
    return Choice(stable, digests)


def refusal(new_view: ProvenNewView) -> str | None:
    """Why this NEW-VIEW is not valid (T17 c-f), or none: O must be exactly what V gives."""
    expected = choose(new_view.view_changes).digests
    if len(new_view.pre_prepares) != len(expected):
        return "new view with too few or too many pre-prepares"
    view = new_view.signed.message.view
    pairs = zip(new_view.pre_prepares, expected.items(), strict=True)
    for pre_prepare, (sequence, digest) in pairs:
        pp = pre_prepare.message
        if (pp.view, pp.sequence, pp.digest) != (view, sequence, digest):
            return "new view with a pre-prepare that its view changes do not give"
    return None
