"""Each oracle flags a run made to violate it; none flags a correct one."""

from collections.abc import Callable

import pytest

from pbft.core.authentication import Authentication
from pbft.core.effects import BecameStable, EnteredView, Event, Executed, Installed, Send
from pbft.core.messages import NewView
from pbft.core.records import Accepted, AnyRecord, Prepared, Snapshotted, ViewEntered
from pbft.core.wire import NULL_DIGEST, batch_digest
from pbft.testing.checkers import Checkers
from pbft.testing.new_view_oracle import NewViewOracle
from tests.core.lab import Lab

ONE, TWO = b"1" * 32, b"2" * 32


@pytest.fixture
def lab() -> Lab:
    return Lab()


@pytest.fixture
def checkers(lab: Lab) -> Checkers:
    judge = Authentication(lab.config.cluster_id, lab.keys[0], lab.verifier)
    found = Checkers(NewViewOracle(lab.config, judge))
    found.signed_by_clients |= {("alice", 1), ("alice", 2)}
    return found


def executed(sequence: int, digest: bytes = ONE, *keys: tuple[str, int]) -> Executed:
    return Executed(sequence, digest, keys, len(keys))


CASES: list[tuple[str, list[tuple[int, Event]]]] = [
    ("agreement", [(0, executed(1, ONE)), (1, executed(1, TWO))]),
    ("agreement", [(0, BecameStable(8, ONE)), (1, BecameStable(8, TWO))]),
    ("agreement", [(0, BecameStable(8, ONE)), (1, Installed(8, TWO))]),
    ("integrity", [(0, executed(1)), (0, executed(3))]),
    ("integrity", [(0, executed(1)), (0, executed(1))]),
    ("integrity", [(0, executed(1, ONE, ("alice", 1))), (0, executed(2, TWO, ("alice", 1)))]),
    ("validity", [(0, executed(1, ONE, ("mallory", 1)))]),
    ("views", [(0, EnteredView(3)), (0, EnteredView(2))]),
]


@pytest.mark.scenario("AC2", kills="AC2 nobody compares what was executed")
@pytest.mark.parametrize(("complaint", "events"), CASES)
def test_events_that_break_a_property_are_flagged(
    checkers: Checkers, complaint: str, events: list[tuple[int, Event]]
) -> None:
    for replica, event in events[:-1]:
        checkers.happened(replica, event)
    assert checkers.complaints == []
    checkers.happened(*events[-1])
    assert checkers.complaints[0].startswith(complaint)


def test_a_correct_history_is_not_flagged(checkers: Checkers) -> None:
    for replica in (0, 1):
        checkers.happened(replica, executed(1, ONE, ("alice", 1)))
        checkers.happened(replica, executed(2, TWO, ("alice", 2)))
        checkers.happened(replica, EnteredView(1))
    checkers.restarted(0, 0, [])
    checkers.happened(0, executed(1, ONE, ("alice", 1)))
    checkers.happened(1, Installed(8, ONE))
    checkers.happened(1, executed(9))
    assert checkers.complaints == []


def test_a_vote_before_its_record_and_a_vote_against_another(lab: Lab, checkers: Checkers) -> None:
    batch, other = lab.batch(lab.request(1)), lab.batch(lab.request(2))
    votes = [lab.prepare(1, 0, 1, batch_digest(b)) for b in (batch, other)]
    sends = [Send((0,), vote.raw, vote.message) for vote in votes]
    checkers.sent(1, sends[0])
    assert checkers.complaints[0].startswith("persistence")
    for each in (batch, other):
        checkers.durable(1, Accepted(lab.pre_prepare(0, 1, each).raw, each))
    checkers.sent(1, sends[0])
    assert len(checkers.complaints) == 1
    checkers.sent(1, sends[1])
    assert checkers.complaints[1].startswith("votes")


Make = Callable[[Lab], list[tuple[int, AnyRecord]]]


def _two_certificates(lab: Lab) -> list[tuple[int, AnyRecord]]:
    batches = [lab.batch(lab.request(i)) for i in (1, 2)]
    certificates = [lab.certificate(0, 1, b, (1, 2)) for b in batches]
    return [(0, Prepared(1, certificates[0])), (2, Prepared(1, certificates[1]))]


def _two_roots(lab: Lab) -> list[tuple[int, AnyRecord]]:
    return [(0, Snapshotted(8, ONE, (), ())), (1, Snapshotted(8, TWO, (), ()))]


def _two_new_views(lab: Lab) -> list[tuple[int, AnyRecord]]:
    vcs = [lab.view_change(r, 1) for r in range(4)]
    raws = [lab.new_view(1, vcs[i : i + 3], {}).raw for i in (0, 1)]
    return [(2, ViewEntered(raws[0])), (2, ViewEntered(raws[1]))]


