"""VC: view changes under attack, on bad networks and at awkward moments, in whole runs."""

from collections.abc import Iterable

import msgspec
import pytest

from pbft.core.effects import BecameStable, Send, ViewChangeStarted
from pbft.core.ids import Instant, Principal
from pbft.core.messages import (
    AnyMessage,
    BatchBody,
    Certificate,
    Checkpoint,
    Commit,
    NewView,
    Prepare,
    Proposal,
    ViewChange,
)
from pbft.core.wire import NULL_DIGEST, batch_digest
from pbft.testing.byzantine.behaviour import Behaviour
from pbft.testing.byzantine.ordering import Silent
from tests.simulation.script import LOST, K, Script, calm, place, seconds


def no_commits(view: int, message: AnyMessage) -> bool:
    return isinstance(message, Commit) and message.view == view


@pytest.mark.scenario("VC1", "NW6", "T37", kills="VC1 nobody suspects a primary")
def test_a_silent_primary_costs_one_view_change_and_no_transfer() -> None:
    run = Script(calm(), traitors={0: Silent})
    report = run.held(within=2.0)
    assert (run.entered(), run.views(), report.view_changes) == ([1], {1}, 3)
    assert run.installed() == []


@pytest.mark.scenario("VC2", "CR12", "T24", kills="VC21 a new primary is waited for without end")
def test_two_dead_primaries_in_turn_of_seven() -> None:
    run = Script(calm(7), traitors={0: Silent, 1: Silent})
    run.held(within=1.0 + 2.0 + 0.7)
    assert (run.entered(), run.views()) == ([2], {2})


