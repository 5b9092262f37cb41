"""The client's half: coalescing, matching, retransmission, and the window that replicas keep."""

import dataclasses

import pytest

from pbft.client_session import REQUESTS_IN_FLIGHT, ClientEffects, ClientSession, Completed
from pbft.client_stats import ClientStats
from pbft.core.authentication import Authentication, Ed25519Verifier
from pbft.core.config import Configuration
from pbft.core.effects import Send
from pbft.core.errors import RequestTooLargeError
from pbft.core.ids import MILLISECOND, Instant, Packet, Principal
from pbft.core.messages import Read, Reply, Request
from pbft.core.wire import encode_link, request_digest, results_digest
from pbft.crypto.signing import SigningKey

CONFIG = Configuration(cluster_id=b"tests/client....", n=4)
KEY = SigningKey(bytes(31) + b"\x07")
FIRST = 1_000


def at(milliseconds: int) -> Instant:
    return Instant(milliseconds * MILLISECOND, 0)


def session(config: Configuration = CONFIG) -> ClientSession:
    return ClientSession(config, "alice", signer=KEY, first_timestamp=FIRST)


def issue(client: ClientSession, operation: bytes) -> Send:
    """One call that leaves at once."""
    client.call(operation)
    (sent,) = client.expire(at(0)).messages
    return sent


def request_of(sent: Send) -> Request:
    assert isinstance(sent.message, Request)
    return sent.message


def reply(
    sent: Send,
    replica: int,
    *results: bytes,
    view: int = 0,
    request: bytes | None = None,
    peer: Principal | None = None,
) -> Packet:
    message = Reply(
        view,
        request_of(sent).timestamp,
        request or request_digest(sent.data),
        1,
        results or tuple(b"\0" + each for each in request_of(sent).operations),
        replica,
    )
    return Packet(replica if peer is None else peer, encode_link(message))


def receive(client: ClientSession, *packets: Packet) -> ClientEffects:
    return client.receive(packets, at(1))


def test_a_lone_call_leaves_at_once_for_the_primary_signed() -> None:
    sent = issue(session(), b"op")
    assert sent.to == (0,)
    authentication = Authentication(
        CONFIG.cluster_id, SigningKey.generate(), Ed25519Verifier({"alice": KEY.public})
    )
    assert authentication.authentic(request_of(sent), sent.data)
    assert request_of(sent) == Request("alice", FIRST, (b"op",))


def test_f_plus_1_matching_replies_complete_and_one_does_not() -> None:
    client = session()
    sent = issue(client, b"op")
    assert receive(client, reply(sent, 1)).completed == []
    assert receive(client, reply(sent, 1)).completed == []  # the same replica again
    assert receive(client, reply(sent, 3, view=9)).completed == [Completed(1, b"\0op")]
    assert client.pending == 0
    assert client.deadline is None


@pytest.mark.parametrize("kind", ["peer", "digest", "count", "results", "garbage"])
def test_what_does_not_match_is_not_counted(kind: str) -> None:
    client = session()
    sent = issue(client, b"op")
    wrong = {
        "peer": reply(sent, 2, peer=1),
        "digest": reply(sent, 2, request=bytes(32)),
        "count": reply(sent, 2, b"\0op", b"\0op"),
        "results": reply(sent, 2, b"\0other"),
        "garbage": Packet(2, b"\x02\xc1"),
    }
    assert receive(client, reply(sent, 1), wrong[kind]).completed == []
    assert len(receive(client, reply(sent, 3)).completed) == 1


def test_replicas_that_contradict_are_counted_early_or_late() -> None:
    client = session()
    sent = issue(client, b"op")
    receive(client, reply(sent, 0, b"\0lie"), reply(sent, 1), reply(sent, 2))
    receive(client, reply(sent, 3, b"\0late lie"), reply(sent, 1))
    assert client.wrong_replies == {0: 1, 3: 1}


