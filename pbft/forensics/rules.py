"""What no correct replica signs, and why: each rule gives convictions, with the statements.

What a correct replica may do, and so no rule is against: sign the same statement again, after a
restart too; vote in a view after others left it; move to a view without having seen the one before;
digest a state that its disk or its service has spoilt. One that has lost its disk and recovered
(`pbft recover`) may sign a second VIEW-CHANGE or NEW-VIEW for a view of its forgotten life: the
stable checkpoint in it is then at least one window above the first one's, since it was silent up
to there, and no rule is against that either. An operator who lets an old disk vote is not excused.
"""

from collections.abc import Callable, Iterator
from itertools import combinations

from msgspec import Struct

from pbft.core.ids import ReplicaId, SequenceNumber
from pbft.core.messages import (
    Checkpoint,
    Commit,
    NewView,
    Prepare,
    PrePrepare,
    Signable,
    ViewChange,
)
from pbft.core.protocol.new_view import choose, refusal
from pbft.core.verified import ProvenNewView, ProvenViewChange
from pbft.core.wire import NULL_DIGEST, decode_signed
from pbft.forensics.statements import Casebook, Said

SHOWN_DIGITS = 12


class Conviction(Struct, frozen=True):
    """Statements of `culprit` that no correct replica signs; `reason` says why, in a sentence."""

    culprit: ReplicaId
    rule: str
    statements: tuple[bytes, ...]
    reason: str


Rule = Callable[[Casebook], Iterator[Conviction]]


def two_digests(book: Casebook) -> Iterator[Conviction]:
    """Two batches for one number in one view, in any two votes (§4.2; T3, T9). A vote is durable
    before it leaves, and who recovers casts none for a number of its forgotten life (T34, T35)."""
    for (signer, view, sequence), versions in book.ballots.items():
        for one, other in combinations(versions, 2):
            if _digest(one) != _digest(other):
                yield _convicted(
                    "two batches for one number",
                    (one, other),
                    f"replica {signer} voted for two batches at number {sequence} in view {view}: a"
                    " correct replica remembers its vote, across restarts too",
                )
                break


def not_its_vote(book: Casebook) -> Iterator[Conviction]:
    """What only the primary of a view signs, or never (§4.2, §4.4)."""
    config = book.config
    for said in book.all_said():
        message = said.message
        reason = None
        if isinstance(message, Prepare) and config.primary(message.view) == message.replica:
            reason = "the primary of a view proposes, and never signs a PREPARE in it"
        elif (
            isinstance(message, PrePrepare | NewView)
            and config.primary(message.view) != message.replica
        ):
            reason = "only the primary of a view signs this"
        if reason is not None:
            yield _convicted("not its vote", (said,), reason)


def two_moves(book: Casebook) -> Iterator[Conviction]:
    """Two VIEW-CHANGEs, or two NEW-VIEWs, for one view (§4.4): each is durable before it leaves."""
    for shelf, what in ((book.view_changes, "VIEW-CHANGEs"), (book.new_views, "NEW-VIEWs")):
        for (signer, view), versions in shelf.items():
            for one, other in combinations(versions, 2):
                if abs(_stable(one) - _stable(other)) < book.config.window:
                    yield _convicted(
                        f"two {what} for one view",
                        (one, other),
                        f"replica {signer} signed two different {what} for view {view}: a correct"
                        " replica signs one, and remembers it across restarts",
                    )
                    break


def hidden_commits(book: Casebook) -> Iterator[Conviction]:
    """A COMMIT for (v, n, d), and a VIEW-CHANGE to a later view whose checkpoint is below n and
    which owns up to nothing as high there (§4.4; T14). The certificate is durable before the
    COMMIT, and leaves P for one of a higher view or a checkpoint that covers it alone."""
    commits: dict[ReplicaId, list[Said]] = {}
    for (signer, _, _), versions in book.ballots.items():
        commits.setdefault(signer, []).extend(v for v in versions if isinstance(v.message, Commit))
    for (signer, _), versions in book.view_changes.items():
        for change in versions:
            for said in commits.get(signer, ()):
                if _hides(change, said):
                    yield _hidden(change, said)
                    break


def _hides(change: Said, said: Said) -> bool:
    proven, commit = change.proven, said.message
    if not isinstance(proven, ProvenViewChange) or not isinstance(commit, Commit):
        return False
    moved = proven.signed.message
    if commit.view >= moved.view or commit.sequence <= moved.low_watermark:
        return False
    known = proven.prepared.get(commit.sequence)
    if known is None or known.view < commit.view:
        return True
    return known.view == commit.view and known.digest != commit.digest


