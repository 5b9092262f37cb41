"""Links under loss, replay, restart, simultaneous opens, spoofing and garbage."""

import random
from collections.abc import Callable

import pytest

from pbft.crypto.links import SEAL_OVERHEAD, Address, Drop, LinkLimits, Links, Outgoing
from pbft.crypto.noise import LinkPrivateKey

NAMES = ("a", "b", "c")
KEYS = {name: LinkPrivateKey(name.encode() * 32) for name in NAMES}
WHERE: dict[str, Address] = {name: ("127.0.0.1", 1000 + i) for i, name in enumerate(NAMES)}
BY_ADDRESS = {address: name for name, address in WHERE.items()}


def links(name: str, seed: int = 0, payload: bytes = b"config", cluster: bytes = b"x") -> Links:
    rng = random.Random(f"{name} {seed}")
    public = {other: key.public for other, key in KEYS.items() if other != "c" or name != "a"}
    return Links(
        identity=name,
        private=KEYS[name],
        peers=public,
        cluster=cluster,
        payload=payload,
        random_bytes=rng.randbytes,
    )


class Net:
    """Two ends and every datagram between them; `lose` decides about each."""

    def __init__(self, one: Links, two: Links) -> None:
        self.ends = {"a": one, "b": two}
        self.got: dict[str, list[bytes]] = {"a": [], "b": []}
        self.history: list[tuple[str, str, bytes]] = []
        self.drops: list[Drop] = []
        self.now = 0
        self.lose: Callable[[bytes], bool] = lambda data: False

    def carry(self, source: str, outgoing: list[Outgoing]) -> None:
        queue = [(source, each) for each in outgoing]
        while queue:
            sender, (address, data) = queue.pop(0)
            target = BY_ADDRESS[address]
            self.history.append((sender, target, data))
            if not self.lose(data):
                queue += [(target, each) for each in self.deliver(target, data, WHERE[sender])]

    def deliver(self, target: str, data: bytes, address: Address) -> tuple[Outgoing, ...]:
        received = self.ends[target].receive(data, address, self.now)
        if received.plaintext:
            self.got[target].append(received.plaintext)
        if received.drop:
            self.drops.append(received.drop)
        return received.outgoing

    def open(self, source: str, target: str) -> None:
        self.carry(source, self.ends[source].open(target, WHERE[target], self.now))

    def say(self, source: str, target: str, data: bytes) -> bool:
        sealed = self.ends[source].seal(target, data, self.now)
        self.carry(source, [sealed] if sealed else [])
        return sealed is not None

    def sleep(self, seconds: float) -> None:
        until = self.now + int(seconds * 1e9)
        while self.now < until:
            self.now = min(until, self.now + 50_000_000)
            for name, end in self.ends.items():
                self.carry(name, end.expire(self.now))


def connected() -> Net:
    net = Net(links("a"), links("b"))
    net.open("a", "b")
    assert net.say("a", "b", b"hello")
    assert net.say("b", "a", b"there")
    assert net.got == {"b": [b"hello"], "a": [b"there"]}
    return net


def test_a_link_opens_both_ways_and_hides_its_payload() -> None:
    net = connected()
    assert not any(b"hello" in data or b"there" in data for _, _, data in net.history)
    sealed = net.ends["a"].seal("b", b"x" * 100, net.now)
    assert sealed is not None
    assert len(sealed.data) == 100 + SEAL_OVERHEAD


def test_nothing_is_sealed_before_the_handshake() -> None:
    net = Net(links("a"), links("b"))
    assert not net.say("a", "b", b"early")
    assert not net.ends["a"].established("b")


@pytest.mark.scenario("ST11", "FL7", kills="FL7 no address has to prove itself")
def test_no_state_and_no_key_exchange_for_an_address_that_proved_nothing() -> None:
    net = Net(links("a"), links("b"))
    (initiation,) = net.ends["a"].open("b", WHERE["b"], 0)
    spoofed: Address = ("10.9.9.9", 9)
    received = net.ends["b"].receive(initiation.data, spoofed, 0)
    (answer,) = received.outgoing
    assert answer.address == spoofed
    assert len(answer.data) < len(initiation.data)
    assert not net.ends["b"]._sessions


def test_a_cookie_for_one_address_is_none_for_another() -> None:
    net = connected()
    sent = (d for s, _, d in net.history if s == "a" and d[0] == 1)
    with_cookie = next(d for d in sent if any(d[5:21]))
    received = net.ends["b"].receive(with_cookie, ("10.9.9.9", 9), net.now)
    assert [each.data[0] for each in received.outgoing] == [3]