def test_who_answers_one_request_often_is_silent_about_the_others() -> None:
    """Each replica counts once per request, or a thousand copies would hide what it left out."""
    client = session()
    first, second = issue(client, b"one"), issue(client, b"two")
    for sent in (first, second):
        receive(client, reply(sent, 0), reply(sent, 1))
    receive(client, *[reply(first, 3)] * 9, reply(first, 0), *[reply(second, 2, b"\0lie")] * 2)
    stats = ClientStats.of(client, {}, {}, 4)
    assert [stats.timely_replies.get(each, 0) for each in range(4)] == [2, 2, 0, 0]
    assert [stats.late_replies.get(each, 0) for each in range(4)] == [0, 0, 0, 1]
    assert stats.wrong_replies == {2: 1}
    assert [stats.silent(each) for each in range(4)] == [0, 0, 1, 1]


def test_calls_that_wait_travel_together_under_one_signature() -> None:
    client = session()
    first = [issue(client, b"%d" % number) for number in range(REQUESTS_IN_FLIGHT)]
    for number in range(100):
        client.call(b"later %d" % number)
    assert client.expire(at(0)).messages == []
    effects = receive(client, reply(first[0], 0), reply(first[0], 1))
    (sent,) = effects.messages
    assert len(request_of(sent).operations) == 100
    assert request_of(sent).timestamp == FIRST + REQUESTS_IN_FLIGHT
    done = receive(client, reply(sent, 2), reply(sent, 3)).completed
    assert [each.result for each in done] == [b"\0later %d" % number for number in range(100)]
    assert [each.call for each in done] == list(range(5, 105))