@pytest.mark.scenario("VC3", "T14", kills="VC3 certificates are left out of P")
def test_what_one_replica_has_prepared_survives_the_crash_of_the_primary() -> None:
    seen: list[bytes] = []

    def rule(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        if isinstance(message, Proposal) and place(message) == (0, 1):
            seen.append(batch_digest(message.batch))
        mine = isinstance(message, Prepare) and message.view == 0 and target != 3
        return LOST if mine or no_commits(0, message) else None

    run = Script(calm(), network=rule)
    run.at(seconds(1.5), lambda: run.crash(run.hosts[0]))
    run.at(seconds(8), lambda: run.restart(run.hosts[0]))
    run.held(within=6.0)
    assert run.checkers.decided[1] == seen[0]


class ShowsNothing(Behaviour):
    """Its VIEW-CHANGEs hide all that it has prepared."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        if not isinstance(send.message, ViewChange):
            return (send,)
        bare = msgspec.structs.replace(send.message, prepared=())
        return (self.say(send, bare),)


@pytest.mark.scenario("VC4", "T13", kills="T13 the lowest view wins")
def test_what_a_later_view_committed_beats_an_older_certificate() -> None:
    """In view 0 only R3 prepares A; in view 1, without R3, R1 alone sees B committed; view 2 hears
    of B from R2 and of A from R3."""

    def rule(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        view = place(message)[0]
        if run.now > seconds(20):
            return None
        if isinstance(message, Prepare) and view == 0 and target != 3:
            return LOST
        if isinstance(message, ViewChange | NewView) and view == 1 and 3 in (source, target):
            return LOST
        if isinstance(message, Prepare | Commit | Proposal) and view == 1 and target == 3:
            return LOST
        if isinstance(message, Commit) and view in (0, 1) and not (view and target == 1):
            return LOST
        away = isinstance(message, ViewChange) and source == 1 and view == 2
        return LOST if away or type(message).__name__ == "Decision" else None

    run = Script(calm(operations=6), traitors={0: ShowsNothing}, network=rule)
    run.held()
    assert 2 in run.entered()
    assert run.checkers.decided[1] != NULL_DIGEST


@pytest.mark.scenario("VC5", "T19", kills="T19 gaps stay empty")
def test_a_gap_between_prepared_numbers_becomes_null() -> None:
    def rule(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        gap = isinstance(message, Prepare) and place(message) == (0, 2)
        return LOST if gap else None

    run = Script(calm(seed=3, operations=60), network=rule)
    run.held(within=4.0)
    assert run.checkers.decided[2] == NULL_DIGEST
    assert run.views() == {1}


class LeavesOut(Behaviour):
    """As new primary: the last number that somebody has prepared is not in O."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        if not isinstance(send.message, NewView):
            return (send,)
        short = msgspec.structs.replace(send.message, pre_prepares=send.message.pre_prepares[:-1])
        return (self.say(send, short),)


@pytest.mark.scenario("VC6", "T17", kills="T17 omitted slots pass")
def test_a_new_view_that_leaves_out_a_prepared_number_is_refused() -> None:
    run = Script(calm(), traitors={1: LeavesOut}, network=lambda _run, _s, _t, m: _lost_in_0(m))
    run.held(within=6.0)
    assert (run.entered(), run.kinds(), run.blamed()) == ([2], {"invalid new view"}, {1})


def _lost_in_0(message: AnyMessage) -> int | None:
    return LOST if no_commits(0, message) else None


class OneBadCertificate(Behaviour):
    """One of the certificates in its VIEW-CHANGE lacks a vote."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        message = send.message
        if not isinstance(message, ViewChange) or not message.prepared:
            return (send,)
        last = message.prepared[-1]
        cut = Certificate(last.pre_prepare, last.prepares[:1])
        bad = msgspec.structs.replace(message, prepared=(*message.prepared[:-1], cut))
        return (self.say(send, bad),)


class ClaimsToBeAhead(Behaviour):
    """Its VIEW-CHANGE names a low watermark beyond its proof."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        message = send.message
        if not isinstance(message, ViewChange) or not message.low_watermark:
            return (send,)
        far = msgspec.structs.replace(message, low_watermark=message.low_watermark + K, prepared=())
        return (self.say(send, far),)


def traitors_first(
    run: Script, source: Principal, target: Principal, message: AnyMessage
) -> int | None:
    """Above the first checkpoint nothing commits in view 0, and an honest VIEW-CHANGE to view 1
    comes after the traitor's."""
    if no_commits(0, message) and place(message)[1] > K:
        return LOST
    late = isinstance(message, ViewChange) and source == 0 and message.view == 1
    return seconds(0.3) if late else None


@pytest.mark.scenario("VC11", "T15", "T16", kills="T15 a certificate below a quorum counts")
def test_one_bad_certificate_voids_its_view_change_and_no_other() -> None:
    run = Script(calm(), traitors={3: OneBadCertificate}, network=traitors_first)
    report = run.held(within=6.0)
    assert report.faults["attack: scripted"] > 0
    assert run.drops(1)["prepared certificate below a quorum"] > 0
    assert run.entered() == [1]


@pytest.mark.scenario("VC12", "T18", kills="T18 an unproven low watermark")
def test_a_low_watermark_beyond_its_proof_is_worth_nothing() -> None:
    run = Script(calm(), traitors={3: ClaimsToBeAhead}, network=traitors_first)
    report = run.held(within=6.0)
    assert report.faults["attack: scripted"] > 0
    assert run.drops(1)["view change with an unproven low watermark"] > 0
    assert run.entered() == [1]


class Inflates(Behaviour):
    """Complains about views that are far away, all the time, and works on."""

    VIEW = 10**12

    def extra(self, now: Instant) -> Iterable[Send]:
        if now.monotonic < seconds(1):
            return
        everyone = tuple(r for r in range(self.honest.config.n) if r != self.honest.number)
        message = ViewChange(self.VIEW, 0, (), (), self.honest.number)
        yield self.say(Send(everyone, b"", message), message)


class Resigns(Inflates):
    """The same about its own view."""

    VIEW = 1


@pytest.mark.scenario("VC17", "T23", "FL5", kills="T23 join the highest view named")
def test_a_view_change_goes_where_f_plus_1_are_and_not_where_one_says() -> None:
    def rule(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        return LOST if isinstance(message, Proposal) and place(message)[0] == 0 else None

    run = Script(calm(operations=12), traitors={3: Inflates}, network=rule)
    run.held(within=4.0)
    assert run.views() == {1}


@pytest.mark.scenario("VC27", kills="T23 join on one complaint")
def test_a_primary_that_alone_complains_about_its_view_moves_nobody() -> None:
    run = Script(calm(operations=12), traitors={0: Resigns})
    report = run.held(within=1.0)
    assert (report.view_changes, run.views()) == (0, {0})


@pytest.mark.scenario("VC18")
def test_a_replica_that_is_deaf_and_complains_is_followed_ever_more_rarely() -> None:
    """What it lacks it cannot hear of, so it is joined after the longest timeout, in case it is
    correct (T27), then after twice that, and so on; and it sends no more than the others."""
    until = seconds(60)

    def rule(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        deaf = run.now < until and target == 3 and isinstance(source, int)
        return LOST if deaf else None

    run = Script(calm(operations=300), network=rule)
    run.at(until, lambda: None)
    run.held(within=20.0)
    changes = [at for at, who, e in run.happened if who == 1 and isinstance(e, ViewChangeStarted)]
    alone = [at for at in changes if at < until]
    assert len(alone) <= 5
    assert run.sent_bytes[3] < 2 * max(run.sent_bytes[each] for each in (0, 1, 2))


@pytest.mark.scenario("VC20", "T24")
def test_backups_that_do_not_hear_each_other_for_a_while() -> None:
    def rule(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        among = {1, 2, 3}
        return LOST if run.now < seconds(5) and {source, target} <= among else None

    run = Script(calm(operations=12), network=rule)
    run.held(within=8.0)


class KeepsItsNewView(Behaviour):
    """As new primary it says nothing of it."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        kept = isinstance(send.message, NewView)
        self.acted += kept
        return () if kept else (send,)


@pytest.mark.scenario("VC21", "T24", kills="VC21 a new primary is waited for without end")
def test_a_new_primary_that_keeps_its_new_view_is_passed_over() -> None:
    """T for view 0 and 2T for view 1."""
    rule = lambda _run, _s, _t, m: LOST if _proposed_in(m, 0) else None  # noqa: E731
    run = Script(calm(operations=12), traitors={1: KeepsItsNewView}, network=rule)
    run.held(within=1.0 + 2.0 + 0.7)
    assert run.entered() == [2]


def _proposed_in(message: AnyMessage, view: int) -> bool:
    return isinstance(message, Proposal) and place(message)[0] == view


class WrongBodies(Behaviour):
    """Serves bodies that nobody asked for, and votes in no view after the first."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        message = send.message
        if isinstance(message, BatchBody):
            return (self.say(send, BatchBody(message.batch + b"?")),)
        later = isinstance(message, Prepare | Commit) and message.view > 0
        return () if later or type(message).__name__ == "Decision" else (send,)


@pytest.mark.scenario("VC23", "T20", kills="T20 missing bodies are not fetched")
def test_a_chosen_body_is_fetched_before_its_vote_and_a_wrong_one_is_not_taken() -> None:
    """R2 never saw the batch that R0, R1 and R3 prepared, and its vote is needed in view 1."""

    def rule(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        body = isinstance(message, Proposal) and place(message)[0] == 0 and target == 2
        return LOST if body or no_commits(0, message) else None

    run = Script(calm(operations=6), traitors={3: WrongBodies}, network=rule)
    report = run.held(within=4.0)
    assert run.views() == {1}
    assert report.faults["attack: scripted"] > 0


@pytest.mark.scenario("VC25", "T22")
def test_votes_of_the_old_view_that_come_late_are_not_answered() -> None:
    def rule(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        return seconds(1.3) if isinstance(message, Prepare) and message.view == 0 else None

    run = Script(calm(operations=12), network=rule)
    run.held(within=6.0)
    assert 1 in run.entered()


@pytest.mark.scenario("VC30", "CP2", "T46")
def test_a_primary_that_dies_at_the_number_of_a_checkpoint() -> None:
    """Two have heard of each other's vote for the checkpoint in view 0, the third in view 1."""

    def rule(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        if not isinstance(message, Checkpoint) or run.now > seconds(2.2):
            return None
        run.at(run.now, lambda: run.crash(run.hosts[0]))
        return LOST if source in (0, 2) else None

    run = Script(calm(), network=rule)
    run.at(seconds(7), lambda: run.restart(run.hosts[0]))
    run.held(within=7.0)
    stable = [e.sequence for _, who, e in run.happened if who == 1 and isinstance(e, BecameStable)]
    assert stable == sorted(set(stable))
    assert stable[0] == K
