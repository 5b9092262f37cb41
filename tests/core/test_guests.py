"""Guests: who speaks under a ticket is judged by bytes and the cluster file alone (T4, T5, T48)."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from pbft.core.authentication import Authentication
from pbft.core.errors import NotPermittedError
from pbft.core.messages import Batch, Read, ReadReply, Reply, Request, Signed, Ticket
from pbft.core.protocol.admission import refusal
from pbft.core.service import OK, REFUSED, Context
from pbft.core.wire import batch_digest, encode_body
from pbft.crypto.signing import SigningKey
from tests.core.lab import CLUSTER, Journal, Lab, executed

OTHER = SigningKey(b"o" * 32)


class Keeper(Journal):
    """Remembers who asked; answers reads."""

    def open(self, state: Any) -> None:
        super().open(state)
        self.seen: list[Context] = []

    def execute(self, operation: bytes, context: Context) -> bytes:
        self.seen.append(context)
        return super().execute(operation, context)

    def query(self, operation: bytes) -> bytes:
        return operation


def judge(lab: Lab, cluster: bytes = CLUSTER) -> Authentication:
    return Authentication(cluster, lab.keys[0], lab.verifier)


def signed(key: SigningKey, message: Any, cluster: bytes = CLUSTER) -> Any:
    return Authentication(cluster, key, Lab().verifier).sign(message)


def ticket(lab: Lab, **changes: Any) -> Ticket:
    plain = Ticket("alice", 0, lab.keys["alice/0"].public, bytes(32), ("*",), 0)
    return msgspec.structs.replace(plain, **changes)


def asked(lab: Lab, raw: bytes, client: str = "alice/0") -> Signed[Request]:
    """A request of the guest's key, under any ticket and name."""
    request = Request(client, 1, (b"op",), raw)
    found: Signed[Request] = signed(lab.keys["alice/0"], request)
    return found


def test_a_guest_is_who_its_ticket_says_and_is_served_like_anybody() -> None:
    lab = Lab(me=1)
    guest = lab.admit(0)
    one = lab.request(1, client=guest)
    assert judge(lab).authentic(one.message, one.raw)
    effects = lab.settle(1, batch=lab.batch(one))
    assert executed(effects) == [1]
    (reply,) = [each for each in effects.replies if isinstance(each.message, Reply)]
    assert reply.to == ("alice/0",)


