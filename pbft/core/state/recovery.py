"""What a replica remembers of its own votes, and how far it is in making a lost disk good (T35)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pbft.core.errors import DecodeError, RecordError
from pbft.core.ids import Digest, ReplicaId, SequenceNumber, View
from pbft.core.messages import (
    Checkpoint,
    Commit,
    NewView,
    Prepare,
    PrePrepare,
    Signable,
    ViewChange,
)
from pbft.core.records import (
    Accepted,
    AnyRecord,
    Began,
    Prepared,
    Recovering,
    Snapshotted,
    Stabilised,
    ViewChanged,
    ViewEntered,
)
from pbft.core.wire import decode_signed


@dataclass(slots=True)
class Memory:
    """What the records said when this life began, whatever has been learned since."""

    began: bool = False
    """They are those of a voter: whatever it has signed is among them, or covered by them."""
    recovering: bool = False
    floor: SequenceNumber = 0
    """Of the last recovery: what was voted up to here in a forgotten life is made good."""
    view: View = 0
    stable: SequenceNumber = 0
    view_change: tuple[View, bytes] = (-1, b"")
    snapshots: set[SequenceNumber] = field(default_factory=set)
    votes: set[tuple[View, SequenceNumber, Digest, bool]] = field(default_factory=set)
    """(v, n, d, whether it was a COMMIT)."""

    def remembers(self, vote: Signable, raw: bytes) -> bool:
        """Whether a vote that we signed is on record, or is of a place where we vote no more: a
        view that we have left, a number at or below our stable checkpoint."""
        if not self.began:
            return False
        match vote:
            case ViewChange():
                return vote.view < self.view or raw == self.view_change[1]
            case NewView():
                return vote.view <= self.view
            case Checkpoint():
                settled = vote.sequence <= max(self.stable, self.floor)
                return settled or vote.sequence in self.snapshots
            case PrePrepare() | Prepare() | Commit():
                if vote.view != self.view or vote.sequence <= max(self.stable, self.floor):
                    return vote.view <= self.view or vote.sequence <= self.floor
                kind = isinstance(vote, Commit)
                return (vote.view, vote.sequence, vote.digest, kind) in self.votes
        return True


def recall(records: Sequence[AnyRecord], me: ReplicaId) -> Memory:
    """What `records` remember. Raises `RecordError`."""
    memory = Memory()
    try:
        for record in records:
            _add(memory, record, me)
    except DecodeError as error:
        raise RecordError(f"a record of this replica does not decode: {error}") from None
    return memory


def _add(memory: Memory, record: AnyRecord, me: ReplicaId) -> None:
    match record:
        case Began(floor) | Recovering(floor):
            memory.began = isinstance(record, Began)
            memory.recovering = not memory.began
            memory.floor = floor
        case Accepted(raw, _, _):
            _vote(memory, raw, commit=False)
        case Prepared(_, certificate):
            _vote(memory, certificate.pre_prepare, commit=True)
        case ViewChanged(raw):
            _view_change(memory, raw, me)
        case ViewEntered(raw):
            message = decode_signed(raw)
            if isinstance(message, NewView):
                memory.view = max(memory.view, message.view)
                for each in message.view_changes:  # ours may be of a forgotten life
                    _view_change(memory, each, me)
                for each in message.pre_prepares if message.replica == me else ():
                    _vote(memory, each, commit=False)
        case Snapshotted():
            memory.snapshots.add(record.sequence)
        case Stabilised():
            memory.stable = max(memory.stable, record.sequence)
            memory.snapshots.update(sequence for sequence, _ in record.abandoned)


def _view_change(memory: Memory, raw: bytes, me: ReplicaId) -> None:
    message = decode_signed(raw)
    if isinstance(message, ViewChange) and message.replica == me:
        memory.view = max(memory.view, message.view)
        memory.view_change = max(memory.view_change, (message.view, raw))


def _vote(memory: Memory, raw: bytes, *, commit: bool) -> None:
    pp = decode_signed(raw)
    if isinstance(pp, PrePrepare):
        memory.votes.add((pp.view, pp.sequence, pp.digest, commit))


@dataclass(slots=True)
class Recovery:
    """A recovering replica lost its disk and says so; until it has made that good it casts nothing
    but CHECKPOINTs, whose content is not its choice."""

    memory: Memory = field(default_factory=Memory)
    answers: dict[ReplicaId, SequenceNumber] = field(default_factory=dict)
    """Who showed us, in this life, what it holds of us: its proven stable checkpoint."""
    asked: set[ReplicaId] = field(default_factory=set)
    """Who was asked out of turn in this status interval."""
    recovering: bool = False
    floor: SequenceNumber = 0
    """H, while we recover; 0 until enough have answered."""
    nulls: int = 0
    """Null batches that we may propose in this status interval, for others that recover."""
    granted: dict[ReplicaId, tuple[SequenceNumber, int]] = field(default_factory=dict)
    """Up to where nulls are proposed for whom, and at which tick that was decided."""
