"""Messages and operations in words, whatever bytes somebody makes of them."""

from hypothesis import given
from hypothesis import strategies as st

from pbft.core.effects import Executed, ViewChangeStarted
from pbft.core.messages import Batch, Proposal, Reply, Request
from pbft.core.wire import encode_body, encode_link
from pbft.services.kv import Put, encode
from pbft.testing.timeline import describing
from pbft.typed.methods import operation
from tests.core.lab import Lab

PUT = encode(Put(b"colour", b"red"))


def test_a_request_shows_its_operations() -> None:
    raw = Lab(me=0).request(3, PUT).raw
    kind, text = describing.message(raw, True)
    assert kind == "Request"
    assert "client: alice" in text
    assert "Put(colour, red)" in text


def test_a_proposal_shows_its_pre_prepare_and_its_requests() -> None:
    lab = Lab(me=0)
    batch = encode_body(Batch(7, (lab.request(3, PUT).raw,)))
    kind, text = describing.message(encode_link(Proposal(b"not signed", batch)), True)
    assert kind == "Proposal"
    assert "batch: 1 requests, time 7" in text
    assert "    Put(colour, red)" in text.replace("      ", "    ")


def test_a_reply_shows_what_it_gives() -> None:
    reply = Reply(1, 2, bytes(32), 3, (b"\x00\x07", b"\x01Locked: by bob"), 0)
    text = describing.message(encode_link(reply), False)[1]
    assert "→ 7" in text
    assert "→ refused: Locked: by bob" in text
    assert "request: 000000000000…" in text


def test_what_is_no_message_is_garbled() -> None:
    assert describing.message(b"\x01nonsense", True)[0] == "Garbled"


def test_calls_are_shown_as_they_are_written() -> None:
    assert describing.operation(operation("add", [b"\x05", b"\xa3ann"]), False) == "add(5, 'ann')"
    assert describing.operation(b"\x00\x01", True).startswith("not an operation")


def test_long_things_are_cut() -> None:
    operations = tuple(encode(Put(b"%d" % n, b"x" * 500)) for n in range(100))
    lab = Lab(me=0)
    raw = lab.request(3, operations[0]).raw
    text = describing.message(raw, True)[1]
    assert f"Put(0, {'x' * 40}…)" in text
    many = describing.message(encode_link(Reply(1, 2, bytes(32), 3, operations, 0)), True)[1]
    assert "and 88 more" in many
    assert len(many) < describing.MAX_CONTENT + 10


@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_can_be_described(data: bytes, keyed: bool) -> None:
    for text in (
        describing.operation(data, keyed),
        describing.result(data),
        describing.message(data, keyed)[1],
    ):
        assert text


def test_events_are_sentences() -> None:
    kind, text = describing.event(Executed(4, bytes(32), (("ann", 1),), 1))
    assert (kind, text) == ("executed", "executed 4: 000000000000… (ann 1)")
    assert describing.event(ViewChangeStarted(2, "late"))[1] == "leaves for view 2: late"


def test_a_signed_request_inside_a_request_is_not_followed_for_ever() -> None:
    raw = b"x"
    for _ in range(20):
        raw = b"\x01" + bytes(64) + encode_body(Request("c", 1, (raw,)))
    assert describing.message(raw, False)[0] == "Request"
