"""Two decisions for one number: who is convicted, and what is missing where that is not enough."""

import pytest

from pbft.core.messages import Signable, Signed
from pbft.core.wire import batch_digest
from pbft.forensics.rules import told
from tests.core.lab import Lab
from tests.forensics.court import ONE, OTHER, book, commits, judged


@pytest.mark.scenario("AC1", "AC2")
def test_ac2_two_certificates_of_one_view_convict_f_plus_1_by_themselves() -> None:
    lab = Lab()
    found = judged(lab, *commits(lab, 0, 5, ONE, (0, 1, 3)), *commits(lab, 0, 5, OTHER, (0, 2, 3)))
    assert (sorted(found.culprits), found.enough) == ([0, 3], True)
    (fork,) = found.forks
    assert fork.sequence == 5
    assert [each.signers for each in fork.certificates] == [(0, 1, 3), (0, 2, 3)]


def across(lab: Lab) -> tuple[list[Signed[Signable]], Signed[Signable]]:
    """Certificates of views 0 and 1, and the NEW-VIEW in between, in which 0 and 3 are silent
    about what they committed."""
    one = batch_digest(lab.batch(lab.request(1)))
    other = batch_digest(lab.batch(lab.request(2)))
    certificates = [*commits(lab, 0, 1, one, (0, 1, 3)), *commits(lab, 1, 1, other, (0, 2, 3))]
    changes = [lab.view_change(each, 1) for each in (0, 2, 3)]
    return certificates, lab.new_view(1, changes, {})


@pytest.mark.scenario("AC3")
def test_ac3_across_views_it_takes_the_new_view_too() -> None:
    lab = Lab()
    certificates, new_view = across(lab)
    found = judged(lab, *certificates, new_view)
    assert (sorted(found.culprits), found.enough) == ([0, 3], True)
    assert found.forks[0].missing == ()


def test_without_the_new_view_it_says_which_is_missing() -> None:
    lab = Lab()
    certificates, _ = across(lab)
    found = judged(lab, *certificates)
    assert (found.culprits, found.enough) == ({}, False)
    assert found.forks[0].missing == (1,)


def test_one_decision_in_two_views_is_no_fork() -> None:
    lab = Lab()
    found = judged(lab, *commits(lab, 0, 5, ONE, (0, 1, 3)), *commits(lab, 1, 5, ONE, (0, 2, 3)))
    assert (found.forks, found.culprits, found.enough) == ([], {}, True)


def test_fewer_than_a_quorum_decide_nothing() -> None:
    lab = Lab()
    assert judged(lab, *commits(lab, 0, 5, ONE, (0, 1)), *commits(lab, 1, 5, OTHER, (2, 3))).enough


@pytest.mark.scenario("AC2")
def test_junk_votes_do_not_hide_a_fork() -> None:
    lab = Lab()
    junk = [lab.prepare(3, 0, 5, bytes([each]) * 32) for each in range(10, 30)]
    votes = [*commits(lab, 0, 5, ONE, (0, 1, 3)), *commits(lab, 0, 5, OTHER, (0, 2, 3))]
    assert len(judged(lab, *junk, *votes).forks) == 1


@pytest.mark.scenario("AC3")
def test_a_statement_inside_another_counts_as_one() -> None:
    """A COMMIT and a PREPARE against it, deep inside somebody else's new view."""
    lab = Lab()
    batch = lab.batch(lab.request(1))
    prepared = lab.certificate(0, 1, batch, (1, 2, 3))
    changes = [lab.view_change(each, 1, (prepared,)) for each in (0, 2, 3)]
    new_view = lab.new_view(1, changes, {1: batch_digest(batch)})
    found = judged(lab, new_view, lab.commit(3, 0, 1, OTHER))
    assert list(found.culprits) == [3]
    assert book(lab, new_view).genuine == 9, "1 + 3 moves, 1 + 3 votes, 1 proposal again"


def test_statements_in_words() -> None:
    lab = Lab()
    batch = lab.batch(lab.request(1))
    name = batch_digest(batch).hex()[:12]
    move = lab.view_change(3, 1, (lab.certificate(0, 1, batch, (1, 2, 3)),))
    words = f"VIEW-CHANGE: to view 1, checkpoint 0, prepared: 1 (batch {name} of view 0)"
    assert told(move.raw) == words
    assert told(lab.pre_prepare(0, 5, batch).raw) == f"PRE-PREPARE: view 0, number 5, batch {name}"
    assert told(lab.commit(3, 0, 5, ONE).raw) == "COMMIT: view 0, number 5, batch 010101010101"
    assert told(lab.checkpoint(3, 8, ONE).raw) == "CHECKPOINT: number 8, state 010101010101"
    assert told(lab.new_view(1, [], {}).raw) == "NEW-VIEW: view 1, proposes again: nothing"