def test_a_request_respects_both_limits_of_the_replicas() -> None:
    config = dataclasses.replace(CONFIG, request_max_operations=3)
    client = session(config)
    for _ in range(7):
        client.call(b"op")
    counts = [len(request_of(sent).operations) for sent in client.expire(at(0)).messages]
    assert counts == [3, 3, 1]
    client = session()
    for _ in range(3):
        client.call(bytes(CONFIG.inline_max_bytes // 2 - 300))
    sent = client.expire(at(0)).messages
    assert [len(request_of(each).operations) for each in sent] == [2, 1]
    assert all(len(each.data) <= CONFIG.inline_max_bytes for each in sent)


def test_a_large_operation_travels_alone_and_to_all_replicas() -> None:
    client = session()
    for size in (10, CONFIG.inline_max_bytes, 10, 10):
        client.call(bytes(size))
    sent = client.expire(at(0)).messages
    assert [len(request_of(each).operations) for each in sent] == [1, 1, 2]
    assert [each.to for each in sent] == [(0,), (0, 1, 2, 3), (0,)]


@pytest.mark.parametrize("ticket", [b"", bytes(1024)])
def test_the_largest_operation_passes_and_one_byte_more_does_not(ticket: bytes) -> None:
    name = "x" * 64 + ("/63" if ticket else "")
    client = ClientSession(CONFIG, name, signer=KEY, first_timestamp=2**40, ticket=ticket)
    size = CONFIG.request_max_bytes
    with pytest.raises(RequestTooLargeError, match="above the limit of") as refused:
        client.call(bytes(size))
    limit = int(str(refused.value).split("limit of ")[1].split(":")[0])
    with pytest.raises(RequestTooLargeError):
        client.call(bytes(limit + 1))
    client.call(bytes(limit))
    (sent,) = client.expire(at(0)).messages
    assert len(sent.data) <= size


def test_a_guest_shows_its_ticket_with_every_request_and_read() -> None:
    config = dataclasses.replace(CONFIG, fast_reads=True)
    client = ClientSession(config, "a/0", signer=KEY, first_timestamp=FIRST, ticket=b"ticket")
    client.call(b"put")
    client.call(b"get", read=True)
    client.call(b"old", read=True, stale=True)
    sent = [each.message for each in client.expire(at(0)).messages]
    assert [each.ticket for each in sent if isinstance(each, Request | Read)] == [b"ticket"] * 3


def test_unanswered_requests_go_to_all_replicas_with_growing_delays() -> None:
    client = session()
    sent = issue(client, b"op")
    assert client.deadline == at(250).monotonic
    assert client.expire(at(249)).messages == []
    times = []
    for _ in range(5):
        assert client.deadline is not None
        times.append(client.deadline // MILLISECOND)
        (again,) = client.expire(Instant(client.deadline, 0)).messages
        assert (again.to, again.data) == ((0, 1, 2, 3), sent.data)
    assert times == [250, 750, 1750, 2750, 3750]
    assert client.retransmissions == 5


def test_a_large_request_is_given_time_to_arrive_before_it_is_sent_again() -> None:
    client = session()
    issue(client, bytes(500_000))
    assert client.deadline is not None
    assert at(250 + 480).monotonic < client.deadline < at(250 + 500).monotonic


def test_the_primary_is_who_f_plus_1_replicas_say() -> None:
    client = session()
    sent = issue(client, b"op")
    receive(client, reply(sent, 3, view=10**9), reply(sent, 1, view=2))
    assert client.view == 2  # a lone liar cannot send us elsewhere
    assert issue(client, b"next").to == (2,)


def test_a_reply_that_comes_late_does_not_lead_back_to_an_earlier_primary() -> None:
    client = session()
    sent = issue(client, b"op")
    receive(client, reply(sent, 1, view=2), reply(sent, 2, view=2))
    receive(client, reply(sent, 1, view=0), reply(sent, 2, view=0))
    assert client.view == 2


def test_an_abandoned_request_is_not_sent_again() -> None:
    client = session()
    client.call(b"a")
    client.call(b"b")
    (sent,) = client.expire(at(0)).messages
    client.abandon(1)
    assert receive(client, reply(sent, 0), reply(sent, 1)).completed == [Completed(2, b"\0b")]
    issue(client, b"c")
    client.abandon(3)
    assert client.deadline is None
    assert client.expire(at(60_000)).messages == []
    client.call(b"never sent")
    client.abandon(4)
    assert client.expire(at(0)).messages == []


def test_no_timestamp_runs_ahead_of_the_window_that_replicas_keep() -> None:
    client = session()
    stuck = issue(client, b"stuck")
    for number in range(CONFIG.client_window - 2):
        sent = issue(client, b"%d" % number)
        receive(client, reply(sent, 0), reply(sent, 1))
    client.call(b"one too many")
    assert client.expire(at(0)).messages == []
    assert client.deadline == at(250).monotonic
    newest = request_of(sent).timestamp
    assert newest - request_of(stuck).timestamp < CONFIG.client_window
    (later,) = receive(client, reply(stuck, 0), reply(stuck, 1)).messages
    assert request_of(later).operations == (b"one too many",)


def test_results_that_a_replica_has_taken_back_are_not_delivered() -> None:
    """It sends lies whole, and then the digest that a correct one sends: both say the same now,
    and nothing that they say is at hand."""
    client = session()
    sent = issue(client, b"op")
    digest = results_digest((b"\0truth",))
    request = request_of(sent)

    def brief(replica: int) -> Packet:
        said = Reply(0, request.timestamp, request_digest(sent.data), 1, digest, replica)
        return Packet(replica, encode_link(said))

    receive(client, reply(sent, 3, b"\0a lie"))
    assert receive(client, brief(3), brief(0)).completed == []
    (done,) = receive(client, reply(sent, 1, b"\0truth")).completed
    assert done.result == b"\0truth"


def test_only_so_many_answered_requests_are_remembered_as_replicas_remember() -> None:
    client = session(dataclasses.replace(CONFIG, client_window=4))
    first = issue(client, b"first")
    receive(client, reply(first, 0), reply(first, 1))
    for number in range(4):
        sent = issue(client, b"%d" % number)
        receive(client, reply(sent, 0), reply(sent, 1))
    receive(client, reply(first, 2))
    assert client.late_replies[2] == 0
    receive(client, reply(sent, 2))
    assert client.late_replies[2] == 1