@pytest.mark.scenario("RP1", kills="RP1 a datagram opens twice")
def test_replayed_transport_is_refused_and_so_is_every_mutant() -> None:
    net = connected()
    transport = [(t, d) for _, t, d in net.history if d[0] == 4]
    for target, data in transport:
        net.deliver(target, data, WHERE["a"])
    assert net.drops == [Drop.NOT_AUTHENTIC] * len(transport)
    sealed = net.ends["a"].seal("b", b"payload", net.now)
    assert sealed is not None
    for byte in range(len(sealed.data)):
        mutant = bytearray(sealed.data)
        mutant[byte] ^= 1
        assert net.ends["b"].receive(bytes(mutant), WHERE["a"], net.now).plaintext is None
    assert net.ends["b"].receive(sealed.data, WHERE["a"], net.now).plaintext == b"payload"


@pytest.mark.scenario("T50", "RP2", kills="T50 a new session displaces the old one unconfirmed")
def test_a_whole_replayed_handshake_displaces_nothing() -> None:
    net = connected()
    for _, target, data in list(net.history):
        net.deliver(target, data, WHERE["a" if target == "b" else "b"])
    assert net.say("a", "b", b"still")
    assert net.say("b", "a", b"here")
    assert (net.got["b"][-1], net.got["a"][-1]) == (b"still", b"here")


@pytest.mark.scenario("AU10")
def test_a_datagram_of_one_direction_is_nothing_in_the_other() -> None:
    net = connected()
    sealed = net.ends["a"].seal("b", b"mine", net.now)
    assert sealed is not None
    assert net.ends["a"].receive(sealed.data, WHERE["b"], net.now).plaintext is None


def test_reordered_datagrams_within_the_window_arrive_once() -> None:
    net = connected()
    sealed = [net.ends["a"].seal("b", b"%d" % i, net.now) for i in range(500)]
    order = list(range(500))
    random.Random(3).shuffle(order)
    for index in order + order:
        each = sealed[index]
        assert each is not None
        net.deliver("b", each.data, WHERE["a"])
    assert sorted(net.got["b"][1:], key=int) == [b"%d" % i for i in range(500)]


def test_a_restarted_initiator_and_a_restarted_responder_come_back() -> None:
    for restarted in ("a", "b"):
        net = connected()
        net.ends[restarted] = links(restarted, seed=1)
        if restarted == "a":
            net.open("a", "b")
        else:
            assert net.say("a", "b", b"into the void")
            net.sleep(4)
        assert net.say("a", "b", b"again")
        assert net.say("b", "a", b"back")
        assert (net.got["b"][-1], net.got["a"][-1]) == (b"again", b"back")


def test_an_old_boots_datagrams_are_worth_nothing_after_a_restart() -> None:
    net = connected()
    old = [d for _, t, d in net.history if t == "b"]
    net.ends["b"] = links("b", seed=1)
    for data in old:
        net.deliver("b", data, WHERE["a"])
    assert net.got["b"] == [b"hello"]
    assert not net.ends["b"].established("a")


def test_simultaneous_opens_end_in_a_link_that_works_both_ways() -> None:
    net = Net(links("a"), links("b"))
    first = net.ends["a"].open("b", WHERE["b"], 0)
    second = net.ends["b"].open("a", WHERE["a"], 0)
    net.carry("a", first)
    net.carry("b", second)
    for turn in range(20):
        assert net.say("a", "b", b"a%d" % turn)
        assert net.say("b", "a", b"b%d" % turn)
    assert net.got["a"] == [b"b%d" % i for i in range(20)]
    assert net.got["b"] == [b"a%d" % i for i in range(20)]


@pytest.mark.parametrize("lost_type", [1, 2, 3])
def test_a_lost_handshake_message_is_made_good(lost_type: int) -> None:
    net = Net(links("a"), links("b"))
    lost = [0]

    def lose(data: bytes) -> bool:
        lost[0] += data[0] == lost_type
        return data[0] == lost_type and lost[0] <= 2

    net.lose = lose
    net.open("a", "b")
    net.sleep(3)
    assert net.say("a", "b", b"made it")
    assert net.got["b"] == [b"made it"]


def test_a_half_open_link_heals_when_its_confirmation_is_lost() -> None:
    net = Net(links("a"), links("b"))
    net.lose = lambda data: data[0] == 4
    net.open("a", "b")
    net.lose = lambda data: False
    assert not net.say("b", "a", b"not yet")
    assert net.say("a", "b", b"confirms")
    assert net.say("b", "a", b"now")


