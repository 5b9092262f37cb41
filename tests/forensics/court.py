"""Statements by hand, and a book to put them into."""

from collections.abc import Iterable

from pbft.core.authentication import Authentication
from pbft.core.messages import Signable, Signed
from pbft.forensics import Casebook, Verdict, verdict
from tests.core.lab import CLIENTS, Lab

ONE, OTHER = bytes([1]) * 32, bytes([2]) * 32


def book(lab: Lab, *statements: "Signed[Signable] | bytes") -> Casebook:
    """In which these are."""
    judge = Authentication(lab.config.cluster_id, lab.keys[0], lab.verifier)
    found = Casebook(lab.config, judge, frozenset(CLIENTS[:3]))
    for each in statements:
        found.add(each if isinstance(each, bytes) else each.raw)
    return found


def judged(lab: Lab, *statements: "Signed[Signable] | bytes") -> Verdict:
    return verdict(book(lab, *statements))


def accused(lab: Lab, *statements: "Signed[Signable] | bytes") -> dict[int, list[str]]:
    """The rules by which each is convicted."""
    found = judged(lab, *statements).culprits
    return {culprit: [each.rule for each in some] for culprit, some in found.items()}


def commits(
    lab: Lab, view: int, sequence: int, digest: bytes, by: Iterable[int]
) -> list[Signed[Signable]]:
    return [lab.commit(each, view, sequence, digest) for each in by]