FORGERIES: dict[str, Callable[[Lab], Signed[Request]]] = {
    "signed by the guest itself": lambda lab: asked(
        lab, signed(lab.keys["alice/0"], ticket(lab)).raw
    ),
    "signed by another client": lambda lab: asked(lab, signed(lab.keys["bob"], ticket(lab)).raw),
    "of one who may not admit": lambda lab: asked(
        lab, signed(lab.keys["bob"], ticket(lab, admitter="bob")).raw, "bob/0"
    ),
    "of a replica": lambda lab: asked(
        lab, signed(lab.keys[0], ticket(lab, admitter="replica-0")).raw, "replica-0/0"
    ),
    "of nobody": lambda lab: asked(
        lab, signed(OTHER, ticket(lab, admitter="mallory")).raw, "mallory/0"
    ),
    "of a guest": lambda lab: asked(
        lab, signed(lab.keys["alice/0"], ticket(lab, admitter="alice/0")).raw, "alice/0/0"
    ),
    "beyond the slots": lambda lab: asked(
        lab, signed(lab.keys["alice"], ticket(lab, slot=4)).raw, "alice/4"
    ),
    "of another cluster": lambda lab: asked(
        lab, signed(lab.keys["alice"], ticket(lab), b"another cluster!").raw
    ),
    "for another slot": lambda lab: asked(
        lab, signed(lab.keys["alice"], ticket(lab, slot=1)).raw, "alice/0"
    ),
    "in the admitter's name": lambda lab: asked(lab, lab.tickets["alice/0"], "alice"),
    "in another client's name": lambda lab: asked(lab, lab.tickets["alice/0"], "bob"),
    "in a replica's name": lambda lab: asked(lab, lab.tickets["alice/0"], "replica-0"),
    "for another key": lambda lab: signed(
        OTHER, Request("alice/0", 1, (b"op",), lab.tickets["alice/0"])
    ),
    "used by the admitter": lambda lab: signed(
        lab.keys["alice"], Request("alice/0", 1, (b"op",), lab.tickets["alice/0"])
    ),
    "left out": lambda lab: asked(lab, b""),
    "that is another message": lambda lab: asked(lab, lab.request(1).raw),
    "that is no message": lambda lab: asked(lab, b"\x01" + bytes(100)),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_ticket_that_is_forged_or_borrowed_is_worth_nothing(name: str) -> None:
    """Before the good one, after it, and in the batch of a primary, which convicts itself."""
    lab = Lab(me=1)
    lab.admit(0)
    forged, one = FORGERIES[name](lab), judge(lab)
    assert not one.authentic(forged.message, forged.raw)
    good = lab.request(7, client="alice/0")
    assert one.authentic(good.message, good.raw)
    assert not one.authentic(forged.message, forged.raw)
    batch = encode_body(Batch(lab.wall, (good.raw, forged.raw)))
    effects = lab.feed(lab.proposal(0, 1, batch), peer=0)
    assert [each.kind for each in effects.evidence] == ["proposal with a bad request"]


def test_every_flipped_bit_of_a_ticket_is_refused() -> None:
    lab = Lab(me=1)
    raw = lab.tickets[lab.admit(0)]
    one = judge(lab)
    assert one.ticket(raw) is not None
    for bit in range(8 * len(raw)):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        assert one.ticket(bytes(flipped)) is None
    assert one.ticket(b"") is None


@pytest.mark.scenario("CL15")
def test_a_hundred_thousand_tickets_of_strangers_leave_nothing_behind() -> None:
    """Their signatures are looked at once each, here; `Door` bounds how often."""
    lab = Lab(me=1)
    raw = lab.tickets[lab.admit(0)]
    one = judge(lab)
    for number in range(1000):
        assert one.ticket(raw[:1] + number.to_bytes(8, "big") + raw[9:]) is None
    for number in range(100_000):
        stranger = Ticket(f"stranger-{number}", 0, bytes(32), bytes(32), ("*",), 0)
        assert one.ticket(raw[:65] + encode_body(stranger)) is None
    assert (len(one._recent), len(one._older)) == (0, 0)
    assert one.checks == 1000


def test_the_service_learns_who_asked_and_under_which_ticket() -> None:
    lab = Lab(me=1)
    lab.service = Keeper()
    lab.replica = lab._boot()
    lab.clear()
    guest = lab.admit(2, may=("get",), until=77)
    lab.settle(1, batch=lab.batch(lab.request(1, client=guest), lab.request(1)))
    contexts = lab.service.seen
    assert [each.client for each in contexts] == ["alice/2", "alice"]
    shown = contexts[0].ticket
    assert shown is not None
    assert (shown.may, shown.until, contexts[1].ticket) == (("get",), 77, None)


def test_guests_have_sessions_of_their_own_and_two_tickets_for_a_slot_share_one() -> None:
    lab = Lab(me=1)
    first, second = lab.admit(0), lab.admit(1)
    lab.settle(1, batch=lab.batch(lab.request(5, client=first), lab.request(5, client=second)))
    assert len(lab.service.operations) == 2
    lab.admit(0, until=99)
    effects = lab.settle(2, batch=lab.batch(lab.request(5, client=first)))
    assert executed(effects) == [2]
    assert len(lab.service.operations) == 2, "timestamp 5 of this slot has executed"


def test_a_restart_takes_the_requests_of_guests_out_of_its_records() -> None:
    lab = Lab(me=1)
    guest = lab.admit(3)
    batch = lab.batch(lab.request(1, client=guest))
    lab.feed(lab.proposal(0, 1, batch), peer=0)
    lab.restart()
    digest = batch_digest(batch)
    lab.feed(*(lab.prepare(each, 0, 1, digest) for each in (2, 3)))
    lab.feed(*(lab.commit(each, 0, 1, digest) for each in (0, 2, 3)))
    assert lab.service.operations == [b"op-1"]


def test_a_read_shows_the_ticket_of_whoever_the_link_vouches_for() -> None:
    lab = Lab(me=1, fast_reads=True)
    lab.service = Keeper()
    lab.replica = lab._boot()
    lab.clear()
    guest, other = lab.admit(0), lab.admit(1)
    good = Read(1, 1, (b"x",), ticket=lab.tickets[guest])
    (reply,) = lab.feed(good, peer=guest).replies
    assert isinstance(reply.message, ReadReply)
    state = lab.replica._state
    for peer, shown in ((guest, b""), (guest, lab.tickets[other]), ("alice", lab.tickets[guest])):
        read = Read(1, 2, (b"x",), ticket=shown)
        assert refusal(state, peer, read) == "read of another client"
        assert lab.feed(read, peer=peer).replies == []
    forged = msgspec.structs.replace(good, ticket=lab.tickets[guest][:-1] + b"\x01")
    effects = lab.feed(forged, peer=guest)
    assert effects.replies == []
    assert effects.nuisance.keys() == {"alice/0"}


def test_what_the_guard_refuses_reaches_no_service_ordered_or_not() -> None:
    lab = Lab(me=1, fast_reads=True)
    lab.service = Keeper()
    asked: list[Context] = []

    def guard(operation: bytes, context: Context) -> None:
        asked.append(context)
        if context.client != "alice":
            raise NotPermittedError(f"{context.client} may not")

    lab.guard = guard
    lab.replica = lab._boot()
    lab.clear()
    guest = lab.admit(0)
    (ordered,) = lab.settle(1, batch=lab.batch(lab.request(1, client=guest))).replies
    (read,) = lab.feed(Read(1, 1, (b"x",), ticket=lab.tickets[guest]), peer=guest).replies
    refused = (REFUSED + b"NotPermittedError: alice/0 may not",)
    for each in (ordered.message, read.message):
        assert isinstance(each, Reply | ReadReply)
        assert each.results == refused
    assert lab.service.seen == []
    assert [each.ticket is not None for each in asked] == [True, True]
    assert [each.time for each in asked] == [lab.wall, lab.wall], "agreed time, for a read too"
    (mine,) = lab.feed(Read(1, 2, (b"x",)), peer="alice").replies
    assert isinstance(mine.message, ReadReply)
    assert mine.message.results == (OK + b"x",)


def test_only_a_guest_itself_brings_its_requests() -> None:
    lab = Lab(me=1)
    guest, other = lab.admit(0), lab.admit(1)
    request = lab.request(1, client=guest)
    for peer in ("alice", "bob", other):
        lab.feed_raw(request.raw, peer=peer)
    assert lab.replica.status().waiting == 0
    lab.feed_raw(request.raw, peer=2)
    assert lab.replica.status().waiting == 1
