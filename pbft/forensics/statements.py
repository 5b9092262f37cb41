"""The genuine statements in a heap of bytes, by who signed what about which place.

A statement counts wherever it comes from: alone, or inside a certificate, a VIEW-CHANGE or a
NEW-VIEW, whose own signer may be anybody. Each signature is verified; what does not verify is
counted and convicts nobody, since anybody can have made it.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace

from msgspec import Struct

from pbft.core.authentication import Authentication
from pbft.core.config import MAX_REQUEST_BYTES, Configuration
from pbft.core.errors import DecodeError
from pbft.core.ids import ClientId, Digest, ReplicaId, SequenceNumber, View
from pbft.core.ingress import DropError, Ingress
from pbft.core.messages import (
    MAX_LIST,
    Checkpoint,
    Commit,
    NewView,
    Prepare,
    PrePrepare,
    Request,
    Signable,
    ViewChange,
)
from pbft.core.sizes import largest_window
from pbft.core.verified import ProvenNewView, ProvenViewChange
from pbft.core.wire import (
    MAX_MESSAGE_BYTES,
    SIGNATURE_BYTES,
    batch_digest,
    decode_batch,
    decode_signed,
)
from pbft.crypto.digests import digest

VERSIONS = 4
"""Of one kind, by one replica, about one place: two convict it, and more say nothing new."""


class Said(Struct, frozen=True):
    """A statement whose signature was verified. `proven`: a VIEW-CHANGE or NEW-VIEW all of whose
    claims hold; `fault`: why they do not."""

    message: Signable
    raw: bytes
    proven: ProvenViewChange | ProvenNewView | None = None
    fault: str | None = None

    @property
    def body(self) -> bytes:
        """What was signed: a second signature over it is no second statement."""
        return self.raw[1 + SIGNATURE_BYTES :]


class Casebook:
    """Everything that is known to have been signed. `clients`: those whose keys are known."""

    def __init__(
        self,
        config: Configuration,
        authentication: Authentication,
        clients: Collection[ClientId] = (),
    ) -> None:
        self.config = config
        self.ballots: dict[tuple[ReplicaId, View, SequenceNumber], list[Said]] = {}
        self.checkpoints: dict[tuple[ReplicaId, SequenceNumber], list[Said]] = {}
        self.view_changes: dict[tuple[ReplicaId, View], list[Said]] = {}
        self.new_views: dict[tuple[ReplicaId, View], list[Said]] = {}
        self.genuine = 0
        self.refused = 0
        """Messages that are malformed, or that their sender did not sign."""
        self._ingress = Ingress(_without_limits(config), authentication)
        self._authentication = authentication
        self._clients = frozenset(clients)
        self._seen: set[Digest] = set()
        self._batches: dict[Digest, bytes] = {}

    def add(self, data: bytes) -> None:
        """A signed message, or a batch that one of them names."""
        name = digest(b"pbft statement", data)
        if name in self._seen:
            return
        self._seen.add(name)
        try:
            message = decode_signed(data)
        except DecodeError:
            self._add_batch(data)
            return
        if isinstance(message, Request) or not self._authentication.authentic(message, data):
            self.refused += not isinstance(message, Request)
            return
        self.genuine += 1
        self._file(message, data)

    def all_said(self) -> Iterator[Said]:
        """Every statement that is kept."""
        for shelf in (self.ballots, self.checkpoints, self.view_changes, self.new_views):
            for versions in shelf.values():
                yield from versions

    def bad_batch(self, pre_prepare: PrePrepare) -> tuple[bytes, str] | None:
        """The batch that it names and what is wrong with it, where both are known. A request of a
        client whose key we do not have proves nothing."""
        batch = self._batches.get(pre_prepare.digest)
        if batch is None:
            return None
        try:
            self._ingress.body(batch)
        except DropError as error:
            return None if self._strangers(batch) else (batch, error.reason)
        return None

    # -- filing -------------------------------------------------------------------------------

    def _file(self, message: Signable, raw: bytes) -> None:
        match message:
            case PrePrepare() | Prepare() | Commit():
                place = (message.replica, message.view, message.sequence)
                _keep(self.ballots.setdefault(place, []), Said(message, raw))
            case Checkpoint():
                at = (message.replica, message.sequence)
                _keep(self.checkpoints.setdefault(at, []), Said(message, raw))
            case ViewChange():
                self._look_inside(message)
                key = (message.replica, message.view)
                _keep(self.view_changes.setdefault(key, []), self._judged(message, raw))
            case NewView():
                for each in (*message.view_changes, *message.pre_prepares):
                    self.add(each)
                key = (message.replica, message.view)
                _keep(self.new_views.setdefault(key, []), self._judged(message, raw))

    def _look_inside(self, change: ViewChange) -> None:
        for each in change.checkpoint_proof:
            self.add(each)
        for certificate in change.prepared:
            self.add(certificate.pre_prepare)
            for each in certificate.prepares:
                self.add(each)

    def _judged(self, message: ViewChange | NewView, raw: bytes) -> Said:
        try:
            if isinstance(message, ViewChange):
                return Said(message, raw, self._ingress.view_change(message, raw))
            return Said(message, raw, self._ingress.new_view(message, raw))
        except (DropError, DecodeError) as error:
            return Said(message, raw, None, str(error))

    def _add_batch(self, data: bytes) -> None:
        try:
            decode_batch(data)
        except DecodeError:
            self.refused += 1
        else:
            self._batches[batch_digest(data)] = data

    def _strangers(self, batch: bytes) -> bool:
        for each in decode_batch(batch).requests:
            try:
                message = decode_signed(each)
            except DecodeError:
                continue
            if isinstance(message, Request) and message.client not in self._clients:
                return True
        return False


def _without_limits(config: Configuration) -> Configuration:
    """Limits may have been others when something was signed: what is above them proves nothing."""
    return replace(
        config,
        window=largest_window(config.n),
        batch_max_bytes=MAX_MESSAGE_BYTES,
        batch_max_requests=MAX_LIST,
        request_max_bytes=MAX_REQUEST_BYTES,
        request_max_operations=MAX_LIST,
        client_max_bytes=max(config.client_max_bytes, MAX_REQUEST_BYTES),
    )


def _keep(versions: list[Said], said: Said) -> None:
    """Unless it says again what is known."""
    alike = [each.body for each in versions if type(each.message) is type(said.message)]
    if len(alike) < VERSIONS and said.body not in alike:
        versions.append(said)
