"""Links of guests: a ticket opens them for whoever has its key, and costs nothing before."""

import random

import pytest

from pbft.crypto.introductions import MAX_TICKET_BYTES, introduced, introduction
from pbft.crypto.link_state import Address, Admit
from pbft.crypto.links import Drop, LinkLimits, Links, Received
from pbft.crypto.noise import LinkPrivateKey

HOST = LinkPrivateKey(b"h" * 32)
GUEST = LinkPrivateKey(b"g" * 32)
HERE, THERE = ("127.0.0.1", 1), ("127.0.0.1", 2)
TICKET = b"a ticket of g"


class Host:
    """Accepts tickets by this table, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.known = {TICKET: ("a/0", GUEST.public)}
        self.links = end("host", HOST, {"c": GUEST.public}, admit=self.admit)

    def admit(self, ticket: bytes, address: Address, now: int) -> tuple[str, bytes] | None:
        self.asked += 1
        return self.known.get(ticket)

    @property
    def state(self) -> tuple[int, int]:
        """How many peers and sessions it holds anything about."""
        return len(self.links._links), len(self.links._sessions)


def end(
    name: str,
    private: LinkPrivateKey,
    peers: dict[str, bytes],
    ticket: bytes = b"",
    admit: Admit | None = None,
) -> Links:
    return Links(
        identity=name,
        private=private,
        peers=peers,
        cluster=b"x",
        payload=b"config",
        random_bytes=random.Random(name).randbytes,
        ticket=ticket,
        admit=admit,
    )


def guest(ticket: bytes = TICKET, private: LinkPrivateKey = GUEST, name: str = "a/0") -> Links:
    return end(name, private, {"host": HOST.public}, ticket)


def shake(host: Links, one: Links, now: int = 0) -> Received:
    """The whole handshake; what came of its initiation with a cookie."""
    (first,) = one.open("host", HERE, now) or one.expire(now)
    (cookie,) = host.receive(first.data, THERE, now).outgoing
    (again,) = one.receive(cookie.data, HERE, now).outgoing
    received = host.receive(again.data, THERE, now)
    for answer in received.outgoing:
        for confirmation in one.receive(answer.data, HERE, now).outgoing:
            host.receive(confirmation.data, THERE, now)
    return received


def test_a_guest_and_a_host_talk_under_the_name_of_the_ticket() -> None:
    host, one = Host(), guest()
    shake(host.links, one)
    assert host.links.established("a/0")
    there = host.links.seal("a/0", b"welcome", 0)
    assert there is not None
    assert one.receive(there.data, HERE, 0).plaintext == b"welcome"
    back = one.seal("host", b"thanks", 0)
    assert back is not None
    received = host.links.receive(back.data, THERE, 0)
    assert (received.peer, received.plaintext) == ("a/0", b"thanks")
    assert not guest(name="b/7").established("host")


def test_nothing_is_asked_or_kept_before_the_cookie() -> None:
    host = Host()
    before = host.state
    for number in range(1000):
        (first,) = guest().open("host", HERE, 0)
        received = host.links.receive(first.data, ("10.0.0.1", number), 0)
        (answer,) = received.outgoing
        assert len(answer.data) < len(first.data)
    assert (host.asked, host.state) == (0, before)


@pytest.mark.scenario("CL15")
def test_a_hundred_thousand_unknown_keys_leave_nothing_behind() -> None:
    host = Host()
    before = host.state
    (first,) = guest().open("host", HERE, 0)
    cookie = host.links.receive(first.data, THERE, 0).outgoing[0].data[5:]
    tail = first.data[-(32 + 16 + 6) :]
    for number in range(100_000):
        who = introduction(b"", b"ticket %d" % number)
        data = first.data[:5] + cookie + who + tail
        assert host.links.receive(data, THERE, 0).drop is Drop.UNKNOWN_PEER
    assert (host.asked, host.state) == (100_000, before)


@pytest.mark.scenario("CL15")
def test_a_ticket_without_its_key_opens_nothing() -> None:
    host = Host()
    before = host.state
    thief = guest(private=LinkPrivateKey(b"t" * 32))
    assert shake(host.links, thief).drop is Drop.BAD_HANDSHAKE
    assert host.state == before


def test_the_ticket_is_bound_into_the_handshake() -> None:
    """Of two tickets for one key, the one that the guest did not show does not fit."""
    host, one = Host(), guest()
    host.known[b"a ticket of G"] = ("a/0", GUEST.public)
    (first,) = one.open("host", HERE, 0)
    cookie = host.links.receive(first.data, THERE, 0).outgoing[0].data[5:]
    data = first.data[:5] + cookie + first.data[21:]
    swapped = data.replace(TICKET, b"a ticket of G")
    assert host.links.receive(swapped, THERE, 0).drop is Drop.BAD_HANDSHAKE
    assert host.links.receive(data, THERE, 0).outgoing


def test_sessions_of_a_guest_are_bounded_however_many_tickets_name_it() -> None:
    host = Host()
    for number in range(100):
        key = LinkPrivateKey(bytes([number + 1]) * 32)
        host.known[b"ticket %d" % number] = ("a/0", key.public)
        shake(host.links, guest(b"ticket %d" % number, key), now=number)
    peers, sessions = host.state
    assert peers == 2, "the configured one and the guest"
    assert sessions <= 2 + LinkLimits().pending_sessions


def test_where_nobody_may_admit_a_ticket_is_not_even_looked_at() -> None:
    closed = end("host", HOST, {"c": GUEST.public})
    (first,) = guest().open("host", HERE, 0)
    assert closed.receive(first.data, THERE, 0).drop is Drop.UNKNOWN_PEER
    assert [len(each) for each in closed.initiation_bytes()] == [1]
    (exact, guests) = Host().links.initiation_bytes()
    assert len(first.data) in guests
    assert len(first.data) not in exact


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"\0\0", b"\0\0\0rest", b"\0\0\5four", b"\0\xff\xff" + bytes(70_000), b"\7short"],
)
def test_a_malformed_introduction_is_none(data: bytes) -> None:
    assert introduced(data) is None


def test_an_introduction_comes_back() -> None:
    assert introduced(introduction(b"name", b"") + b"rest") == (b"name", b"", b"rest")
    largest = bytes(MAX_TICKET_BYTES)
    assert introduced(introduction(b"name", largest) + b"rest") == (b"", largest, b"rest")
    assert introduced(introduction(b"name", largest + b"x")) is None
