"""CP and ST: checkpoints and the transfer of state under attack, in whole runs."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest

from pbft.core.effects import Effects, Installed, Send
from pbft.core.ids import MILLISECOND, Instant, Packet, Principal
from pbft.core.messages import (
    AnyMessage,
    BatchBody,
    Checkpoint,
    Decision,
    FetchNodes,
    NewView,
    Node,
    Nodes,
    Place,
    Proposal,
    Reply,
    Request,
    ViewChange,
)
from pbft.core.service import FORGOTTEN
from pbft.core.wire import decode
from pbft.testing.byzantine.behaviour import Behaviour, Maker
from pbft.testing.byzantine.lying import LieInCheckpoints
from tests.simulation.script import LOST, K, L, Rule, Script, calm, place, seconds


def low(run: Script, replica: int) -> int:
    return run.hosts[replica].replica.status().low_watermark


@pytest.mark.scenario("CP1", "T29", kills="CP1 liars about checkpoints go unnoticed")
def test_a_replica_that_signs_another_state_is_outvoted_and_noticed() -> None:
    run = Script(calm(), traitors={3: LieInCheckpoints})
    run.held(within=1.0)
    assert [low(run, each) for each in (0, 1, 2)] == [24, 24, 24]
    assert run.kinds() == {"checkpoint against a quorum"}


@pytest.mark.scenario("CP2", kills="T29 f+1 votes make a checkpoint stable")
def test_f_plus_1_checkpoint_votes_do_not_move_the_window() -> None:
    seen: list[int] = []

    def rule(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        early = isinstance(message, Checkpoint) and run.now < seconds(3)
        return LOST if early and {source, target} & {1, 2} else None

    run = Script(calm(operations=60, request_timeout_ns=seconds(4)), network=rule)
    run.at(seconds(2.9), lambda: seen.extend((low(run, 0), low(run, 3), run.executed(0, run.now))))
    run.held(within=4.0)
    assert seen[:2] == [0, 0]
    assert seen[2] >= K


class NoCheckpoints(Behaviour):
    """Never votes for one."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        withheld = isinstance(send.message, Checkpoint)
        self.acted += withheld
        return () if withheld else (send,)


