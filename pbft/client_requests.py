"""A client's requests: under way, and what is remembered of those that were answered."""

from dataclasses import dataclass, field

from pbft.core.ids import Digest, ReplicaId
from pbft.core.messages import Request, Signed


@dataclass(slots=True)
class Outstanding:
    """A request under way; `order` counts requests, `deadline` is its next retransmission.

    `calls` holds 0 where the caller has given up."""

    request: Signed[Request]
    digest: Digest
    calls: list[int]
    order: int
    deadline: int
    delay: int
    replies: dict[ReplicaId, Digest] = field(default_factory=dict)
    """The digest of the results that each replica last claimed."""
    whole: dict[ReplicaId, tuple[bytes, ...]] = field(default_factory=dict)
    """The results themselves, of those whose last claim came with them."""
    hurried: bool = False
    """The results were asked for early, since only their digest is agreed on."""


@dataclass(slots=True)
class Answered:
    """The digests of a request and of its results, and which replicas have been counted."""

    request: Digest
    results: Digest
    heard: set[ReplicaId]
