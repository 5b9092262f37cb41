"""Fast reads: answered outside the order, by q replicas that agree, and linearizable (T32, T34)."""

import dataclasses
from collections.abc import Sequence

import pytest

from pbft.client_reads import READS_IN_FLIGHT
from pbft.client_session import ClientEffects, ClientSession, Completed
from pbft.core.effects import Effects, Send
from pbft.core.ids import MILLISECOND, Instant, Packet
from pbft.core.messages import Read, ReadReply, Request
from pbft.core.protocol.execution import READS_PER_TURN
from pbft.core.records import Acknowledged, AnyRecord, Began
from pbft.core.wire import encode_link, results_digest
from tests.core.lab import Journal, Lab
from tests.core.test_client_session import CONFIG, FIRST, KEY, at, receive, reply

FAST = dataclasses.replace(CONFIG, fast_reads=True)


class Readable(Journal):
    """`read` gives the number of operations so far; `all` gives all of them."""

    def query(self, operation: bytes) -> bytes:
        if operation not in (b"read", b"all"):
            raise ValueError("changes something")
        return b"%d" % len(self.operations) if operation == b"read" else b"\n".join(self.operations)


def lab(me: int = 1, records: Sequence[AnyRecord] = (Began(),)) -> Lab:
    made = Lab(me=me, fast_reads=True, records=records)
    made.service = Readable()
    made.replica = made._boot()
    if records:
        made.clear()
    return made


def ask(lab: Lab, *operations: bytes, nonce: int = 1) -> Effects:
    read = Read(FIRST, nonce, operations or (b"read",))
    return lab.feed(read, peer="alice")


def answers(effects: Effects) -> list[ReadReply]:
    return [s.message for s in effects.replies if isinstance(s.message, ReadReply)]


# -- the replica ----------------------------------------------------------------------------


def test_a_read_is_answered_from_executed_state_with_its_sequence_number() -> None:
    one = lab()
    assert answers(ask(one)) == [ReadReply(FIRST, 1, 0, (b"\x000",), 1)]
    one.settle_until(3)
    assert answers(ask(one)) == [ReadReply(FIRST, 1, 3, (b"\x003",), 1)]
    assert len(one.service.operations) == 3


def test_what_is_committed_and_not_executed_is_not_read() -> None:
    one = lab()
    one.settle(2)
    assert answers(ask(one)) == [ReadReply(FIRST, 1, 0, (b"\x000",), 1)]


def test_one_replica_sends_large_results_and_what_changes_something_is_refused() -> None:
    one = lab()
    one.settle(1, batch=one.batch(one.request(1, bytes(1000))))
    whole = (b"\x00" + bytes(1000),)
    said = {nonce: answers(ask(one, b"all", nonce=nonce))[0].results for nonce in (1, 2)}
    assert said == {1: whole, 2: results_digest(whole)}
    (refused,) = answers(ask(one, b"add"))
    assert refused.results == (b"\x01ValueError: changes something",)
    assert len(one.service.operations) == 1


def test_only_clients_read_and_only_where_the_cluster_has_fast_reads() -> None:
    off = Lab(me=1)
    assert ask(off).replies == []
    assert off.replica.status().drops == {"read without fast reads": 1}
    on = lab()
    assert on.feed(Read(1, 1, (b"read",)), peer=2).replies == []
    assert on.replica.status().drops == {"read of no client": 1}


def test_a_clients_reads_are_bounded_in_every_turn_and_others_are_still_served() -> None:
    one = lab()
    packets = [
        Packet(name, encode_link(Read(1, n, (b"read",))))
        for name, most in (("alice", 100), ("bob", 1))
        for n in range(most)
    ]
    effects = one.replica.receive(packets, one.instant)
    to = [send.to[0] for send in effects.replies]
    assert (to.count("alice"), to.count("bob")) == (READS_PER_TURN, 1)
    assert len(answers(ask(one))) == 1
    many = (b"read",) * (one.config.request_max_operations + 1)
    assert answers(ask(one, *many)) == []


def test_a_replica_that_does_not_vote_yet_answers_no_read() -> None:
    fresh = lab(records=())
    assert answers(ask(fresh)) == []
    fresh.clear()
    assert len(answers(ask(fresh))) == 1


def test_a_diverged_or_transferring_replica_answers_no_read() -> None:
    one = lab()
    one.settle_until(8)
    assert len(answers(ask(one))) == 1
    one.feed(*(one.checkpoint(by, 8, b"?" * 32) for by in (0, 2, 3)))
    assert one.replica.status().transferring
    assert answers(ask(one)) == []
    behind = lab(me=2)
    behind.feed(*(behind.checkpoint(by, 8, b"?" * 32) for by in (0, 1, 3)))
    behind.idle(0.5)
    assert behind.replica.status().transferring
    assert answers(ask(behind)) == []


@pytest.mark.scenario("T34")
def test_t34_how_far_we_have_executed_is_durable_before_a_client_hears_of_it() -> None:
    one = lab()
    effects = one.settle(1)
    assert len(effects.replies) == 1
    assert Acknowledged(1) in effects.records
    assert ask(one).records == []
    plain = Lab(me=1)
    assert not [r for r in plain.settle(1).records if isinstance(r, Acknowledged)]


