"""Forged view changes, new views and certificates: each wrong in one way, the rest as it must be.

A forger has its own key and its colluders'; what correct replicas signed it can only put elsewhere.
"""

import random
from collections.abc import Callable, Iterable

import msgspec

from pbft.core.errors import DecodeError
from pbft.core.ids import ReplicaId
from pbft.core.ingress import DropError, Ingress
from pbft.core.messages import (
    Certificate,
    Checkpoint,
    NewView,
    Prepare,
    PrePrepare,
    Signable,
    ViewChange,
)
from pbft.core.protocol.new_view import choose
from pbft.core.verified import ProvenViewChange
from pbft.core.wire import NULL_DIGEST, decode_signed
from pbft.testing.byzantine.attacks import Form
from pbft.testing.byzantine.colluding import Ring

REMEMBERED = 64
FAR = 10**12


class Forger:
    """Of one traitor."""

    def __init__(self, ring: Ring, us: ReplicaId, rng: random.Random) -> None:
        self._ring = ring
        self._us = us
        self._rng = rng
        self._ingress: Ingress = ring.ingress(us)
        self._changes: dict[tuple[int, ReplicaId], bytes] = {}
        self._proven: dict[bytes, ProvenViewChange] = {}
        self._bent = 0
        """Votes that did not match, so far: each is wrong in another way than the one before."""
        self._view_changes: dict[Form, Callable[[ViewChange], ViewChange]] = {
            Form.EMPTY: lambda m: msgspec.structs.replace(m, prepared=()),
            Form.SHORT: lambda m: msgspec.structs.replace(m, prepared=m.prepared[:-1]),
            Form.STALE: self._stale,
            Form.BEYOND: lambda m: msgspec.structs.replace(m, view=m.view + rng.choice((1, FAR))),
            Form.INFLATED: self._inflated,
            Form.REPEATED_PROOF: self._repeated_proof,
            Form.REPEATED_SIGNER: lambda m: self._bent_certificate(m, self._one_signer),
            Form.MIXED: lambda m: self._bent_certificate(m, self._mixed),
            Form.OWN: self._own,
            Form.REVERSED: lambda m: msgspec.structs.replace(m, prepared=m.prepared[::-1]),
        }
        self._new_views: dict[Form, Callable[[NewView], NewView]] = {
            Form.SHORT: lambda m: msgspec.structs.replace(m, pre_prepares=m.pre_prepares[:-1]),
            Form.NULLS: lambda m: self._bent_order(m, lambda pp: {"digest": NULL_DIGEST}),
            Form.SWAPPED: self._swapped,
            Form.EXTRA: self._extra,
            Form.WRONG_VIEW: lambda m: self._bent_order(m, self._other_view),
            Form.FEW: lambda m: msgspec.structs.replace(m, view_changes=m.view_changes[:-1]),
            Form.REPEATED: self._repeated,
            Form.OLD: self._old,
            Form.ANOTHER: self._another,
        }

    def note(self, raw: bytes) -> None:
        """Keep a signed VIEW-CHANGE."""
        message = _decoded(raw)
        if isinstance(message, ViewChange) and len(self._changes) < REMEMBERED:
            self._changes.setdefault((message.view, message.replica), raw)

    def forged(self, message: Signable, form: Form | None) -> Signable:
        """`message`, wrong in that way; as it is where the way does not apply."""
        if isinstance(message, ViewChange):
            chosen = form or self._rng.choice(list(self._view_changes))
            change = self._view_changes.get(chosen)
            return message if change is None else change(message)
        if isinstance(message, NewView):
            chosen = form or self._rng.choice(list(self._new_views))
            bent = self._new_views.get(chosen)
            return message if bent is None else bent(message)
        return message

    # -- view changes ---------------------------------------------------------------------------

    def _stale(self, message: ViewChange) -> ViewChange:
        """What we said when we last moved, or before."""
        ours = [
            raw
            for (view, replica), raw in sorted(self._changes.items())
            if replica == self._us and view < message.view
        ]
        old = _decoded(self._rng.choice(ours)) if ours else None
        if not isinstance(old, ViewChange):
            return msgspec.structs.replace(message, prepared=(), low_watermark=0)
        return msgspec.structs.replace(old, view=message.view)

    def _inflated(self, message: ViewChange) -> ViewChange:
        higher = message.low_watermark + self._rng.choice((1, 8, 10**6))
        return msgspec.structs.replace(message, low_watermark=higher, prepared=())

    def _repeated_proof(self, message: ViewChange) -> ViewChange:
        """A checkpoint that only we and our colluders have seen, as often as it takes; or, every
        other time, the true one, with a vote of ours for another state in front."""
        self._bent += 1
        if message.checkpoint_proof and self._bent % 2 == 0:
            other = Checkpoint(message.low_watermark, self._rng.randbytes(32), self._us)
            return msgspec.structs.replace(
                message, checkpoint_proof=self._instead(message.checkpoint_proof, other)
            )
        higher = message.low_watermark + self._ring.config.checkpoint_interval
        digest = self._rng.randbytes(32)
        votes = [self._sign(Checkpoint(higher, digest, each)) for each in self._ring.replicas]
        proof = tuple(votes * self._ring.config.quorum)[: self._ring.config.quorum]
        return msgspec.structs.replace(
            message, low_watermark=higher, checkpoint_proof=proof, prepared=()
        )

    def _bent_certificate(
        self, message: ViewChange, bend: Callable[[Certificate], Certificate]
    ) -> ViewChange:
        """One of the certificates made wrong, the others whole (T16)."""
        if not message.prepared:
            return self._own(message)
        prepared = list(message.prepared)
        index = self._rng.randrange(len(prepared))
        prepared[index] = bend(prepared[index])
        return msgspec.structs.replace(message, prepared=tuple(prepared))

    def _one_signer(self, certificate: Certificate) -> Certificate:
        count = len(certificate.prepares)
        return Certificate(certificate.pre_prepare, certificate.prepares[:1] * count)

    def _mixed(self, certificate: Certificate) -> Certificate:
        """Our own vote for another digest, view or number under a pre-prepare that others have
        voted for."""
        pp = _decoded(certificate.pre_prepare)
        if not isinstance(pp, PrePrepare):
            return certificate
        ways = (
            Prepare(pp.view, pp.sequence, self._rng.randbytes(32), self._us),
            Prepare(pp.view + 1, pp.sequence, pp.digest, self._us),
            Prepare(pp.view, pp.sequence + 1, pp.digest, self._us),
        )
        other = ways[self._bent % len(ways)]
        self._bent += 1
        return Certificate(certificate.pre_prepare, self._instead(certificate.prepares, other))

    def _instead(self, votes: tuple[bytes, ...], ours: Prepare | Checkpoint) -> tuple[bytes, ...]:
        """As many votes as before, a new one of ours among them."""
        theirs = [raw for raw in votes if _signer(raw) != self._us]
        return (self._sign(ours), *theirs)[: len(votes)]

    def _own(self, message: ViewChange) -> ViewChange:
        """An invention: proven as far as our keys reach, the rest by repetition."""
        config, view = self._ring.config, max(0, message.view - 1)
        sequence = message.low_watermark + 1
        digest = self._rng.randbytes(32)
        pp = self._sign(PrePrepare(view, sequence, digest, config.primary(view)))
        backups = [r for r in self._ring.replicas if r != config.primary(view)] or [self._us]
        votes = [self._sign(Prepare(view, sequence, digest, each)) for each in backups]
        prepares = tuple(votes * config.quorum)[: config.quorum - 1]
        return msgspec.structs.replace(message, prepared=(Certificate(pp, prepares),))

    # -- new views --------------------------------------------------------------------------------

    def _bent_order(
        self, message: NewView, change: Callable[[PrePrepare], dict[str, object]]
    ) -> NewView:
        order = [msgspec.structs.replace(pp, **change(pp)) for pp in _order(message)]
        return self._with_order(message, order)

    def _other_view(self, pp: PrePrepare) -> dict[str, object]:
        return {"view": max(0, pp.view + self._rng.choice((-1, 1)))}

    def _swapped(self, message: NewView) -> NewView:
        """Where there is only one number, its digest stands under the next one."""
        order = _order(message)
        if len(order) == 1:
            return self._bent_order(message, lambda pp: {"sequence": pp.sequence + 1})
        digests = [pp.digest for pp in order]
        turned = digests[1:] + digests[:1]
        pairs = zip(order, turned, strict=True)
        bent = [msgspec.structs.replace(pp, digest=digest) for pp, digest in pairs]
        return self._with_order(message, bent)

    def _extra(self, message: NewView) -> NewView:
        order = _order(message)
        after = order[-1].sequence + 1 if order else 1
        more = PrePrepare(message.view, after, self._rng.randbytes(32), self._us)
        return self._with_order(message, [*order, more])

    def _repeated(self, message: NewView) -> NewView:
        """q of them, of one or two signers."""
        few = message.view_changes[: self._rng.choice((1, 2))]
        repeated = tuple(few * self._ring.config.quorum)[: self._ring.config.quorum]
        return msgspec.structs.replace(message, view_changes=repeated)

    def _old(self, message: NewView) -> NewView:
        old = [raw for (view, _), raw in sorted(self._changes.items()) if view < message.view]
        return msgspec.structs.replace(
            message, view_changes=tuple(old[: self._ring.config.quorum]) or message.view_changes
        )

    def _another(self, message: NewView) -> NewView:
        """Valid, over other view changes than before (EQ8): of another sender where there are more
        than a quorum, or of one of us who says now that it has prepared nothing."""
        known = {
            replica: raw for (view, replica), raw in self._changes.items() if view == message.view
        }
        for raw in message.view_changes:
            inside = _decoded(raw)
            if isinstance(inside, ViewChange):
                known.setdefault(inside.replica, raw)
                if inside.replica in self._ring.replicas and inside.prepared:
                    known[inside.replica] = self._sign(msgspec.structs.replace(inside, prepared=()))
        proven = [each for each in map(self._prove, known.values()) if each is not None]
        if len(proven) < self._ring.config.quorum:
            return message
        chosen = self._rng.sample(proven, self._ring.config.quorum)
        order = [
            PrePrepare(message.view, sequence, digest, self._us)
            for sequence, digest in choose(chosen).digests.items()
        ]
        changes = tuple(each.signed.raw for each in chosen)
        if set(changes) == set(message.view_changes):
            return message
        return self._with_order(msgspec.structs.replace(message, view_changes=changes), order)

    def _prove(self, raw: bytes) -> ProvenViewChange | None:
        message = _decoded(raw)
        if raw not in self._proven and isinstance(message, ViewChange):
            try:
                self._proven[raw] = self._ingress.view_change(message, raw)
            except DropError:
                return None
        return self._proven.get(raw)

    def _with_order(self, message: NewView, order: Iterable[PrePrepare]) -> NewView:
        signed = tuple(self._sign(pp) for pp in order)
        return msgspec.structs.replace(message, pre_prepares=signed)

    def _sign(self, message: Signable) -> bytes:
        return self._ring.sign(message, self._us)


def _order(message: NewView) -> list[PrePrepare]:
    inner = [_decoded(raw) for raw in message.pre_prepares]
    return [pp for pp in inner if isinstance(pp, PrePrepare)]


def _signer(raw: bytes) -> object:
    return getattr(_decoded(raw), "replica", None)


def _decoded(raw: bytes) -> Signable | None:
    try:
        return decode_signed(raw)
    except DecodeError:
        return None