@pytest.mark.parametrize("make", [_two_certificates, _two_roots, _two_new_views])
def test_records_that_contradict_each_other_are_flagged(
    lab: Lab, checkers: Checkers, make: Make
) -> None:
    first, second = make(lab)
    checkers.durable(*first)
    assert checkers.complaints == []
    checkers.durable(*second)
    assert checkers.complaints


def test_the_second_reading_of_section_4_4_agrees_and_objects(lab: Lab) -> None:
    judge = Authentication(lab.config.cluster_id, lab.keys[0], lab.verifier)
    oracle = NewViewOracle(lab.config, judge)
    batch = lab.batch(lab.request(1))
    certificate = lab.certificate(0, 2, batch, (1, 3))
    vcs = [lab.view_change(0, 1), lab.view_change(1, 1), lab.view_change(3, 1, [certificate])]
    right = {1: NULL_DIGEST, 2: batch_digest(batch)}
    assert oracle.complaint(lab.new_view(1, vcs, right).raw) is None
    bad_change = lab.view_change(3, 1, [lab.certificate(0, 2, batch, (3,))])
    wrong: list[NewView] = [
        lab.new_view(1, vcs, {}).message,
        lab.new_view(1, vcs, {**right, 2: NULL_DIGEST}).message,
        lab.new_view(1, vcs[:2], {}).message,
        lab.new_view(1, [*vcs[:2], vcs[0]], {}).message,
        lab.new_view(1, [*vcs[:2], bad_change], right).message,
        lab.new_view(1, [lab.view_change(r, 2) for r in (0, 1, 3)], {}).message,
        lab.new_view(1, [lab.view_change(r, 1, low_watermark=8) for r in (0, 1, 3)], {}).message,
        lab.new_view(1, vcs, right, by=2).message,
    ]
    for message in wrong:
        signer = lab._signers[message.replica]
        assert oracle.complaint(signer.sign(message).raw) is not None


def test_a_vote_in_a_view_that_was_left_is_flagged_unless_it_was_cast_before(
    lab: Lab, checkers: Checkers
) -> None:
    early, late = lab.prepare(1, 0, 1, ONE), lab.prepare(1, 0, 2, ONE)
    move, beyond = lab.view_change(1, 2), lab.prepare(1, 2, 2, TWO)
    for vote in (early, move, early, beyond):
        checkers.sent(1, Send((0,), vote.raw, vote.message))
    assert not [each for each in checkers.complaints if "it left" in each]
    checkers.departures.heard(0, move.raw)
    checkers.forgot(1)
    checkers.sent(1, Send((0,), late.raw, late.message))
    assert len([each for each in checkers.complaints if "it left" in each]) == 1


@pytest.mark.parametrize(
    ("holders", "dead", "recorded", "flagged"),
    [
        ((), (), False, False),
        ((0,), (), False, True),
        ((0, 2), (0,), False, True),
        ((0, 2), (0, 2), False, False),
        ((0, 2), (0, 2), True, True),
    ],
    ids=["heard by nobody", "heard", "one still knows", "all have lost it", "on a disk"],
)
def test_who_forgot_that_it_left_a_view_is_held_to_what_others_still_hold(
    lab: Lab,
    checkers: Checkers,
    holders: tuple[int, ...],
    dead: tuple[int, ...],
    recorded: bool,
    flagged: bool,
) -> None:
    move, late = lab.view_change(1, 2), lab.prepare(1, 0, 2, ONE)
    checkers.sent(1, Send((0, 2, 3), move.raw, move.message))
    for each in holders:
        checkers.departures.heard(each, move.raw)
    if recorded:
        changes = [lab.view_change(each, 2) for each in (0, 1, 2)]
        checkers.durable(3, ViewEntered(lab.new_view(2, changes, {}).raw))
    for each in dead:
        checkers.departures.died(each)
    checkers.forgot(1)
    checkers.sent(1, Send((0,), late.raw, late.message))
    assert bool([each for each in checkers.complaints if "it left" in each]) == flagged


@pytest.mark.parametrize(("signers", "flagged"), [((1, 2), False), ((0, 2), True), ((2,), True)])
def test_a_certificate_of_too_few_backups_is_flagged(
    lab: Lab, checkers: Checkers, signers: tuple[int, ...], flagged: bool
) -> None:
    certificate = lab.certificate(0, 1, lab.batch(lab.request(1)), signers)
    checkers.durable(2, Prepared(1, certificate))
    assert bool(checkers.complaints) == flagged
