"""The message log between the watermarks (OSDI'99 §4.2): slots, votes, bodies, early messages.

A slot holds what the *current* view says about one sequence number, and beside it what outlives
views: the prepared certificate of the highest view (P of a view change, T14) and the decision.
One vote per signer, view and number is kept, the first: a later different one is evidence, never
counted (T3, T4).
"""

from dataclasses import dataclass, field

from pbft.core.ids import Digest, ReplicaId, SequenceNumber, View
from pbft.core.messages import Commit, Prepare, PrePrepare, Request, Signed
from pbft.core.verified import NULL_BODY, Body, PreparedProof, Proposed

EarlyMessage = Proposed | Signed[Prepare] | Signed[Commit]


@dataclass(slots=True)
class DecisionProof:
    """PRE-PREPARE and q COMMITs: what a laggard is convinced with."""

    pre_prepare: Signed[PrePrepare]
    commits: tuple[bytes, ...]


@dataclass(slots=True)
class Slot:
    """One sequence number. `voted`/`committed`: our PREPARE (or, as primary, PRE-PREPARE) and our
    COMMIT for the current view have been cast."""

    sequence: SequenceNumber
    pre_prepare: Signed[PrePrepare] | None = None
    prepares: dict[ReplicaId, Signed[Prepare]] = field(default_factory=dict)
    commits: dict[ReplicaId, Signed[Commit]] = field(default_factory=dict)
    voted: bool = False
    committed: bool = False
    prepared: PreparedProof | None = None
    decision: DecisionProof | None = None

    @property
    def digests(self) -> list[Digest]:
        """What the slot was told to hold, by its pre-prepare and by its decision."""
        chosen = (self.pre_prepare, self.decision.pre_prepare if self.decision else None)
        return [pp.message.digest for pp in chosen if pp is not None]

    def matching_prepares(self, digest: Digest) -> list[Signed[Prepare]]:
        """The prepares of the current view for `digest`."""
        return [vote for vote in self.prepares.values() if vote.message.digest == digest]

    def matching_commits(self, digest: Digest) -> list[Signed[Commit]]:
        """The commits of the current view for `digest`."""
        return [vote for vote in self.commits.values() if vote.message.digest == digest]


@dataclass(slots=True)
class Early:
    """Messages of later views from one sender, bounded in bytes: when full, the newest drop."""

    by_view: dict[View, list[tuple[int, EarlyMessage]]] = field(default_factory=dict)
    """(size, message) by the view that it waits for."""
    bytes: int = 0

    def take(self, view: View) -> list[EarlyMessage]:
        """What waited for `view`, in order of arrival; the room it took is free again."""
        entries = self.by_view.pop(view, [])
        self.bytes -= sum(size for size, _ in entries)
        return [message for _, message in entries]


@dataclass(slots=True)
class Log:
    """Invariant: every slot's sequence number is above `low_watermark`."""

    low_watermark: SequenceNumber = 0
    next_sequence: SequenceNumber = 1
    """What we would assign next as primary of the current view (T21)."""
    slots: dict[SequenceNumber, Slot] = field(default_factory=dict)
    bodies: dict[Digest, Body] = field(default_factory=lambda: {NULL_BODY.digest: NULL_BODY})
    body_at: dict[Digest, SequenceNumber] = field(default_factory=dict)
    """The highest sequence number that each body was kept for (T20)."""
    partial: dict[Digest, Body] = field(default_factory=dict)
    """Batches that name large requests which are not all here."""
    large: dict[Digest, Signed[Request]] = field(default_factory=dict)
    """Large requests that bodies are made of, or that partial ones have got so far."""
    missing: dict[Digest, int] = field(default_factory=dict)
    """Digests chosen or decided here whose bodies we lack, and of requests named in them; for how
    many steps of fetching. Asked for at nought, and once in each interval after that."""
    touched: dict[SequenceNumber, None] = field(default_factory=dict)
    """Slots that changed since the rules last looked at them."""
    early: dict[ReplicaId, Early] = field(default_factory=dict)

    def slot(self, sequence: SequenceNumber) -> Slot:
        """The slot of `sequence`, made when it is first spoken of."""
        slot = self.slots.get(sequence)
        if slot is None:
            slot = self.slots[sequence] = Slot(sequence)
        return slot

    def keep_body(self, body: Body, sequence: SequenceNumber) -> None:
        """Keep `body` at least until `sequence` is at or below the low watermark."""
        if body.references:
            self.partial[body.digest] = body
        else:
            self.partial.pop(body.digest, None)
            self.bodies[body.digest] = body
            self.large.update(body.large)
        self.body_at[body.digest] = max(sequence, self.body_at.get(body.digest, 0))
        self.missing.pop(body.digest, None)

    def keep_early(
        self, sender: ReplicaId, view: View, message: EarlyMessage, size: int, limit: int
    ) -> bool:
        """Store a message of a later view; false where the sender's share is used up (FL5)."""
        early = self.early.setdefault(sender, Early())
        if early.bytes + size > limit:
            return False
        early.by_view.setdefault(view, []).append((size, message))
        early.bytes += size
        return True

    def start_view(self, view: View, reach: SequenceNumber) -> None:
        """Forget the votes of the view that was left, and what they waited for; keep certificates
        and decisions (T14). Beyond `reach` only the O of a NEW-VIEW is logged, by whoever lags
        behind it (T17 g): the O of each view takes the place of the one before."""
        for sequence in [each for each in self.slots if each > reach]:
            del self.slots[sequence]
        self.let_go()  # what partial batches have got may be proposed again
        self.partial, self.missing = {}, {}
        for early in self.early.values():
            for passed in [each for each in early.by_view if each < view]:
                early.take(passed)
        for slot in self.slots.values():
            slot.pre_prepare = None
            slot.prepares = {}
            slot.commits = {}
            slot.voted = slot.committed = False
            self.touched[slot.sequence] = None

    def truncate(self, low_watermark: SequenceNumber) -> None:
        """Garbage collection at a stable checkpoint (§4.3): drops nothing above it (T51)."""
        self.low_watermark = low_watermark
        for sequence in [each for each in self.slots if each <= low_watermark]:
            del self.slots[sequence]
        for digest in [d for d, at in self.body_at.items() if at <= low_watermark]:
            del self.body_at[digest]
            if digest != NULL_BODY.digest:
                self.bodies.pop(digest, None)
                self.partial.pop(digest, None)
        self.let_go()
        self.next_sequence = max(self.next_sequence, low_watermark + 1)
        self.touched = dict.fromkeys(self.slots)

    def let_go(self) -> None:
        """Keep the large requests that bodies are made of or wait for, and ask for no others."""
        named = {name for body in self.partial.values() for _, name in body.references}
        held = {name for body in self.bodies.values() for name, _ in body.large}
        self.large = {name: each for name, each in self.large.items() if name in held | named}
        wanted = named.union(*(slot.digests for slot in self.slots.values()))
        self.missing = {d: each for d, each in self.missing.items() if d in wanted}