def test_random_loss_duplication_and_restarts_never_mix_boots() -> None:
    for seed in range(30):
        rng = random.Random(seed)
        net = Net(links("a", seed), links("b", seed))
        net.lose = lambda data, rng=rng: rng.random() < 0.3  # type: ignore[misc]
        net.open("a", "b")
        net.open("b", "a")
        said: set[bytes] = set()
        for step in range(60):
            if rng.random() < 0.03:
                name = rng.choice("ab")
                net.ends[name] = links(name, seed * 1000 + step)
                net.open(name, "b" if name == "a" else "a")
            net.sleep(0.1)
            source, target = ("a", "b") if rng.random() < 0.5 else ("b", "a")
            data = b"%d %d" % (seed, step)
            net.say(source, target, data)
            said.add(data)
            _, goal, old = rng.choice(net.history)
            net.deliver(goal, old, WHERE["a" if goal == "b" else "b"])
        got = net.got["a"] + net.got["b"]
        assert len(got) == len(set(got))
        assert set(got) <= said
        net.lose = lambda data: False
        net.sleep(8)
        net.say("a", "b", b"x")
        net.say("b", "a", b"y")
        net.sleep(8)
        assert net.say("a", "b", b"end a")
        assert net.say("b", "a", b"end b")
        assert net.got["b"][-1] == b"end a"
        assert net.got["a"][-1] == b"end b"


@pytest.mark.scenario("NW13", kills="NW13 a peer stays where it was first")
def test_roaming_follows_authentic_datagrams_only() -> None:
    net = connected()
    moved: Address = ("10.0.0.7", 7)
    sealed = net.ends["a"].seal("b", b"from elsewhere", net.now)
    assert sealed is not None
    net.ends["b"].receive(sealed.data[:-1] + b"?", moved, net.now)
    assert net.ends["b"].address("a") == WHERE["a"]
    net.ends["b"].receive(sealed.data, moved, net.now)
    assert net.ends["b"].address("a") == moved
    net.ends["b"].receive(sealed.data, ("10.0.0.8", 8), net.now)
    assert net.ends["b"].address("a") == moved


@pytest.mark.scenario("CF4", kills="CF4 links do not compare parameters")
def test_mismatched_configurations_are_named() -> None:
    net = Net(links("a"), links("b", payload=b"another"))
    net.open("a", "b")
    assert Drop.MISMATCH in net.drops
    assert not net.ends["a"].established("b")
    assert not net.ends["b"].established("a")


@pytest.mark.scenario("CF7", kills="CF7 links do not bind the cluster")
def test_another_cluster_or_key_does_not_authenticate() -> None:
    net = Net(links("a"), links("b", cluster=b"y"))
    net.open("a", "b")
    assert net.drops == [Drop.BAD_HANDSHAKE]


@pytest.mark.scenario("CL15", kills="CL15 anybody is shaken hands with")
def test_unknown_names_are_dropped_before_any_key_exchange() -> None:
    stranger = links("c")
    (initiation,) = stranger.open("a", WHERE["a"], 0)
    received = links("a").receive(initiation.data, WHERE["c"], 0)
    assert (received.drop, received.outgoing) == (Drop.UNKNOWN_PEER, ())


def test_garbage_never_raises_and_never_opens_anything() -> None:
    rng = random.Random(1)
    net = connected()
    samples = [d for _, _, d in net.history]
    for _ in range(5000):
        if rng.random() < 0.5:
            data = bytearray(rng.randbytes(rng.randrange(0, 200)))
            data[:1] = bytes([rng.randrange(6)])
        else:
            data = bytearray(rng.choice(samples))
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        received = net.ends["b"].receive(bytes(data), WHERE["a"], net.now)
        assert received.plaintext is None
    assert net.say("a", "b", b"unmoved")


def restarted() -> tuple[Net, bytes]:
    """`b` has a new boot, and `a` has just sent it something: that datagram, on its way."""
    net = connected()
    net.ends["b"] = links("b", seed=9)
    sealed = net.ends["a"].seal("b", b"hello?", net.now)
    assert sealed is not None
    return net, sealed.data


def test_a_restarted_responder_is_heard_of_at_once() -> None:
    """Not after seconds of silence: the client of a cluster that was restarted waits for this."""
    net, data = restarted()
    net.carry("a", [Outgoing(WHERE["b"], data)])
    net.say("a", "b", b"hello")
    net.say("b", "a", b"you")
    assert (net.got["b"][-1], net.got["a"][-1]) == (b"hello", b"you")


def test_what_a_stranger_says_costs_at_most_a_handshake_a_second() -> None:
    """It is not authentic: the session that we have stays as it is."""
    net, data = restarted()
    (answer,) = net.ends["b"].receive(data, WHERE["a"], 0).outgoing
    assert len(answer.data) < len(data)
    a = net.ends["a"]
    assert len(a.receive(answer.data, WHERE["b"], 0).outgoing) == 1
    assert a.established("b")
    for now in (0, 10**8, 10**9 - 1):
        assert a.receive(answer.data, WHERE["b"], now).outgoing == ()
    a._links["b"].handshake = None
    assert a.receive(answer.data, WHERE["b"], 10**9 - 1).outgoing == ()
    assert len(a.receive(answer.data, WHERE["b"], 10**9).outgoing) == 1


