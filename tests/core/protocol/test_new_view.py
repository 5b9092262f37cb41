"""Choosing O: the pure function against hand-made cases and a literal reading of §4.4."""

import random

import pytest

from pbft.core.ingress import GENESIS
from pbft.core.messages import Certificate, Signed, ViewChange
from pbft.core.protocol.new_view import choose
from pbft.core.verified import PreparedProof, ProvenViewChange, StableCheckpoint
from pbft.core.wire import NULL_DIGEST

EMPTY = Certificate(b"", ())


def view_change(
    sender: int, stable: int = 0, prepared: dict[int, tuple[int, bytes]] | None = None
) -> ProvenViewChange:
    """`prepared` maps sequence numbers to (view, digest)."""
    proofs = {
        n: PreparedProof(view, n, digest, EMPTY) for n, (view, digest) in (prepared or {}).items()
    }
    message = ViewChange(9, stable, (), (), sender)
    proof = StableCheckpoint(stable, b"s" * 32, ()) if stable else GENESIS
    return ProvenViewChange(Signed(message, b""), proof, proofs)


@pytest.mark.scenario("VC15", "T18", kills="VC15 the lowest proven checkpoint is chosen")
def test_vc15_the_highest_proven_checkpoint_without_a_quorum_of_supporters() -> None:
    choice = choose([view_change(0, 10), view_change(1, 0), view_change(2, 0)])
    assert (choice.stable.sequence, choice.digests, choice.highest) == (10, {}, 10)


@pytest.mark.scenario("VC4", "VC5", kills=("T13 the lowest view wins", "T19 gaps stay empty"))
def test_vc4_and_vc5_highest_view_and_gaps() -> None:
    choice = choose(
        [
            view_change(0, 0, {1: (0, b"a"), 4: (2, b"x")}),
            view_change(1, 0, {1: (3, b"b")}),
            view_change(2, 0, {1: (1, b"c"), 2: (0, b"d")}),
        ]
    )
    assert choice.digests == {1: b"b", 2: b"d", 3: NULL_DIGEST, 4: b"x"}
    assert choice.highest == 4


def test_entries_at_or_below_the_chosen_checkpoint_are_settled() -> None:
    choice = choose([view_change(0, 8), view_change(1, 0, {7: (1, b"a"), 9: (1, b"b")})])
    assert choice.digests == {9: b"b"}


def test_random_cases_agree_with_a_literal_reading_of_section_4_4() -> None:
    rng = random.Random(44)
    for _ in range(300):
        vcs = []
        for sender in range(4):
            entries = {
                n: (rng.randrange(5), bytes([rng.randrange(3)]))
                for n in range(1, 20)
                if rng.random() < 0.3
            }
            # one digest per view and number, as quorums ensure
            entries = {n: (v, bytes([(v * 7 + n) % 5])) for n, (v, _) in entries.items()}
            vcs.append(view_change(sender, rng.choice([0, 0, 4, 8]), entries))
        min_s = max(vc.stable.sequence for vc in vcs)
        numbers = [n for vc in vcs for n in vc.prepared if n > min_s]
        literal = {}
        for n in range(min_s + 1, max(numbers, default=min_s) + 1):
            held = [vc.prepared[n] for vc in vcs if n in vc.prepared]
            top = max((p.view for p in held), default=None)
            matching = [p.digest for p in held if p.view == top]
            literal[n] = matching[0] if matching else NULL_DIGEST
        assert choose(vcs).digests == literal
