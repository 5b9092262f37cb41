"""What a sealed datagram carries: frames, each a whole message or one fragment of a message.

    whole:    kind (1) | length (2) | data
    fragment: kind + 0x80 (1) | length (2) | name (8) | part (2) | parts (2) | data
    missing:  3 (1) | length (2) | name (8) | first part (2) | a bit for each part from there

Small messages share a datagram; one that does not fit is cut into fragments that do. A message's
name is a keyed digest of its bytes, so a re-sent message fills the gaps of its first sending: a
NEW-VIEW of 200 fragments arrives over a lossy network although no single sending of it does (T39).
Its receiver also names the fragments that it misses, for the sender to send just those again.
"""

import os
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from struct import Struct
from struct import error as StructError
from typing import NamedTuple, TypeAlias

from pbft.core.errors import PbftError
from pbft.core.wire import MAX_MESSAGE_BYTES

MESSAGE = 1
"""A message of the protocol."""
CONTROL = 2
"""A question about a replica's status, or its answer."""
KINDS = (MESSAGE, CONTROL)
MISSING = 3
"""Which fragments of a message have not arrived: between the two transports."""

NAME_BYTES = 8
_FRAGMENT = 0x80
_HEADER = Struct(">BH")
_PART = Struct(">8sHH")
_FIRST = Struct(">8sH")
_MAX_COUNT = 0xFFFF
MISSING_BITMAP_BYTES = 64
"""So many times eight parts at most are asked for by one frame."""
MIN_ROOM = _HEADER.size + _PART.size + MAX_MESSAGE_BYTES // _MAX_COUNT + 1
_KEY = os.urandom(32)


class FrameError(PbftError):
    """A payload that is not a sequence of frames; its sender is known and at fault."""


class Whole(NamedTuple):
    kind: int
    data: bytes


class Fragment(NamedTuple):
    """Part `part` of `parts` of the message that its sender calls `name`."""

    kind: int
    name: bytes
    part: int
    parts: int
    data: bytes


class Missing(NamedTuple):
    """The sender of this lacks `parts`, in ascending order, of what the receiver calls `name`."""

    name: bytes
    parts: tuple[int, ...]


Frame: TypeAlias = Whole | Fragment | Missing


def frames(kind: int, message: bytes, room: int) -> list[bytes]:
    """The frames of one message, each at most `room` bytes."""
    size = len(message)
    if size <= room - _HEADER.size:
        return [_HEADER.pack(kind, size) + message]
    step = room - _HEADER.size - _PART.size
    count = -(-size // step)
    name = blake2b(message, digest_size=NAME_BYTES, key=_KEY).digest()
    cuts = (message[at : at + step] for at in range(0, size, step))
    return [
        _HEADER.pack(kind | _FRAGMENT, len(cut)) + _PART.pack(name, part, count) + cut
        for part, cut in enumerate(cuts)
    ]


def name_of(fragment: bytes) -> bytes:
    """The name in one of several `frames` of a message."""
    return fragment[_HEADER.size : _HEADER.size + NAME_BYTES]


def missing_frames(name: bytes, parts: Iterable[int]) -> list[bytes]:
    """Frames that ask for `parts` (ascending) of the message that the peer calls `name`."""
    windows: list[tuple[int, bytearray]] = []
    for part in parts:
        if not windows or part >= windows[-1][0] + 8 * MISSING_BITMAP_BYTES:
            windows.append((part, bytearray()))
        first, bits = windows[-1]
        at, bit = divmod(part - first, 8)
        bits.extend(bytes(at + 1 - len(bits)))
        bits[at] |= 1 << bit
    return [
        _HEADER.pack(MISSING, _FIRST.size + len(bits)) + _FIRST.pack(name, first) + bits
        for first, bits in windows
    ]


def pack(waiting: Iterable[bytes], room: int) -> list[bytes]:
    """Frames joined, in order, into as few payloads of at most `room` bytes as that gives."""
    payloads: list[bytes] = []
    joined: list[bytes] = []
    size = 0
    for frame in waiting:
        size += len(frame)
        if size > room and joined:
            payloads.append(b"".join(joined))
            joined, size = [], len(frame)
        joined.append(frame)
    if joined:
        payloads.append(b"".join(joined))
    return payloads


def unpack(payload: bytes) -> Sequence[Frame]:
    """The frames of one payload. Raises `FrameError` unless all of it is frames."""
    found: list[Frame] = []
    at, end = 0, len(payload)
    try:
        while at < end:
            kind, size = _HEADER.unpack_from(payload, at)
            at += 3
            if kind in KINDS:
                found.append(Whole(kind, payload[at : at + size]))
            elif kind == MISSING:
                found.append(_missing(payload, at, size))
            else:
                found.append(_fragment(kind, payload, at, size))
                at += _PART.size
            at += size
    except StructError:
        raise FrameError("a frame that is cut") from None
    if at != end:
        raise FrameError("a frame that is cut")
    return found


def _fragment(kind: int, payload: bytes, at: int, size: int) -> Fragment:
    if kind & ~_FRAGMENT not in KINDS:
        raise FrameError("a frame of no known kind")
    name, part, parts = _PART.unpack_from(payload, at)
    if not (part < parts and parts >= 2 and size):
        raise FrameError("a fragment outside its message")
    at += _PART.size
    return Fragment(kind & ~_FRAGMENT, name, part, parts, payload[at : at + size])


def _missing(payload: bytes, at: int, size: int) -> Missing:
    name, first = _FIRST.unpack_from(payload, at)
    bitmap = payload[at + _FIRST.size : at + size]
    if not 0 < len(bitmap) <= MISSING_BITMAP_BYTES:
        raise FrameError("a bitmap of no parts, or of too many")
    bits = int.from_bytes(bitmap, "little")
    return Missing(name, tuple(first + at for at in range(bits.bit_length()) if bits >> at & 1))
