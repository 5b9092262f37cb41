"""Outcomes that are not known: keys that ask again, and what replicas still know of them."""

import pytest

from pbft.client_session import ClientSession
from pbft.core.errors import ConfigurationError
from pbft.core.messages import Reply, Request
from pbft.core.service import FORGOTTEN
from pbft.core.wire import decode
from tests.core.lab import Lab
from tests.core.test_client_session import FIRST, at, receive, reply, request_of, session


def test_a_prepared_call_is_sent_when_it_is_resumed_and_to_all() -> None:
    client = session()
    raw = client.prepare(b"op")
    assert client.expire(at(0)).messages == []
    call = client.resume(raw, 0)
    (sent,) = client.expire(at(0)).messages
    assert (sent.to, sent.data) == ((0, 1, 2, 3), raw)
    done = receive(client, reply(sent, 1), reply(sent, 2)).completed
    assert [(each.call, each.result) for each in done] == [(call, b"\0op")]


def test_another_life_resumes_the_very_same_request() -> None:
    first = session()
    raw = first.prepare(b"op")
    second = session()
    second.resume(raw, 0)
    (sent,) = second.expire(at(0)).messages
    assert sent.data == raw
    assert second.next_timestamp == FIRST  # its own timestamps are another matter


def test_one_call_of_many_in_a_request_is_asked_for_again() -> None:
    client = session()
    for operation in (b"a", b"b", b"c"):
        client.call(operation)
    (sent,) = client.expire(at(0)).messages
    key = client.sent(2)
    assert key == (sent.data, 1)
    other = session()
    call = other.resume(*key)
    (again,) = other.expire(at(0)).messages
    done = receive(other, reply(again, 0), reply(again, 3)).completed
    assert [(each.call, each.result) for each in done] == [(call, b"\0b")]
    assert client.sent(77) is None


def test_what_is_resumed_while_it_is_under_way_is_sent_once() -> None:
    client = session()
    client.call(b"op")
    (sent,) = client.expire(at(0)).messages
    client.abandon(1)
    client.call(b"other")
    client.resume(sent.data, 0)
    client.resume(sent.data, 0)
    assert [each.data for each in client.expire(at(0)).messages].count(sent.data) == 1


@pytest.mark.parametrize("key", [b"", b"\x00" * 80, "another's"])
def test_what_is_no_key_is_refused(key: bytes | str) -> None:
    bob = ClientSession(session()._config, "bob", signer=session()._signer, first_timestamp=1)
    raw = key if isinstance(key, bytes) else bob.prepare(b"op")
    with pytest.raises(ConfigurationError, match="not the key"):
        session().resume(raw, 0)
    with pytest.raises(ConfigurationError, match="key of no call"):
        session().resume(session().prepare(b"op"), 1)


def test_below_the_floor_a_replica_says_that_it_has_forgotten() -> None:
    lab = Lab(me=1, client_window=2)
    requests = [lab.request(timestamp) for timestamp in (1, 2, 3, 4)]
    for sequence, request in enumerate(requests, 1):
        lab.settle(sequence, batch=lab.batch(request))
    for timestamp, results in ((1, (FORGOTTEN,)), (4, (b"\x004",))):
        effects = lab.feed(requests[timestamp - 1], peer="alice")
        (said,) = [each.message for each in effects.replies if isinstance(each.message, Reply)]
        assert (said.timestamp, said.results) == (timestamp, results)
    assert (
        lab.feed_raw(requests[0].raw, peer=3).replies == []
    )  # who only passes it on is told nothing


def test_late_wrong_and_silent_replicas_are_counted() -> None:
    client = session()
    client.call(b"op")
    (sent,) = client.expire(at(0)).messages
    receive(client, reply(sent, 0), reply(sent, 3, b"\0lie"), reply(sent, 1), reply(sent, 2))
    assert client.completed == 1
    assert client.timely_replies == {0: 1, 1: 1}
    assert client.wrong_replies == {3: 1}
    assert client.late_replies == {2: 1}


def test_a_prepared_request_is_signed_like_any_other() -> None:
    raw = session().prepare(b"op")
    message = decode(raw)
    assert isinstance(message, Request)
    assert message.timestamp == FIRST
    client = session()
    client.call(b"op")
    (sent,) = client.expire(at(0)).messages
    assert (sent.data, request_of(sent)) == (raw, message)
