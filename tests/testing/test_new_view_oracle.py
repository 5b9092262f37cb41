"""The second reading of §4.4 accepts the right O and refuses every other."""

from collections.abc import Iterable

import pytest

from pbft.core.authentication import Authentication
from pbft.core.messages import Signed, ViewChange
from pbft.core.wire import NULL_DIGEST, batch_digest
from pbft.testing.new_view_oracle import NewViewOracle
from tests.core.lab import Lab


@pytest.fixture
def lab() -> Lab:
    return Lab()


def complaint(
    lab: Lab,
    changes: Iterable[Signed[ViewChange]],
    digests: dict[int, bytes],
    by: int | None = None,
) -> str | None:
    judge = Authentication(lab.config.cluster_id, lab.keys[0], lab.verifier)
    return NewViewOracle(lab.config, judge).complaint(lab.new_view(1, changes, digests, by).raw)


def test_nothing_prepared_gives_an_empty_o(lab: Lab) -> None:
    changes = [lab.view_change(by, 1) for by in (0, 1, 2)]
    assert complaint(lab, changes, {}) is None
    assert complaint(lab, changes, {1: NULL_DIGEST}) is not None


def test_what_one_has_prepared_must_be_proposed_again_with_null_in_the_gaps(lab: Lab) -> None:
    batch = lab.batch(lab.request(1))
    prepared = [lab.certificate(0, 2, batch, (1, 2))]
    changes = [lab.view_change(1, 1, prepared), lab.view_change(2, 1), lab.view_change(3, 1)]
    digest = batch_digest(batch)
    assert complaint(lab, changes, {1: NULL_DIGEST, 2: digest}) is None
    for wrong in ({}, {2: digest}, {1: NULL_DIGEST, 2: NULL_DIGEST}, {1: digest, 2: digest}):
        assert complaint(lab, changes, wrong) is not None


def test_a_quorum_of_distinct_senders_for_this_view_is_needed(lab: Lab) -> None:
    three = [lab.view_change(by, 1) for by in (0, 1, 2)]
    assert "fewer" in str(complaint(lab, three[:2], {}))
    assert complaint(lab, [*three[:2], three[1]], {}) is not None
    assert complaint(lab, [*three[:2], lab.view_change(2, 2)], {}) is not None


def test_only_the_primary_of_the_view_may_say_it(lab: Lab) -> None:
    changes = [lab.view_change(by, 1) for by in (0, 1, 2)]
    assert complaint(lab, changes, {}, by=2) == "not by the primary"


def test_a_claim_without_its_proof_is_refused(lab: Lab) -> None:
    batch = lab.batch(lab.request(1))
    thin = [lab.certificate(0, 1, batch, (1,))]
    others = [lab.view_change(2, 1), lab.view_change(3, 1)]
    digests = {1: batch_digest(batch)}
    assert "unproven" in str(complaint(lab, [lab.view_change(1, 1, thin), *others], digests))
    low = lab.view_change(1, 1, (), 8, lab.proof(8, bytes(32), (1, 2)))
    assert "unproven" in str(complaint(lab, [low, *others], {}))
