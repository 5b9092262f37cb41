"""What a traitor knows of the run, in the order that an attacker needs: whose signatures there are
for what, which batches, which view changes. Certificates are put together from it, right or wrong.
"""

from collections import defaultdict, deque
from typing import TypeAlias

from pbft.core.errors import DecodeError
from pbft.core.ids import Digest, ReplicaId, SequenceNumber, View
from pbft.core.messages import (
    AnyMessage,
    BatchBody,
    Checkpoint,
    Commit,
    Decision,
    Prepare,
    PrePrepare,
    Proposal,
    Request,
    ViewChange,
)
from pbft.core.wire import batch_digest, decode, decode_signed

Votes: TypeAlias = dict[ReplicaId, bytes]
PLACES = 128
BODIES = 64


class Known:
    """Bounded: what is old goes."""

    def __init__(self) -> None:
        self.pre_prepares: dict[tuple[View, SequenceNumber, Digest], bytes] = {}
        self.prepares: dict[tuple[View, SequenceNumber, Digest], Votes] = defaultdict(dict)
        self.commits: dict[tuple[View, SequenceNumber, Digest], Votes] = defaultdict(dict)
        self.checkpoints: dict[tuple[SequenceNumber, Digest], Votes] = defaultdict(dict)
        self.view_changes: dict[View, Votes] = defaultdict(dict)
        self.bodies: dict[Digest, bytes] = {}
        self.requests: deque[bytes] = deque(maxlen=BODIES)
        self._last: tuple[bytes, AnyMessage | None] = (b"", None)

    def message(self, data: bytes) -> AnyMessage | None:
        """The message in `data`, or none."""
        if self._last[0] is not data:
            try:
                self._last = (data, decode(data))
            except DecodeError:
                self._last = (data, None)
        return self._last[1]

    def note(self, message: AnyMessage, raw: bytes) -> None:
        """Keep what a message shows. Raises `DecodeError` on malformed insides."""
        match message:
            case Proposal(pre_prepare, batch):
                inner = decode_signed(pre_prepare)
                self._body(batch)
                if isinstance(inner, PrePrepare):
                    self.pre_prepares[inner.view, inner.sequence, inner.digest] = pre_prepare
                    _trim(self.pre_prepares, PLACES)
            case Prepare(view, sequence, digest, replica):
                self.prepares[view, sequence, digest][replica] = raw
                _trim(self.prepares, PLACES)
            case Commit(view, sequence, digest, replica):
                self.commits[view, sequence, digest][replica] = raw
                _trim(self.commits, PLACES)
            case Checkpoint(sequence, digest, replica):
                self.checkpoints[sequence, digest][replica] = raw
                _trim(self.checkpoints, PLACES)
            case ViewChange(view=view, replica=replica):
                self.view_changes[view][replica] = raw
                _trim(self.view_changes, PLACES)
            case BatchBody(batch) | Decision(batch=batch):
                self._body(batch)
            case Request():
                self.requests.append(raw)

    def _body(self, batch: bytes) -> None:
        self.bodies[batch_digest(batch)] = batch
        _trim(self.bodies, BODIES)


def _trim(entries: dict[object, object] | dict, limit: int) -> None:  # type: ignore[type-arg]
    """Drop the oldest beyond `limit`."""
    while len(entries) > limit:
        del entries[next(iter(entries))]
