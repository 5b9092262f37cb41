"""Frames: nothing is lost between packing and unpacking, and no bytes make unpacking misbehave."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbft.core.wire import MAX_MESSAGE_BYTES
from pbft.transport.frames import (
    CONTROL,
    MESSAGE,
    MIN_ROOM,
    MISSING_BITMAP_BYTES,
    Fragment,
    FrameError,
    Missing,
    Whole,
    frames,
    missing_frames,
    name_of,
    pack,
    unpack,
)

ROOM = 200


def unpacked(payloads: list[bytes]) -> list[Whole | Fragment]:
    found = [frame for payload in payloads for frame in unpack(payload)]
    return [frame for frame in found if not isinstance(frame, Missing)]


def test_small_messages_share_a_payload() -> None:
    messages = [b"%d" % number * 10 for number in range(30)]
    waiting = [frame for each in messages for frame in frames(MESSAGE, each, ROOM)]
    payloads = pack(waiting, ROOM)
    assert all(len(payload) <= ROOM for payload in payloads)
    assert len(payloads) <= sum(map(len, waiting)) // (ROOM - 40) + 1
    assert unpacked(payloads) == [Whole(MESSAGE, each) for each in messages]


@given(st.binary(max_size=1000), st.sampled_from([MESSAGE, CONTROL]))
def test_a_message_of_any_size_survives(message: bytes, kind: int) -> None:
    found = unpacked(pack(frames(kind, message, ROOM), ROOM))
    assert b"".join(frame.data for frame in found) == message
    assert {frame.kind for frame in found} == {kind}
    if len(found) > 1:
        parts = [frame for frame in found if isinstance(frame, Fragment)]
        assert [part.part for part in parts] == list(range(len(found)))
        assert {part.parts for part in parts} == {len(found)}


def test_the_largest_message_fits_the_smallest_room() -> None:
    cut = frames(MESSAGE, bytes(MAX_MESSAGE_BYTES), MIN_ROOM)
    assert max(map(len, cut)) <= MIN_ROOM
    last = unpack(cut[-1])[0]
    assert isinstance(last, Fragment)
    assert last.part == last.parts - 1


@pytest.mark.scenario("T39", kills="T39 a re-sent message has another name")
def test_the_same_message_has_the_same_name_and_others_have_others() -> None:
    message = random.Random(1).randbytes(1000)
    assert frames(MESSAGE, message, ROOM) == frames(MESSAGE, message, ROOM)
    other = unpack(frames(MESSAGE, message[:-1] + b"x", ROOM)[0])[0]
    first = unpack(frames(MESSAGE, message, ROOM)[0])[0]
    assert isinstance(first, Fragment)
    assert isinstance(other, Fragment)
    assert first.name != other.name


@pytest.mark.parametrize("size", range(1, 30))
def test_a_cut_payload_is_refused(size: int) -> None:
    whole = frames(MESSAGE, b"m" * 50, ROOM)[0]
    fragment = frames(MESSAGE, b"m" * 500, ROOM)[0]
    for payload in (whole, fragment):
        with pytest.raises(FrameError):
            unpack(payload[:-size])


@pytest.mark.parametrize(
    "payload",
    [
        b"\x03\x00\x00",
        b"\x04\x00\x00",
        b"\x00\x00\x01x",
        b"\x81\x00\x01" + bytes(8) + b"\x00\x02\x00\x02" + b"x",
        b"\x81\x00\x01" + bytes(8) + b"\x00\x00\x00\x01" + b"x",
        b"\x81\x00\x00" + bytes(8) + b"\x00\x00\x00\x02",
        b"\xff\x00\x01" + bytes(8) + b"\x00\x00\x00\x02" + b"x",
    ],
    ids=[
        "nothing asked",
        "kind",
        "no kind",
        "part beyond",
        "one part",
        "empty part",
        "fragment of no kind",
    ],
)
def test_what_is_no_frame_is_refused(payload: bytes) -> None:
    with pytest.raises(FrameError):
        unpack(payload)


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(payload: bytes) -> None:
    try:
        found = unpack(payload)
    except FrameError:
        return
    data = [frame.data for frame in found if not isinstance(frame, Missing)]
    assert sum(map(len, data)) <= len(payload)


@given(st.sets(st.integers(0, 0xFFFF), min_size=1, max_size=60))
def test_a_question_names_exactly_the_parts_that_are_missing(parts: set[int]) -> None:
    asked = missing_frames(b"eight by", sorted(parts))
    assert max(map(len, asked)) <= MIN_ROOM
    found = [frame for payload in pack(asked, ROOM) for frame in unpack(payload)]
    assert all(isinstance(frame, Missing) and frame.name == b"eight by" for frame in found)
    named = [at for frame in found if isinstance(frame, Missing) for at in frame.parts]
    assert named == sorted(parts)


def test_a_question_about_every_part_of_the_largest_message_is_short() -> None:
    asked = missing_frames(bytes(8), range(0xFFFF))
    assert sum(map(len, asked)) < 0xFFFF // 8 * 5 // 4


@pytest.mark.parametrize("bitmap", [b"", bytes(MISSING_BITMAP_BYTES + 1)], ids=["none", "long"])
def test_a_question_with_another_bitmap_is_refused(bitmap: bytes) -> None:
    size = (10 + len(bitmap)).to_bytes(2, "big")
    with pytest.raises(FrameError):
        unpack(b"\x03" + size + bytes(8) + b"\0\0" + bitmap)


def test_a_name_is_found_in_each_of_a_messages_fragments() -> None:
    cut = frames(MESSAGE, bytes(1000), ROOM)
    first = unpack(cut[0])[0]
    assert isinstance(first, Fragment)
    assert {name_of(frame) for frame in cut} == {first.name}
