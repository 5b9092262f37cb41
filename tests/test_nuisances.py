"""Who makes us work for nothing is charged for it, and is not heard while it owes (FL5)."""

import pytest

from pbft.client_session import REQUESTS_IN_FLIGHT
from pbft.core.ids import SECOND
from pbft.core.messages import Attest, Commit, StableProof, Status
from pbft.core.replica import NUISANCE_PER_TURN_US
from pbft.core.wire import batch_digest
from pbft.nuisances import (
    GUEST_BURST_US,
    NUISANCE_BURST_US,
    NUISANCE_US_PER_SECOND,
    Nuisances,
)
from pbft.transport.endpoint import FRAME_US
from tests.core.lab import Lab

USELESS = Status(0, True, 0, 0, False, False)


def test_who_stays_below_its_allowance_is_always_heard() -> None:
    nuisances = Nuisances({})
    for second in range(1, 100):
        nuisances.charge("replica-2", NUISANCE_US_PER_SECOND, second * SECOND)
        assert nuisances.shunned(second * SECOND) == frozenset()


@pytest.mark.scenario("AU8", "FL5", kills="FL5 who owes is heard nevertheless")
def test_who_spent_its_allowance_is_not_heard_until_it_has_some_again() -> None:
    nuisances = Nuisances({})
    nuisances.charge("replica-2", NUISANCE_BURST_US + NUISANCE_US_PER_SECOND, SECOND)
    nuisances.charge("replica-1", 5, SECOND)
    assert nuisances.shunned(SECOND) == {"replica-2"}
    assert nuisances.shunned(3 * SECOND) == frozenset()


@pytest.mark.scenario(
    "AU8", "FL9", kills="FL5 signatures that were checked for nothing cost their sender nothing"
)
def test_what_was_of_no_use_is_charged_with_its_signatures() -> None:
    lab = Lab(me=1)
    stranger = lab.commit(3, 0, 4, bytes(32))
    cheap = lab.feed(USELESS, peer=2).nuisance
    dear = lab.feed_raw(stranger.raw[:-1] + bytes((stranger.raw[-1] ^ 1,)), peer=3).nuisance
    assert cheap.keys() == {2}
    assert dear.keys() == {3}
    assert dear[3] > cheap[2]


def test_work_costs_nothing() -> None:
    lab = Lab(me=1)
    batch = lab.batch(lab.request(1))
    assert lab.feed(lab.proposal(0, 1, batch), peer=0).nuisance == {}
    assert lab.feed(lab.request(2), peer="alice").nuisance == {}


@pytest.mark.scenario("FL5", "FL7", kills="FL7 an answer that is asked for again costs nothing")
def test_who_asks_again_pays_for_the_answer_by_its_size() -> None:
    """Some hundred bytes bring megabytes, as often as they are sent."""
    lab = Lab(me=1)
    lab.settle(1)
    vars(lab.service)["execute"] = lambda operation, context: bytes(4 * 1024 * 1024)
    lab.settle(2)
    (small,) = lab.feed(lab.request(1)).nuisance.values()
    again = lab.feed(lab.request(2))
    assert len(again.replies[0].data) > 4 * 1024 * 1024
    assert again.nuisance.keys() == {"alice"}
    assert again.nuisance["alice"] > 100 * small
    allowed = NUISANCE_BURST_US // again.nuisance["alice"]
    assert 8 * REQUESTS_IN_FLIGHT < allowed < 100
    assert lab.feed_raw(lab.request(2).raw, peer=3).nuisance == {}
    small, large = (lab.feed(Attest(each), peer="alice").nuisance["alice"] for each in (1, 2))
    assert large > 100 * small


@pytest.mark.scenario("FL6")
def test_a_primary_pays_for_pre_prepares_after_the_first() -> None:
    lab = Lab(me=1)
    lab.feed(lab.proposal(0, 1, lab.batch(lab.request(1))), peer=0)
    for timestamp in (2, 3):
        batch = lab.batch(lab.request(timestamp))
        assert lab.feed(lab.proposal(0, 1, batch), peer=0).nuisance.keys() == {0}


def test_a_view_change_costs_its_senders_nothing_and_two_of_one_sender_do() -> None:
    lab = Lab(me=2)
    others = [lab.view_change(by, 1) for by in (0, 3)]
    lab.feed(others[0], peer=0)
    lab.feed(others[1], peer=3)  # the second makes us join
    assert lab.replica.status().view == 1
    prepared = lab.certificate(0, 1, lab.batch(lab.request(1)), (1, 3))
    again = lab.view_change(3, 1, (prepared,))
    assert lab.feed(again, peer=3).nuisance.keys() == {3}
    new_view = lab.new_view(1, [lab.view_change(by, 1) for by in (0, 1, 3)], {})
    assert lab.feed(lab.view_change(1, 1), new_view, peer=1).nuisance == {}
    assert lab.replica.status().active


