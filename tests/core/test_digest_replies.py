"""Digest replies (OSDI'99 §5.1): one replica sends large results, the others what they hash to."""

import pytest

from pbft.client_session import ClientSession, Completed
from pbft.core.effects import Effects, Send
from pbft.core.ids import MILLISECOND, Instant, Packet
from pbft.core.messages import Reply
from pbft.core.protocol.execution import WHOLE_RESULTS_BYTES
from pbft.core.service import Context
from pbft.core.wire import encode_link, request_digest, results_digest
from tests.core.lab import Journal, Lab
from tests.core.test_client_session import CONFIG, FIRST, issue, receive, reply, request_of, session

LARGE = b"\0" + bytes(1000)


class Echo(Journal):
    """Answers with the operation itself."""

    def execute(self, operation: bytes, context: Context) -> bytes:
        return operation


def replied(effects: Effects) -> Reply:
    (message,) = [send.message for send in effects.replies]
    assert isinstance(message, Reply)
    return message


def settled(me: int, timestamp: int, operation: bytes) -> tuple[Lab, Reply]:
    """What replica `me` says after executing one request."""
    lab = Lab(me=me)
    lab.service = Echo()
    lab.replica = lab._boot()
    effects = lab.settle(1, batch=lab.batch(lab.request(timestamp, operation)))
    return lab, replied(effects)


def digest_reply(sent: Send, replica: int, *results: bytes) -> Packet:
    message = Reply(
        0,
        request_of(sent).timestamp,
        request_digest(sent.data),
        1,
        results_digest(results),
        replica,
    )
    return Packet(replica, encode_link(message))


# -- the replicas ---------------------------------------------------------------------------


@pytest.mark.parametrize("timestamp", [1, 2, 3, 5])
def test_one_replica_sends_large_results_and_the_others_their_digest(timestamp: int) -> None:
    whole = (b"\0" + bytes(1000),)
    said = {me: settled(me, timestamp, bytes(1000))[1].results for me in (1, 2, 3)}
    sender = timestamp % 4
    assert said.pop(sender) == whole
    assert set(said.values()) == {results_digest(whole)}


def test_small_results_are_sent_by_all() -> None:
    fits = bytes(WHOLE_RESULTS_BYTES - 1)
    assert all(settled(me, 4, fits)[1].results == (b"\0" + fits,) for me in (1, 2, 3))


def test_a_client_that_asks_again_is_answered_in_full() -> None:
    lab, first = settled(2, 1, bytes(1000))
    assert isinstance(first.results, bytes)
    request = lab.request(1, bytes(1000))
    assert replied(lab.feed(request)).results == (b"\0" + bytes(1000),)


def test_a_replica_that_passes_a_request_on_moves_no_large_results() -> None:
    lab, _ = settled(2, 1, bytes(1000))
    effects = lab.feed_raw(lab.request(1, bytes(1000)).raw, peer=3)
    assert isinstance(replied(effects).results, bytes)


# -- the client -----------------------------------------------------------------------------


def test_f_plus_1_that_match_and_one_whole_result_complete_in_any_order() -> None:
    for order in ((0, 1), (1, 0)):
        client = session()
        sent = issue(client, b"op")
        packets = (digest_reply(sent, 2, LARGE), reply(sent, 3, LARGE))
        done = [receive(client, packets[each]).completed for each in order]
        assert done == [[], [Completed(1, LARGE)]]


def test_digests_alone_do_not_complete_and_the_results_are_asked_for_soon() -> None:
    client = session()
    sent = issue(client, b"op")
    before = client.deadline
    effects = receive(client, *(digest_reply(sent, each, LARGE) for each in (1, 2, 3)))
    assert effects.completed == []
    assert client.deadline is not None
    assert before is not None
    assert client.deadline < before
    (again,) = client.expire(Instant(client.deadline, 0)).messages
    assert (again.to, again.data) == ((0, 1, 2, 3), sent.data)
    assert client.deadline > before  # and from then on with growing delays
    receive(client, digest_reply(sent, 1, LARGE))
    assert client.deadline > before
    assert receive(client, reply(sent, 2, LARGE)).completed == [Completed(1, LARGE)]


def test_a_wrong_result_is_never_taken_for_its_digest_and_asked_for_again_at_once() -> None:
    client = session()
    sent = issue(client, b"op")
    receive(client, reply(sent, 0, b"\0lie"))
    effects = receive(client, digest_reply(sent, 1, LARGE), digest_reply(sent, 2, LARGE))
    assert effects.completed == []
    assert client.deadline == MILLISECOND
    done = receive(client, reply(sent, 1, LARGE)).completed
    assert done == [Completed(1, LARGE)]
    assert client.wrong_replies == {0: 1}
    receive(client, digest_reply(sent, 3, b"\0late lie"))
    assert client.wrong_replies == {0: 1, 3: 1}


def test_a_replica_that_changes_its_mind_counts_with_its_last_word() -> None:
    client = session()
    sent = issue(client, b"op")
    receive(client, reply(sent, 0, LARGE), digest_reply(sent, 0, b"\0other"))
    assert receive(client, digest_reply(sent, 1, LARGE)).completed == []
    assert receive(client, reply(sent, 2, LARGE)).completed == [Completed(1, LARGE)]
    assert client.wrong_replies == {0: 1}


def test_the_designated_replica_changes_with_the_timestamp() -> None:
    client = ClientSession(CONFIG, "alice", signer=Lab().keys["alice"], first_timestamp=FIRST)
    stamps = [request_of(issue(client, b"%d" % n)).timestamp % CONFIG.n for n in range(4)]
    assert sorted(stamps) == [0, 1, 2, 3]