@pytest.mark.scenario("CP4", "FL11", kills="CP4 the window does not bound the primary")
def test_withheld_checkpoint_votes_stop_nobody_and_those_of_more_fill_the_window() -> None:
    """R3 is a traitor; until the third second nobody hears R1 and R2 either."""
    numbers: set[int] = set()

    def rule(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        if run.now > seconds(2.9):
            return None
        if isinstance(message, Proposal):
            numbers.add(place(message)[1])
        return LOST if isinstance(message, Checkpoint) and source in (1, 2) else None

    plan = calm(operations=60, request_timeout_ns=seconds(4), timeout_max_ns=seconds(8))
    run = Script(plan, traitors={3: NoCheckpoints}, network=rule)
    run.held(within=4.0)
    assert max(numbers) == L
    assert run.executed(0, seconds(2.9)) == L
    assert low(run, 0) == 56


class FarCheckpoints(Behaviour):
    """A vote for another number of the far future in every turn."""

    _step = 0

    def extra(self, now: Instant) -> Iterable[Send]:
        self._step += 1
        vote = Checkpoint(1000 * K + self._step * K, self.some_digest(), self.honest.number)
        others = tuple(r for r in range(self.honest.config.n) if r != self.honest.number)
        yield self.say(Send(others, b"", vote), vote)


@pytest.mark.scenario("CP9", kills="CP9 votes for the far future are kept")
def test_checkpoint_votes_for_the_far_future_move_nobody_and_are_not_kept() -> None:
    run = Script(calm(), traitors={3: FarCheckpoints})
    report = run.held(within=1.0)
    assert report.faults["attack: scripted"] > 50
    assert run.installed() == []
    for host in run.correct:
        votes = host.replica._state.checkpoints.votes  # type: ignore[attr-defined]
        assert len(votes) < 10


# -- fetching a state --------------------------------------------------------------------------


def away(replica: int, until: float, then: Rule | None = None, begin: float = 0.0) -> Rule:
    """A replica hears nothing for a while; then `then` decides."""

    def rule(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        if target == replica and seconds(begin) <= run.now < seconds(until):
            return LOST
        return then(run, source, target, message) if then is not None else None

    return rule


class WrongNodes(Behaviour):
    """Each node that it gives has one byte more."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        if not isinstance(send.message, Nodes):
            return (send,)
        nodes = (Node(each.path, each.digest, self.lie(each.data)) for each in send.message.nodes)
        return (self.say(send, Nodes(tuple(nodes))),)

    def lie(self, data: bytes) -> bytes:
        return data + b"?"


def other_value(data: bytes) -> bytes:
    """A leaf ends with its last value: in canonical form, and not what its digest says."""
    return data[:-1] + bytes([data[-1] ^ 1])


class WrongValues(WrongNodes):
    """Each leaf that it gives has a value that was never written."""

    def lie(self, data: bytes) -> bytes:
        return other_value(data) if data.startswith(b"L") else data


@pytest.mark.scenario("ST1", kills="T29 a leaf's digest is not compared")
@pytest.mark.parametrize("liar", [WrongNodes, WrongValues])
def test_a_source_that_lies_is_left_and_the_state_comes_from_others(liar: Maker) -> None:
    run = Script(calm(operations=120), traitors={0: liar}, network=away(3, 2.6))
    run.held(within=2.0)
    assert 3 in run.installed()
    assert run.drops(3)["node that does not verify"] in (1, 2)


class OneNodeASecond(Behaviour):
    """Answers a question for state with one node, and that a second late."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        message = send.message
        if not isinstance(message, Nodes):
            return (send,)
        return (self.say(send, Nodes(message.nodes[:1])),)


@pytest.mark.scenario("ST3")
def test_a_source_that_gives_a_little_at_a_time_is_not_waited_for() -> None:
    def slow(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        return seconds(1) if isinstance(message, Nodes) and source == 0 else None

    run = Script(calm(operations=90), traitors={0: OneNodeASecond}, network=away(3, 4.0, slow))
    run.held(within=3.0)
    done = [at for at, who, e in run.happened if who == 3 and isinstance(e, Installed)]
    assert min(done) < seconds(4.0 + 3.0)


@pytest.mark.scenario("ST4")
def test_a_state_that_moves_on_while_it_is_fetched_is_fetched_all_the_same() -> None:
    """Each answer takes longer than the others take for two checkpoints."""

    def slow(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        return seconds(0.35) if isinstance(message, Nodes) and target == 3 else None

    run = Script(calm(operations=240), network=away(3, 2.5, slow))
    run.held(within=2.0)
    assert 3 in run.installed()


@pytest.mark.scenario("ST6", "T30", kills="T30 the client table is not in the snapshot")
def test_a_restored_replica_answers_a_retry_of_what_ran_before_its_snapshot() -> None:
    kept: list[Send] = []
    said: list[Reply] = []

    def look(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        if isinstance(message, Reply) and source == 3 and run.now >= seconds(5):
            said.append(message)
        return None

    class Kept(Script):
        def post(self, source: Principal, send: Send, node: Principal | None = None) -> None:
            if isinstance(send.message, Request) and source == "client-0" and not kept:
                kept.append(Send((3,), send.data, send.message))
            super().post(source, send, node)

    run = Kept(calm(operations=240, client_window=256), network=away(3, 2.6, look))
    run.at(seconds(5), lambda: run.arrives("client-0", kept[0]))
    run.held(within=2.0)
    assert 3 in run.installed()
    first = kept[0].message
    assert isinstance(first, Request)
    answers = [each.results for each in said if each.timestamp == first.timestamp]
    assert answers
    assert (FORGOTTEN,) not in answers


class AnotherTable(Behaviour):
    """Changes what is kept of clients in the nodes that it gives, and nothing else."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        message = send.message
        if not isinstance(message, Nodes) or b"client-" not in send.data:
            return (send,)
        nodes = (
            msgspec.structs.replace(each, data=other_value(each.data))
            if b"client-" in each.data
            else each
            for each in message.nodes
        )
        return (self.say(send, Nodes(tuple(nodes))),)


@pytest.mark.scenario("ST7", kills="T29 a leaf's digest is not compared")
def test_a_source_that_changes_the_table_of_clients_alone_is_found_out() -> None:
    run = Script(calm(operations=90), traitors={0: AnotherTable}, network=away(3, 4.0))
    report = run.held(within=2.0)
    assert 3 in run.installed()
    assert report.faults["attack: scripted"] > 0
    assert run.drops(3)["node that does not verify"] > 0


@pytest.mark.scenario("ST8", "T53")
def test_a_state_is_fetched_while_the_view_changes() -> None:
    def slow(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        if target == 3 and run.now < seconds(4.5) and isinstance(message, ViewChange | NewView):
            return LOST
        return seconds(0.3) if isinstance(message, Nodes) else None

    run = Script(calm(operations=240), network=away(3, 3.0, slow))
    run.at(seconds(2.7), lambda: run.crash(run.hosts[0]))
    run.at(seconds(12), lambda: run.restart(run.hosts[0]))
    run.held(within=6.0)
    assert 3 in run.installed()
    assert run.views() == {1}


@pytest.mark.scenario("ST10")
@pytest.mark.parametrize("count", range(1, 6))
def test_whoever_fetches_dies_at_each_answer_and_begins_again(count: int) -> None:
    seen: list[int] = []

    def kill(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        if isinstance(message, Nodes) and target == 3:
            seen.append(run.now)
            if len(seen) == count:
                run.at(run.now + 1, lambda: run.crash(run.hosts[3]))
                run.at(run.now + seconds(0.2), lambda: run.restart(run.hosts[3]))
        return None

    run = Script(calm(operations=60), network=away(3, 2.6, kill))
    run.held(within=3.0)
    assert len(seen) >= count
    assert 3 in run.installed()


@pytest.mark.scenario("ST13", "T10", "T20")
def test_a_decided_batch_whose_holders_are_all_down_is_waited_for() -> None:
    """R3 has the votes for number 5 and not the batch; the others, who have it, are down."""
    seen: list[int] = []

    def rule(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        carries = isinstance(message, Proposal | Decision) and place(message)[1] == 5
        hidden = (
            target == 3 and run.now < seconds(5) and (carries or isinstance(message, BatchBody))
        )
        if hidden:
            for host in run.hosts[:3]:
                run.at(run.now + seconds(0.2), lambda host=host: run.crash(host))  # type: ignore[misc]
                run.at(seconds(5), lambda host=host: run.restart(host))  # type: ignore[misc]
        return LOST if hidden else None

    plan = calm(operations=60, checkpoint_interval=64, window=128)
    run = Script(plan, network=rule)
    run.at(seconds(4.9), lambda: seen.append(run.executed(3, run.now)))
    run.held(within=8.0)
    assert seen == [4]


class AsksForEverything(Behaviour):
    """Asks for the root of the state in every turn, and for what the answers name."""

    EVERY_NS = 20 * MILLISECOND
    _next = 0

    def __init__(self, honest: Any) -> None:
        super().__init__(honest)
        self._places: list[Place] = []

    def receive(self, packets: Sequence[Packet], now: Instant) -> Effects:
        for packet in packets:
            message = decode(packet.data) if isinstance(packet.peer, int) else None
            if isinstance(message, Nodes):
                self._places = [Place(each.path, each.digest) for each in message.nodes]
        return super().receive(packets, now)

    def extra(self, now: Instant) -> Iterable[Send]:
        status = self.honest.status()
        if now.monotonic < self._next or not status.state_digest_at:
            return
        self._next = now.monotonic + self.EVERY_NS
        places = [Place(b"", status.state_digest), *self._places] * 16
        others = tuple(r for r in range(self.honest.config.n) if r != self.honest.number)
        yield self.say(Send(others, b"", FetchNodes(())), FetchNodes(tuple(places[:64])))


@pytest.mark.scenario("FL10", kills="FL10 a peer is given as much as it asks for")
def test_a_peer_that_asks_for_all_of_the_state_gets_its_share() -> None:
    """The honest laggard beside it catches up."""
    given: dict[tuple[object, int], int] = {}

    def look(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        if isinstance(message, Nodes) and target == 1:
            interval = run.now // run.plan.config.status_interval_ns
            size = sum(len(each.data) for each in message.nodes)
            given[source, interval] = given.get((source, interval), 0) + size
        return None

    plan = calm(operations=120, transfer_max_bytes=2048)
    run = Script(plan, traitors={1: AsksForEverything}, network=away(3, 2.6, look))
    run.held(within=2.0)
    assert 3 in run.installed()
    assert 2048 <= max(given.values()) <= 2 * (2048 + 1024)