@pytest.mark.scenario("T34")
def test_t34_a_restarted_replica_answers_no_read_from_an_older_state() -> None:
    """R2 acknowledges W, restarts without having executed it, and is asked."""
    one = lab()
    batch = one.batch(one.request(1))
    one.settle(1, batch=batch)
    one.service = Readable()
    one.replica = one._boot()
    one.clear()
    assert one.replica.status().executed == 0
    assert answers(ask(one)) == []
    one.feed(one.decision(0, 1, batch, (0, 2, 3)))
    assert answers(ask(one)) == [ReadReply(FIRST, 1, 1, (b"\x001",), 1)]


# -- the client -----------------------------------------------------------------------------


def session() -> ClientSession:
    return ClientSession(FAST, "alice", signer=KEY, first_timestamp=FIRST)


def begin(client: ClientSession, *operations: bytes) -> Send:
    for operation in operations or (b"read",):
        client.call(operation, read=True)
    (sent,) = client.expire(at(0)).messages
    return sent


def said(replica: int, sequence: int, *results: bytes, nonce: int = 1, life: int = FIRST) -> Packet:
    message = ReadReply(life, nonce, sequence, results or (b"\0x",), replica)
    return Packet(replica, encode_link(message))


def ordered(effects: ClientEffects) -> list[Request]:
    return [send.message for send in effects.messages if isinstance(send.message, Request)]


def test_a_read_goes_to_all_unsigned_and_q_that_agree_answer_it() -> None:
    client = session()
    sent = begin(client, b"a", b"b")
    assert (sent.to, sent.message) == ((0, 1, 2, 3), Read(FIRST, 1, (b"a", b"b")))
    assert receive(client, said(0, 7, b"\0A", b"\0B"), said(1, 7, b"\0A", b"\0B")).completed == []
    again = receive(client, said(1, 7, b"\0A", b"\0B"))
    assert again.completed == []
    effects = receive(client, said(3, 7, b"\0A", b"\0B"))
    assert effects.completed == [Completed(1, b"\0A", 7), Completed(2, b"\0B", 7)]
    assert (effects.messages, client.pending, client.deadline) == ([], 0, None)
    assert client.fast_reads == 2


def test_without_fast_reads_in_the_cluster_a_read_is_ordered() -> None:
    client = ClientSession(CONFIG, "alice", signer=KEY, first_timestamp=FIRST)
    client.call(b"read", read=True)
    assert ordered(client.expire(at(0)))[0].operations == (b"read",)


@pytest.mark.scenario("T32")
def test_t32_equal_results_at_different_sequence_numbers_are_no_answer() -> None:
    """x=1@5, x=2@7, x=1@9 at R3 alone: {R0*, R2@5, R3@9} must not give 1 after a read gave 2."""
    client = session()
    begin(client)
    receive(client, said(0, 9, b"\x001"), said(2, 5, b"\x001"))
    effects = receive(client, said(3, 9, b"\x001"))
    assert effects.completed == []
    (request,) = ordered(receive(client, said(1, 7, b"\x002")))
    assert request.operations == (b"read",)


@pytest.mark.parametrize("lie", [0, 99])
def test_the_sequence_number_of_a_read_is_what_the_quorum_named_whatever_a_liar_adds(
    lie: int,
) -> None:
    """The liar answers with the true results, and digests come before whoever sends them whole."""
    client = session()
    begin(client, b"read")
    digest = results_digest((b"\0x",))
    packets = [
        Packet(r, encode_link(ReadReply(FIRST, 1, at, digest, r))) for r, at in ((0, lie), (1, 7))
    ]
    effects = receive(client, *packets, said(2, 7, b"\0x"), said(3, 7, b"\0x"))
    assert [each.read_at for each in effects.completed] == [7]


@pytest.mark.scenario("T32")
def test_t32_with_fast_reads_an_ordered_call_waits_for_q_replies() -> None:
    """W accepted on {R0*, R1} alone, and {R0*, R2, R3} would still give the old value."""
    client = session()
    client.call(b"write")
    (sent,) = client.expire(at(0)).messages
    assert receive(client, reply(sent, 0), reply(sent, 1)).completed == []
    assert receive(client, reply(sent, 2)).completed == [Completed(1, b"\0write")]


@pytest.mark.scenario("CL12", kills="CL12 a read that nobody agrees about is forgotten")
def test_a_read_is_ordered_as_soon_as_no_quorum_can_agree_any_more() -> None:
    client = session()
    begin(client)
    assert ordered(receive(client, said(0, 1), said(1, 2))) == []
    (request,) = ordered(receive(client, said(2, 3)))
    assert request.operations == (b"read",)
    assert client.pending == 1


def test_a_read_without_answers_is_ordered_after_a_while() -> None:
    client = session()
    begin(client)
    receive(client, said(0, 1), said(1, 1))
    assert client.deadline == 125 * MILLISECOND
    (request,) = ordered(client.expire(Instant(125 * MILLISECOND, 0)))
    assert request.operations == (b"read",)
    assert receive(client, said(2, 1)).completed == []


