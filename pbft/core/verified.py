"""What ingress makes of bytes: messages whose every signature, at every nesting level, has been
checked (T4, T15). The rules of the protocol see nothing else, so none of them verifies again.
"""

from collections.abc import Sequence
from typing import TypeAlias

from msgspec import Struct

from pbft.core.ids import Digest, SequenceNumber, View
from pbft.core.messages import (
    Certificate,
    Checkpoint,
    Commit,
    FetchBatch,
    FetchNodes,
    NewView,
    Nodes,
    Prepare,
    PrePrepare,
    Read,
    Request,
    Signable,
    Signed,
    Status,
    ViewChange,
)
from pbft.core.wire import NULL_BATCH, NULL_DIGEST


class Body(Struct, frozen=True):
    """A batch whose requests all carry valid client signatures, under its own digest.

    `references`: places and digests of the large requests that are not in `requests` yet; `large`:
    those that were put there."""

    digest: Digest
    raw: bytes
    time: int
    requests: tuple[Signed[Request], ...]
    references: tuple[tuple[int, Digest], ...] = ()
    large: tuple[tuple[Digest, Signed[Request]], ...] = ()

    @property
    def beside(self) -> tuple[bytes, ...]:
        """What is not in `raw`: to be stored with it."""
        return tuple(request.raw for _, request in self.large)

    def made_whole(self, large: Sequence[Signed[Request]]) -> "Body":
        """With `large` where `references` says, in their order."""
        requests = list(self.requests)
        for (index, _), request in zip(self.references, large, strict=True):
            requests.insert(index, request)
        names = (digest for _, digest in self.references)
        pairs = tuple(zip(names, large, strict=True))
        return Body(self.digest, self.raw, self.time, tuple(requests), (), pairs)


NULL_BODY = Body(NULL_DIGEST, NULL_BATCH, 0, ())


class Proposed(Struct, frozen=True):
    """A pre-prepare by the primary of its view, and the body that its digest names."""

    pre_prepare: Signed[PrePrepare]
    body: Body


class PreparedProof(Struct, frozen=True):
    """A valid prepared certificate, by what it certifies (T15)."""

    view: View
    sequence: SequenceNumber
    digest: Digest
    certificate: Certificate


class StableCheckpoint(Struct, frozen=True):
    """q distinct signatures under one (sequence number, digest) (§4.3; T29)."""

    sequence: SequenceNumber
    digest: Digest
    proof: tuple[bytes, ...]


class ProvenViewChange(Struct, frozen=True):
    """A view change in which everything is proven; `prepared` is P by sequence number."""

    signed: Signed[ViewChange]
    stable: StableCheckpoint
    prepared: dict[SequenceNumber, PreparedProof]


class ProvenNewView(Struct, frozen=True):
    """A new view signed by its primary over >= q proven view changes. O is not judged yet."""

    signed: Signed[NewView]
    view_changes: tuple[ProvenViewChange, ...]
    pre_prepares: tuple[Signed[PrePrepare], ...]


class Testimony(Struct, frozen=True):
    """Votes that somebody shows to their signer, its highest VIEW-CHANGE apart; and how far that
    somebody is."""

    votes: tuple[Signed[Signable], ...]
    view_change: ProvenViewChange | None
    stable: StableCheckpoint


class Decided(Struct, frozen=True):
    """A commit certificate and the body it decides."""

    pre_prepare: Signed[PrePrepare]
    commits: tuple[bytes, ...]
    body: Body


Verified: TypeAlias = (
    Signed[Request]
    | Signed[Prepare]
    | Signed[Commit]
    | Signed[Checkpoint]
    | Proposed
    | ProvenViewChange
    | ProvenNewView
    | Decided
    | StableCheckpoint
    | Body
    | Status
    | Testimony
    | FetchBatch
    | FetchNodes
    | Nodes
    | Read
)
