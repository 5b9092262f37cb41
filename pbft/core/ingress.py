"""From decoded messages to verified ones: reads keys, changes nothing (T6).

`Ingress.verify` checks what a message claims all the way down -- who signed, whether the signers
are distinct, whether a certificate's votes match its pre-prepare -- and either returns the
verified form or raises `DropError` with the reason that is counted. Nothing is used in part: one
bad entry rejects the message it is in, and no other (T16).
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from pbft.core.authentication import Authentication
from pbft.core.config import Configuration
from pbft.core.errors import DecodeError
from pbft.core.ids import SequenceNumber
from pbft.core.messages import (
    AnyMessage,
    BatchBody,
    Certificate,
    Checkpoint,
    Commit,
    Decision,
    NewView,
    Prepare,
    PrePrepare,
    Proposal,
    Read,
    Request,
    Signable,
    Signed,
    StableProof,
    ViewChange,
    Witness,
)
from pbft.core.sizes import view_change_bytes
from pbft.core.verified import (
    NULL_BODY,
    Body,
    Decided,
    PreparedProof,
    Proposed,
    ProvenNewView,
    ProvenViewChange,
    StableCheckpoint,
    Testimony,
    Verified,
)
from pbft.core.wire import (
    NULL_DIGEST,
    batch_digest,
    decode_batch,
    decode_signed,
    referred,
    request_digest,
)

GENESIS = StableCheckpoint(0, bytes(32), ())
"""Sequence number 0 is stable by definition: it needs no proof (§4.3)."""

M = TypeVar("M", bound=Signable)


class DropError(Exception):
    """The reason why a message is dropped; it never leaves the turn. `raw` convicts its signer,
    where it can."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BadRequestError(DropError):
    """A primary signed a digest over a batch that no correct replica proposes (CL4)."""

    def __init__(self, pre_prepare: Signed[PrePrepare], batch: bytes) -> None:
        super().__init__("proposal with a bad request")
        self.pre_prepare = pre_prepare
        self.batch = batch


