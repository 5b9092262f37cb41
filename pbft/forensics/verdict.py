"""The culprits, each with what convicts it; and what was decided twice.

Where agreement is broken, f+1 replicas or more have signed what no correct one does:

- Two commit certificates of one view for one number meet in 2q - n >= f+1 signers, and each of
  these has signed two COMMITs: the certificates alone convict them.
- Of views v < v': let w be the first view above v in which another batch was prepared. The q
  VIEW-CHANGEs inside the NEW-VIEW of w meet the earlier certificate in f+1 signers. Each had
  prepared the batch in v, and had it owned up to that, w would have had to choose it. Or the
  NEW-VIEW does not follow from them, and no correct replica entered by it.

So the two certificates and that NEW-VIEW suffice, and a replica that was in w has kept it. Where it
is not among the statements, the verdict names the views of which it may be.
"""

from collections.abc import Iterator

from msgspec import Struct

from pbft.core.ids import Digest, ReplicaId, SequenceNumber, View
from pbft.core.messages import Commit
from pbft.forensics.rules import RULES, Conviction
from pbft.forensics.statements import Casebook


class Certificate(Struct, frozen=True):
    """q replicas or more have signed COMMITs to this."""

    view: View
    digest: Digest
    signers: tuple[ReplicaId, ...]


class Fork(Struct, frozen=True):
    """Two batches were decided at `sequence`. `missing`: views whose NEW-VIEW would say more."""

    sequence: SequenceNumber
    certificates: tuple[Certificate, ...]
    missing: tuple[View, ...]


class Verdict(Struct, frozen=True):
    """`culprits`: of each replica that is convicted, one conviction per rule. `doubts`: what is
    strange and proves nothing. `enough`: whether every fork is explained by f+1 culprits."""

    culprits: dict[ReplicaId, list[Conviction]]
    forks: list[Fork]
    doubts: list[str]
    statements: int
    refused: int
    enough: bool


def verdict(book: Casebook) -> Verdict:
    """What the statements in `book` prove."""
    found: dict[tuple[ReplicaId, str], Conviction] = {}
    for rule in RULES:
        for conviction in rule(book):
            found.setdefault((conviction.culprit, conviction.rule), conviction)
    culprits: dict[ReplicaId, list[Conviction]] = {}
    for (culprit, _), conviction in sorted(found.items(), key=lambda each: each[0][0]):
        culprits.setdefault(culprit, []).append(conviction)
    forks = list(_forks(book))
    enough = not forks or len(culprits) > book.config.f
    return Verdict(culprits, forks, _doubts(book), book.genuine, book.refused, enough)


def certificates(book: Casebook) -> dict[SequenceNumber, list[Certificate]]:
    """What was decided where, as far as q COMMITs of distinct replicas say so."""
    commits: dict[tuple[SequenceNumber, View, Digest], set[ReplicaId]] = {}
    for versions in book.ballots.values():
        for said in versions:
            if isinstance(message := said.message, Commit):
                place = (message.sequence, message.view, message.digest)
                commits.setdefault(place, set()).add(message.replica)
    found: dict[SequenceNumber, list[Certificate]] = {}
    for (sequence, view, digest), signers in sorted(commits.items()):
        if len(signers) >= book.config.quorum:
            certificate = Certificate(view, digest, tuple(sorted(signers)))
            found.setdefault(sequence, []).append(certificate)
    return found


def _forks(book: Casebook) -> Iterator[Fork]:
    known = {view for _, view in book.new_views}
    for sequence, certified in sorted(certificates(book).items()):
        if len({each.digest for each in certified}) > 1:
            first, last = certified[0].view, certified[-1].view
            missing = tuple(view for view in range(first + 1, last + 1) if view not in known)
            yield Fork(sequence, tuple(certified), missing)


def _doubts(book: Casebook) -> list[str]:
    return [
        f"replica {signer} signed {len(versions)} digests of the state at {sequence}: a damaged"
        " disk or a service that is not deterministic explains that too (`pbft diverged`)"
        for (signer, sequence), versions in sorted(book.checkpoints.items())
        if len(versions) > 1
    ]