def test_a_view_change_costs_nothing_either_where_it_comes_before_we_have_moved() -> None:
    lab = Lab(me=2)
    certificate = lab.certificate(0, 1, lab.batch(lab.request(1)), (1, 3))
    assert lab.feed(lab.view_change(3, 1, (certificate,)), peer=3).nuisance == {}
    assert lab.feed(lab.view_change(3, 7, (certificate,)), peer=3).nuisance.keys() == {3}


def test_a_checkpoint_vote_costs_nothing_the_first_time() -> None:
    lab = Lab(me=2)
    assert lab.feed(lab.checkpoint(3, 8, bytes(32)), peer=3).nuisance == {}
    assert lab.feed(lab.checkpoint(3, 8, bytes(32)), peer=3).nuisance.keys() == {3}
    assert lab.feed(lab.checkpoint(3, 8000, bytes(32)), peer=3).nuisance.keys() == {3}


def test_a_laggard_goes_on_hearing_those_who_are_far_ahead() -> None:
    """A thousand numbers in a second, all beyond its reach, leave most of an allowance."""
    lab = Lab(me=2)
    lab.feed(StableProof(lab.proof(4000, bytes(range(32)), (0, 1, 3))), peer=3)
    spent = 0
    for sequence in range(4001, 4021):
        batch = lab.batch(lab.request(sequence))
        said = (
            lab.proposal(0, sequence, batch),
            lab.commit(0, 0, sequence, batch_digest(batch)),
            lab.decision(0, sequence, batch, (0, 1, 3)),
        )
        spent += lab.feed(*said, peer=0).nuisance[0]
    assert spent * 1000 // 20 < NUISANCE_US_PER_SECOND // 4


def test_in_one_turn_nobody_gets_more_than_a_share() -> None:
    lab = Lab(me=1)
    flood = [
        lab._signers[3].sign(Commit(0, 1, number.to_bytes(32, "big"), 2)).raw
        for number in range(1000)
    ]
    effects = lab.feed_raw(*flood, peer=3)
    dropped = lab.replica.status().drops["too much of no use in one turn"]
    assert dropped > 500
    assert effects.nuisance[3] < 2 * NUISANCE_PER_TURN_US


def test_guests_together_have_what_one_peer_has_and_each_its_part() -> None:
    """In the long run, whatever each of them does; and none pays for another."""
    nuisances, spent = Nuisances({"alice": 64}), 0
    for tick in range(1, 1001):
        now = tick * SECOND // 10
        for slot in range(63):
            if f"alice/{slot}" not in nuisances.shunned(now):
                nuisances.charge(f"alice/{slot}", 1000, now)
                spent += 1000
        nuisances.charge("alice/63", NUISANCE_US_PER_SECOND // 64 // 10, now)
    assert "alice/63" not in nuisances.shunned(100 * SECOND)
    assert "alice" not in nuisances.shunned(100 * SECOND)
    assert len(nuisances.shunned(100 * SECOND)) > 50
    assert spent <= 63 * (GUEST_BURST_US + 1000) + 100 * NUISANCE_US_PER_SECOND


def test_a_guest_with_all_that_it_may_have_under_way_is_heard() -> None:
    nuisances = Nuisances({"alice": 64})
    fragments = REQUESTS_IN_FLIGHT * 1024 * 1024 // 1000
    nuisances.charge("alice/0", fragments * FRAME_US, SECOND)
    assert nuisances.shunned(SECOND) == frozenset()


@pytest.mark.scenario("CL3", "FL5")
def test_a_backup_that_passes_on_what_clients_told_everybody_is_heard() -> None:
    """Clients that tell all at once make each backup pass on every request for nothing: thousands
    in a second must leave it its allowance, or they alone could part a primary from its backups."""
    lab = Lab(me=0)
    spent = 0
    for timestamp in range(1, 9):
        asked = lab.request(timestamp)
        assert lab.feed(asked, peer="alice").nuisance == {}
        spent += lab.feed_raw(asked.raw, peer=2).nuisance[2]
    assert spent / 8 * 4_000 < NUISANCE_US_PER_SECOND