def test_a_refused_read_is_ordered() -> None:
    client = session()
    begin(client)
    replies = [said(each, 1, b"\x01ValueError: changes something") for each in range(3)]
    assert len(ordered(receive(client, *replies))) == 1


def test_a_quorum_of_digests_without_the_results_does_not_complete() -> None:
    client = session()
    begin(client)
    digest = results_digest((b"\0x",))
    only = [Packet(r, encode_link(ReadReply(FIRST, 1, 4, digest, r))) for r in range(3)]
    assert receive(client, *only).completed == []
    assert receive(client, said(3, 4)).completed == [Completed(1, b"\0x", 4)]
    begin(client)
    lie = said(3, 4, b"\0lie", nonce=2)
    more = [Packet(r, encode_link(ReadReply(FIRST, 2, 4, digest, r))) for r in range(3)]
    effects = receive(client, lie, *more)
    assert (effects.completed, len(ordered(effects))) == ([], 1)


@pytest.mark.parametrize("kind", ["life", "nonce", "peer", "count"])
def test_answers_to_something_else_do_not_count(kind: str) -> None:
    client = session()
    begin(client)
    wrong = {
        "life": said(2, 1, life=FIRST - 1),
        "nonce": said(2, 1, nonce=2),
        "peer": Packet(1, said(2, 1).data),
        "count": said(2, 1, b"\0x", b"\0x"),
    }
    receive(client, said(0, 1), said(1, 1), wrong[kind])
    assert client.pending == 1
    assert len(receive(client, said(3, 1)).completed) == 1


def test_a_replica_that_contradicts_a_quorum_about_one_number_is_counted() -> None:
    client = session()
    begin(client)
    receive(client, said(0, 1, b"\0lie"), *(said(each, 1) for each in (1, 2, 3)))
    assert client.wrong_replies == {0: 1}


def test_an_abandoned_read_is_not_ordered() -> None:
    client = session()
    begin(client)
    client.abandon(1)
    assert client.pending == 0
    assert client.expire(at(60_000)).messages == []
    client.call(b"waits", read=True)
    client.abandon(2)
    assert client.deadline is None


def test_a_stale_read_needs_no_fast_reads_and_f_plus_1_that_agree() -> None:
    client = ClientSession(CONFIG, "alice", signer=KEY, first_timestamp=FIRST)
    client.call(b"get", read=True, stale=True)
    (sent,) = client.expire(at(0)).messages
    assert isinstance(sent.message, Read)
    assert sent.message.stale
    effects = client.receive([said(0, 7, b"\0x"), said(1, 9, b"\0x")], at(1))
    assert [(each.result, each.read_at) for each in effects.completed] == [(b"\0x", 7)]


def test_only_the_first_answer_of_each_replica_counts() -> None:
    """A liar that sees what others say does not join them, and sends nothing that is kept."""
    client = ClientSession(CONFIG, "alice", signer=KEY, first_timestamp=FIRST)
    client.call(b"get", read=True, stale=True)
    client.expire(at(0))
    answers = [said(3, 7, b"\0x"), said(3, 7, b"\0y"), said(0, 7, b"\0y")]
    assert client.receive(answers, at(1)).completed == []
    assert len(client.receive([said(1, 8, b"\0y")], at(1)).completed) == 1


def test_stale_answers_that_differ_are_ordered() -> None:
    client = ClientSession(CONFIG, "alice", signer=KEY, first_timestamp=FIRST)
    client.call(b"get", read=True, stale=True)
    client.expire(at(0))
    effects = client.receive([said(r, 7, b"\0%d" % r) for r in range(4)], at(1))
    assert [each.operations for each in ordered(effects)] == [(b"get",)]


def test_replicas_without_fast_reads_answer_stale_reads_alone() -> None:
    slow = Lab(me=1)
    slow.service = Readable()
    slow.replica = slow._boot()
    slow.clear()
    for stale, count in ((False, 0), (True, 1)):
        effects = slow.feed_raw(encode_link(Read(1, 1, (b"read",), stale)), peer="alice")
        assert len(answers(effects)) == count


@pytest.mark.scenario("T34")
def test_t34_a_restarted_replica_may_answer_a_stale_read_from_an_older_state() -> None:
    one = lab()
    one.settle(1)
    one.service = Readable()
    one.replica = one._boot()
    one.clear()
    assert answers(ask(one)) == []
    assert len(answers(one.feed(Read(FIRST, 2, (b"read",), True), peer="alice"))) == 1


def test_few_reads_are_under_way_and_the_others_travel_together() -> None:
    client = session()
    sent = []
    for _ in range(3 * READS_IN_FLIGHT):
        client.call(b"read", read=True)
        sent += client.expire(at(0)).messages
    assert len(sent) == READS_IN_FLIGHT
    (rest,) = client.receive([said(r, 7) for r in range(3)], at(1)).messages
    assert isinstance(rest.message, Read)
    assert len(rest.message.operations) == 2 * READS_IN_FLIGHT