class Ingress:
    """Verification for one replica: its cluster's sizes, and its table of public keys."""

    def __init__(self, config: Configuration, authentication: Authentication) -> None:
        self._config = config
        self._authentication = authentication
        self._forms: dict[type, Callable[[Any, bytes], Verified]] = {
            Request: self._request,
            Prepare: self._plain,
            Commit: self._plain,
            Checkpoint: self._plain,
            ViewChange: self.view_change,
            NewView: self.new_view,
            Proposal: self._proposal,
            Decision: self._decision,
            StableProof: lambda message, _: self.stable(message.checkpoints),
            BatchBody: lambda message, _: self.body(message.batch),
            Witness: self._witness,
            Read: self._read,
        }

    def verify(self, message: AnyMessage, raw: bytes) -> Verified:
        """The verified form of `message`, which was decoded from `raw`. Raises `DropError`."""
        form = self._forms.get(type(message))
        if form is None:
            if isinstance(message, Signable):
                raise DropError("not sent on its own")
            return message  # type: ignore[return-value]  # link messages that carry no signature
        return form(message, raw)

    # -- signatures -------------------------------------------------------------------------

    def signed(self, raw: bytes, kind: type[M]) -> Signed[M]:
        """The message of type `kind` inside `raw`, its signature checked. Raises `DropError`."""
        try:
            message = decode_signed(raw)
        except DecodeError:
            raise DropError("malformed inner message") from None
        if not isinstance(message, kind):
            raise DropError("inner message of another type")
        return self._authentic(message, raw)

    def _authentic(self, message: M, raw: bytes) -> Signed[M]:
        if not self._authentication.authentic(message, raw):
            raise DropError("bad signature")
        return Signed(message, raw)

    def _plain(self, message: Signable, raw: bytes) -> Any:
        return self._authentic(message, raw)

    def _witness(self, message: Witness, _: bytes) -> Testimony:
        """A vote shown to us is worth its signature, whoever shows it (T35)."""
        votes: list[Signed[Signable]] = []
        view_change: ProvenViewChange | None = None
        for raw in message.votes:
            try:
                vote = decode_signed(raw)
            except DecodeError:
                raise DropError("malformed inner message") from None
            votes.append(self._authentic(vote, raw))
            if isinstance(vote, ViewChange):
                view_change = self.view_change(vote, raw)
        stable = self.stable(message.proof) if message.proof else GENESIS
        return Testimony(tuple(votes), view_change, stable)

    # -- requests and batches -----------------------------------------------------------------

    def _request(self, message: Request, raw: bytes) -> Signed[Request]:
        if len(raw) > self._config.request_max_bytes:
            raise DropError("request too large")
        if len(message.operations) > self._config.request_max_operations:
            raise DropError("request with too many operations")
        return self._authentic(message, raw)

    def _read(self, message: Read, _: bytes) -> Read:
        if message.ticket and self._authentication.ticket(message.ticket) is None:
            raise DropError("read with a bad ticket")
        return message

    def body(self, raw: bytes) -> Body:
        """A batch, under the digest recomputed from its bytes (T8). Raises `DropError`."""
        digest = batch_digest(raw)
        if digest == NULL_DIGEST:
            return NULL_BODY
        if len(raw) > self._config.batch_max_bytes + 64:
            raise DropError("batch too large")
        try:
            batch = decode_batch(raw)
        except DecodeError:
            raise DropError("malformed batch") from None
        if not 0 < len(batch.requests) <= self._config.batch_max_requests:
            raise DropError("batch with a wrong number of requests")
        names = [(index, referred(entry)) for index, entry in enumerate(batch.requests)]
        references = tuple((index, name) for index, name in names if name is not None)
        inline = [batch.requests[index] for index, name in names if name is None]
        return Body(digest, raw, batch.time, tuple(map(self._batched, inline)), references)

    def stored_body(self, raw: bytes, beside: tuple[bytes, ...]) -> Body:
        """A batch from our own records, with its large requests. Raises `DropError`."""
        body = self.body(raw)
        if [name for _, name in body.references] != [request_digest(each) for each in beside]:
            raise DropError("requests beside a batch that does not name them")
        return body.made_whole([self._batched(each) for each in beside])

    def _batched(self, raw: bytes) -> Signed[Request]:
        request = self.signed(raw, Request)
        return self._request(request.message, raw)

    # -- ordering -----------------------------------------------------------------------------

    def pre_prepare(self, raw: bytes) -> Signed[PrePrepare]:
        """A pre-prepare signed by the primary of its own view. Raises `DropError`."""
        signed = self.signed(raw, PrePrepare)
        if signed.message.replica != self._config.primary(signed.message.view):
            raise DropError("pre-prepare not by the primary of its view")
        return signed

    def _proposal(self, message: Proposal, _: bytes) -> Proposed:
        pre_prepare = self.pre_prepare(message.pre_prepare)
        if batch_digest(message.batch) != pre_prepare.message.digest:
            raise DropError("body does not match its digest")
        try:
            body = self.body(message.batch)
        except DropError:
            raise BadRequestError(pre_prepare, message.batch) from None
        return Proposed(pre_prepare, body)

    def _votes(
        self, raws: Iterable[bytes], kind: type[Prepare] | type[Commit], pp: PrePrepare
    ) -> set[int]:
        """The distinct signers of votes that all match `pp`. Raises `DropError`."""
        signers: set[int] = set()
        for raw in raws:
            vote = self.signed(raw, kind).message
            if (vote.view, vote.sequence, vote.digest) != (pp.view, pp.sequence, pp.digest):
                raise DropError("certificate of mixed votes")
            if vote.replica in signers:
                raise DropError("certificate with a repeated signer")
            signers.add(vote.replica)
        return signers

    def _decision(self, message: Decision, _: bytes) -> Decided:
        pre_prepare = self.pre_prepare(message.pre_prepare)
        if batch_digest(message.batch) != pre_prepare.message.digest:
            raise DropError("body does not match its digest")
        signers = self._votes(message.commits, Commit, pre_prepare.message)
        if len(signers) < self._config.quorum:
            raise DropError("commit certificate below a quorum")
        return Decided(pre_prepare, message.commits, self.body(message.batch))

    def prepared(self, certificate: Certificate) -> PreparedProof:
        """T15: a pre-prepare and >= q-1 matching prepares of distinct non-primary replicas."""
        pp = self.pre_prepare(certificate.pre_prepare).message
        signers = self._votes(certificate.prepares, Prepare, pp)
        if pp.replica in signers:
            raise DropError("certificate with a prepare of the primary")
        if len(signers) < self._config.quorum - 1:
            raise DropError("prepared certificate below a quorum")
        return PreparedProof(pp.view, pp.sequence, pp.digest, certificate)

    # -- checkpoints and views ----------------------------------------------------------------

    def stable(self, raws: tuple[bytes, ...]) -> StableCheckpoint:
        """q distinct signers under one (sequence number, digest). A VIEW-CHANGE carries them, so of
        more q are kept (T39). Raises `DropError`."""
        votes = [self.signed(raw, Checkpoint).message for raw in raws]
        if len({vote.replica for vote in votes}) != len(votes):
            raise DropError("checkpoint proof with a repeated signer")
        if len(votes) < self._config.quorum:
            raise DropError("checkpoint proof below a quorum")
        if len({(vote.sequence, vote.digest) for vote in votes}) != 1:
            raise DropError("checkpoint proof of mixed votes")
        kept = raws[: self._config.quorum]
        return StableCheckpoint(votes[0].sequence, votes[0].digest, kept)

    def view_change(self, message: ViewChange, raw: bytes) -> ProvenViewChange:
        """Everything in a VIEW-CHANGE is proven, or it is worth nothing (T15, T16, T18), and votes
        beyond what proves it would make a NEW-VIEW over it larger than a message (T39)."""
        if len(raw) > view_change_bytes(self._config.n, self._config.window):
            raise DropError("view change with more than it needs")
        signed = self._authentic(message, raw)
        stable = GENESIS if message.low_watermark == 0 else self.stable(message.checkpoint_proof)
        if stable.sequence != message.low_watermark:
            raise DropError("view change with an unproven low watermark")
        if message.low_watermark == 0 and message.checkpoint_proof:
            raise DropError("view change with a proof of nothing")
        prepared: dict[SequenceNumber, PreparedProof] = {}
        last = stable.sequence
        for certificate in message.prepared:
            proof = self.prepared(certificate)
            if proof.view >= message.view:
                raise DropError("certificate of a view not yet left")
            if not last < proof.sequence <= stable.sequence + self._config.window:
                raise DropError("certificate out of order or outside the window")
            last = proof.sequence
            prepared[last] = proof
        return ProvenViewChange(signed, stable, prepared)

    def new_view(self, message: NewView, raw: bytes) -> ProvenNewView:
        """T17 (a) and (b): the signer, and each view change inside, fully validated again."""
        signed = self._authentic(message, raw)
        if message.replica != self._config.primary(message.view):
            raise DropError("new view not by the primary of its view")
        if len(message.view_changes) > self._config.n:
            raise DropError("new view with a repeated view change")
        inner = tuple(self._inner_view_change(each) for each in message.view_changes)
        if any(each.signed.message.view != message.view for each in inner):
            raise DropError("new view over view changes to another view")
        if len({each.signed.message.replica for each in inner}) != len(inner):
            raise DropError("new view with a repeated view change")
        if len(inner) < self._config.quorum:
            raise DropError("new view below a quorum")
        pre_prepares = tuple(self.pre_prepare(each) for each in message.pre_prepares)
        return ProvenNewView(signed, inner, pre_prepares)

    def _inner_view_change(self, raw: bytes) -> ProvenViewChange:
        return self.view_change(self.signed(raw, ViewChange).message, raw)