def _hidden(change: Said, said: Said) -> Conviction:
    commit = said.message
    text = ""
    if isinstance(commit, Commit) and isinstance(change.message, ViewChange):
        text = (
            f"replica {commit.replica} had prepared number {commit.sequence} in view {commit.view},"
            f" for it signed a COMMIT; moving to view {change.message.view} it did not own up to"
            " that: a correct replica keeps the certificate until a checkpoint covers it"
        )
    return _convicted("a COMMIT hidden in a view change", (said, change), text)


def unproven(book: Casebook) -> Iterator[Conviction]:
    """VIEW-CHANGEs and NEW-VIEWs that claim what their contents do not prove (T15-T18)."""
    for shelf in (book.view_changes, book.new_views):
        for versions in shelf.values():
            for said in versions:
                if said.fault is not None:
                    reason = f"it does not prove what it claims: {said.fault}"
                    yield _convicted("an unproven move", (said,), reason)


def wrong_choice(book: Casebook) -> Iterator[Conviction]:
    """A NEW-VIEW whose proposals are not those that its own view changes give (§4.4; T17)."""
    for versions in book.new_views.values():
        for said in versions:
            if isinstance(said.proven, ProvenNewView):
                fault = refusal(said.proven)
                if fault is not None:
                    yield _convicted("a NEW-VIEW against its view changes", (said,), fault)


def bad_batches(book: Casebook) -> Iterator[Conviction]:
    """A proposal of what no client signed, or that is malformed (CL4)."""
    for versions in book.ballots.values():
        for said in versions:
            bad = book.bad_batch(said.message) if isinstance(said.message, PrePrepare) else None
            if bad is not None:
                batch, reason = bad
                found = _convicted(
                    "a bad batch",
                    (said,),
                    f"it proposed a batch that no correct replica proposes: {reason}",
                )
                yield Conviction(found.culprit, found.rule, (said.raw, batch), found.reason)


RULES: tuple[Rule, ...] = (
    two_digests,
    hidden_commits,
    two_moves,
    wrong_choice,
    unproven,
    not_its_vote,
    bad_batches,
)


def told(raw: bytes) -> str:
    """One statement in words."""
    return _told(decode_signed(raw))


def _told(message: Signable) -> str:
    match message:
        case PrePrepare(view, sequence, digest) | Prepare(view, sequence, digest):
            kind = "PRE-PREPARE" if isinstance(message, PrePrepare) else "PREPARE"
            return f"{kind}: view {view}, number {sequence}, {_batch(digest)}"
        case Commit(view, sequence, digest):
            return f"COMMIT: view {view}, number {sequence}, {_batch(digest)}"
        case Checkpoint(sequence, digest):
            return f"CHECKPOINT: number {sequence}, state {digest.hex()[:SHOWN_DIGITS]}"
        case ViewChange():
            owned = [_told_certificate(each.pre_prepare) for each in message.prepared]
            text = ", ".join(owned) if owned else "nothing"
            at = message.low_watermark
            return f"VIEW-CHANGE: to view {message.view}, checkpoint {at}, prepared: {text}"
        case NewView():
            chosen = [_told_certificate(each) for each in message.pre_prepares]
            text = ", ".join(chosen) if chosen else "nothing"
            return f"NEW-VIEW: view {message.view}, proposes again: {text}"
    return type(message).__name__


def _told_certificate(raw: bytes) -> str:
    pp = decode_signed(raw)
    if not isinstance(pp, PrePrepare):
        return "?"
    return f"{pp.sequence} ({_batch(pp.digest)} of view {pp.view})"


def _batch(digest: bytes) -> str:
    return "the null batch" if digest == NULL_DIGEST else f"batch {digest.hex()[:SHOWN_DIGITS]}"


def _convicted(rule: str, said: tuple[Said, ...], reason: str) -> Conviction:
    signer = getattr(said[0].message, "replica", -1)
    return Conviction(signer, rule, tuple(each.raw for each in said), reason)


def _digest(said: Said) -> bytes:
    message = said.message
    return message.digest if isinstance(message, PrePrepare | Prepare | Commit) else b""


def _stable(said: Said) -> SequenceNumber:
    """The checkpoint that a move stands on."""
    message = said.message
    if isinstance(message, ViewChange):
        return message.low_watermark
    if isinstance(said.proven, ProvenNewView):
        return choose(said.proven.view_changes).stable.sequence
    return 0
