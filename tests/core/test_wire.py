"""Bytes and messages: one encoding per value, one value per encoding, bounds on everything."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbft.core import wire
from pbft.core.errors import DecodeError
from pbft.core.messages import AnyMessage, Commit, LinkMessage, Prepare, Signable
from tests.core.samples import EVERY, LINK, SIGNABLE, D

SIGNATURE = b"s" * 64


def whole(message: AnyMessage) -> bytes:
    if isinstance(message, Signable):
        return wire.seal_signed(wire.encode_body(message), SIGNATURE)
    return wire.encode_link(message)


@pytest.mark.parametrize("message", EVERY, ids=lambda m: type(m).__name__)
def test_every_message_survives_its_encoding(message: AnyMessage) -> None:
    assert wire.decode(whole(message)) == message


GOLDEN = {
    "Request": "9501a5616c6963650192c403707574c400c400",
    "PrePrepare": "95020001c420" + D.hex() + "00",
    "Prepare": "95030102c420" + D.hex() + "03",
    "Commit": "9504cf7fffffffffffffffcf7fffffffffffffffc420" + D.hex() + "cf7fffffffffffffff",
    "Checkpoint": "9405cc80c420" + D.hex() + "02",
    "ViewChange": "960603cc8092c4036f6e65c40374776f9192c402707092c4027031c402703201",
    "NewView": "95070392c403766331c40376633291c40370703103",
    "Proposal": "9310c4027070c4056261746368",
    "Status": "981107c2cc80ccc8c3c3c2",
    "Witness": "93129090",
    "FetchBatch": "9213c420" + D.hex(),
    "BatchBody": "9214c4056261746368",
    "Decision": "9415c402707092c4026331c4026332c4056261746368",
    "StableProof": "921691c4026b31",
    "FetchNodes": "92179192c4020102c420" + D.hex(),
    "Nodes": "92189193c4020102c420" + D.hex() + "c40464617461",
    "Reply": "97190263c420" + D.hex() + "1192c403006f6bc403016e6f03",
    "Read": "961acf00000100000000000391c403676574c2c400",
    "ReadReply": "961bcf00000100000000000311c420" + D.hex() + "02",
    "Receipt": "9708a5616c69636501c420" + D.hex() + "11c420" + D.hex() + "02",
    "Attest": "921c63",
    "Ticket": "9709a5616c6963653fc420" + D.hex() + "c420" + D.hex() + "91a367657400",
}


@pytest.mark.scenario("WF7", kills="WF7 a type has another number")
@pytest.mark.parametrize("message", EVERY, ids=lambda m: type(m).__name__)
def test_stored_bytes_never_change(message: AnyMessage) -> None:
    assert wire.encode_body(message).hex() == GOLDEN[type(message).__name__]


@pytest.mark.scenario("WF2")
@pytest.mark.parametrize("message", EVERY, ids=lambda m: type(m).__name__)
def test_any_flipped_bit_is_rejected_or_another_message(message: AnyMessage) -> None:
    data = whole(message)
    start = 65 if isinstance(message, Signable) else 1
    for bit in range(8 * start, 8 * len(data)):
        mutant = bytearray(data)
        mutant[bit // 8] ^= 1 << bit % 8
        try:
            decoded = wire.decode(bytes(mutant))
        except DecodeError:
            continue
        assert decoded != message
        assert wire.encode_body(decoded) == bytes(mutant[start:])


@pytest.mark.scenario("WF2")
@pytest.mark.parametrize("message", EVERY, ids=lambda m: type(m).__name__)
def test_cut_or_extended_bytes_are_rejected(message: AnyMessage) -> None:
    data = whole(message)
    for cut in range(len(data)):
        with pytest.raises(DecodeError):
            wire.decode(data[:cut])
    for more in (b"\x00", b"\xc0", data):
        with pytest.raises(DecodeError):
            wire.decode(data + more)


@pytest.mark.scenario("WF2", kills="WF2 a value has two encodings")
def test_another_encoding_of_the_same_value_is_rejected() -> None:
    good = whole(LINK[1])
    assert good[1:3] == b"\x98\x11"
    for other in (
        b"\x02\xdc\x00\x07" + good[2:],
        good[:2] + b"\xcc\x11" + good[3:],
        good[:3] + b"\xcc\x07" + good[4:],
        good[:3] + b"\xd3" + bytes(7) + b"\x07" + good[4:],
    ):
        with pytest.raises(DecodeError):
            wire.decode(other)


def test_claimed_lengths_allocate_nothing() -> None:
    for evil in (
        b"\x02\x92\x16\xdd\xff\xff\xff\xff",
        b"\x02\x92\x14\xc6\xff\xff\xff\xff",
        b"\x02" + b"\x91" * 100_000,
        b"\x02\xdf\xff\xff\xff\xff",
    ):
        with pytest.raises(DecodeError):
            wire.decode(evil)


def test_a_message_above_the_limit_is_rejected_unread() -> None:
    with pytest.raises(DecodeError, match="above"):
        wire.decode(b"\x02" + bytes(wire.MAX_MESSAGE_BYTES + 1))


def test_types_differ_in_their_bytes_even_with_equal_fields() -> None:
    prepare, commit = Prepare(1, 2, D, 3), Commit(1, 2, D, 3)
    assert wire.encode_body(prepare) != wire.encode_body(commit)
    assert len({wire.encode_body(m)[1] for m in EVERY}) == len(EVERY)


@pytest.mark.scenario("WF1", "T41")
@given(st.binary(max_size=300))
def test_random_bytes_give_a_typed_error_or_a_canonical_message(data: bytes) -> None:
    for marked in (data, b"\x01" + bytes(64) + data, b"\x02" + data):
        try:
            message = wire.decode(marked)
        except DecodeError:
            continue
        assert marked.endswith(wire.encode_body(message))


def test_mutants_of_valid_messages_never_escape_the_error_type() -> None:
    rng = random.Random(7)
    samples = [whole(m) for m in EVERY]
    for _ in range(20_000):
        data = bytearray(rng.choice(samples))
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            wire.decode(bytes(data))
        except DecodeError:
            continue


def test_the_null_batch_is_the_empty_one() -> None:
    assert wire.decode_batch(wire.NULL_BATCH).requests == ()
    assert wire.batch_digest(wire.NULL_BATCH) == wire.NULL_DIGEST


def test_a_request_is_named_by_its_body_not_by_its_signature() -> None:
    body = wire.encode_body(SIGNABLE[0])
    one, two = wire.seal_signed(body, b"a" * 64), wire.seal_signed(body, b"b" * 64)
    assert wire.request_digest(one) == wire.request_digest(two)


def test_what_stands_for_results_says_where_each_of_them_ends() -> None:
    """A liar could else move bytes from one caller's result into another's."""
    ways = [(b"\0ab", b"\0c"), (b"\0a", b"b\0c"), (b"\0ab\0c",), (b"\0ab\0c", b"")]
    assert len({wire.results_digest(each) for each in ways}) == len(ways)


def test_split_refuses_what_is_not_signed() -> None:
    message: LinkMessage = LINK[0]
    for data in (b"", b"\x01" + bytes(64), wire.encode_link(message)):
        with pytest.raises(DecodeError):
            wire.split_signed(data)