def test_a_stranger_must_have_seen_one_of_our_latest_datagrams_and_be_where_the_peer_is() -> None:
    net, data = restarted()
    (answer,) = net.ends["b"].receive(data, WHERE["a"], 0).outgoing
    a = net.ends["a"]
    wrong_index = answer.data[:1] + bytes(4) + answer.data[5:]
    ahead = answer.data[:5] + (10**6).to_bytes(8, "big")
    for forged in (wrong_index, ahead, answer.data + b"x", answer.data[:-1]):
        assert a.receive(forged, WHERE["b"], 0).drop is Drop.UNEXPECTED
    assert a.receive(answer.data, WHERE["c"], 0).drop is Drop.UNEXPECTED
    assert a.receive(answer.data, WHERE["b"], 0).drop is None


def test_answers_to_datagrams_of_no_session_are_few() -> None:
    net, data = restarted()
    b = net.ends["b"]
    answers = [b.receive(data, ("203.0.113.1", 7), 0).outgoing for _ in range(1000)]
    assert sum(map(bool, answers)) == LinkLimits().strangers
    assert b.receive(data, WHERE["a"], LinkLimits().retry_ns).outgoing


def test_who_did_not_open_the_link_does_not_shake_hands_for_a_stranger() -> None:
    net = connected()
    net.ends["a"] = links("a", seed=9)
    sealed = net.ends["b"].seal("a", b"hello?", net.now)
    assert sealed is not None
    (answer,) = net.ends["a"].receive(sealed.data, WHERE["b"], 0).outgoing
    assert net.ends["b"].receive(answer.data, WHERE["a"], 0).drop is Drop.UNEXPECTED


def test_pending_sessions_are_bounded() -> None:
    net = connected()
    limit = LinkLimits().pending_sessions
    for seed in range(20):
        fresh = links("a", seed=100 + seed)
        for each in fresh.open("b", WHERE["b"], net.now):
            for cookie in net.ends["b"].receive(each.data, WHERE["a"], net.now).outgoing:
                for again in fresh.receive(cookie.data, WHERE["b"], net.now).outgoing:
                    net.ends["b"].receive(again.data, WHERE["a"], net.now)
    assert len(net.ends["b"]._links["a"].pending) <= limit
    assert len(net.ends["b"]._sessions) <= limit + 2
    assert net.say("b", "a", b"undisturbed")
    assert net.got["a"][-1] == b"undisturbed"


def test_an_address_is_not_taken_from_a_session_that_another_has_followed() -> None:
    """Whoever holds back its last datagrams does not turn the peer's own around."""
    net = connected()
    held = net.ends["a"].seal("b", b"held back", net.now)
    assert held is not None
    net.ends["a"].expire(net.now)
    again = net.ends["a"]._initiate("b", net.ends["a"]._links["b"], net.now)
    net.carry("a", [again])
    assert net.say("a", "b", b"new session")
    net.deliver("b", held.data, ("10.9.9.9", 9))
    assert net.got["b"][-1] == b"held back"
    assert net.ends["b"].address("a") == WHERE["a"]


def test_attempts_become_rarer_up_to_a_bound() -> None:
    limits = LinkLimits()
    net = Net(links("a"), links("b"))
    net.lose = lambda data: True
    net.open("a", "b")
    net.sleep(20)
    before = len(net.history)
    net.sleep(20)
    assert len(net.history) - before == 20 * 10**9 // limits.retry_max_ns


def test_a_link_that_hears_its_peer_stays_as_it_is() -> None:
    net = connected()
    before = net.ends["a"]._links["b"].current
    for _ in range(10):
        net.say("a", "b", b"ping")
        net.say("b", "a", b"pong")
        net.sleep(1)
    assert net.ends["a"]._links["b"].current is before


def test_a_session_and_a_handshake_never_share_an_index() -> None:
    end = links("a")
    end._sessions[1] = None  # type: ignore[assignment]
    numbers = iter((0, 1, 2, 2, 3))
    end._random = lambda size: (
        next(numbers).to_bytes(4, "big") if size == 4 else random.Random(1).randbytes(size)
    )
    end.open("b", WHERE["b"], 0)
    end.open("b", WHERE["b"], 0)
    handshake = end._links["b"].handshake
    assert handshake is not None
    assert handshake.index == 2
    assert end._new_index() == 3
