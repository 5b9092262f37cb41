"""In a flood, what belongs to no session of ours is dropped by the kernel (FL1).

A datagram that Python reads costs microseconds, and garbage comes by the hundred thousand. A socket
filter (classic BPF, which needs no privilege) drops it for a fraction of that, before it takes the
place of anything else in the kernel's buffer. It lets through

    what names one of our sessions, or answers a handshake of ours,
    initiations of a length that they have,
    one in `SAMPLE` of the rest: a peer must learn that it is a stranger to us after a restart,
    and we that the flood goes on.

Which indexes are ours nobody can guess, and whoever sees them on the wire gains what anybody has
without a filter. Where there is no such filter, all of this costs more and is as correct.
"""

import ctypes
import socket
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from pbft.core.ids import MILLISECOND

SAMPLE = 256
MAX_INDEXES = 1900
"""A filter has 4,096 instructions; beyond, there is none."""

_ATTACH, _DETACH = 26, 27
_LOAD_BYTE, _LOAD_WORD, _LOAD_LENGTH = 0x30, 0x20, 0x80
_IF_EQUAL, _IF_AT_LEAST, _AND, _RETURN = 0x15, 0x35, 0x54, 0x06
_RANDOM = 0xFFFFF000 + 56
_HEADER = 8
"""The filter sees the header of UDP, too."""
_WHOLE = 0xFFFFFFFF

Instruction = tuple[int, int, int, int]
"""Code, how far to jump where true and where false, operand."""


def program(indexes: Iterable[int], initiations: Iterable[range]) -> list[Instruction]:
    """Accept `initiations` by length and everything else by the receiver's index in it. A load
    beyond the end of a datagram drops it."""
    accept = (_RETURN, 0, 0, _WHOLE)
    sample = [
        (_LOAD_WORD, 0, 0, _RANDOM),
        (_AND, 0, 0, SAMPLE - 1),
        (_IF_EQUAL, 0, 1, 0),
        accept,
        (_RETURN, 0, 0, 0),
    ]
    begin: list[Instruction] = [(_LOAD_LENGTH, 0, 0, 0)]
    lengths = [each for sizes in initiations for each in _within(sizes, accept)]
    first = [*begin, *lengths, *sample]
    kind: list[Instruction] = [
        (_LOAD_BYTE, 0, 0, _HEADER),
        (_IF_EQUAL, 1, 0, 1),
        (_IF_EQUAL, len(first), len(first) + 2, 2),
    ]
    where: list[Instruction] = [
        (_LOAD_WORD, 0, 0, _HEADER + 5),
        (_IF_EQUAL, 1, 1, 0),
        (_LOAD_WORD, 0, 0, _HEADER + 1),
    ]
    ours = [each for index in indexes for each in _one_of(index, accept)]
    return [*kind, *first, *where, *ours, *sample]


def _one_of(value: int, accept: Instruction) -> list[Instruction]:
    return [(_IF_EQUAL, 0, 1, value), accept]


def _within(sizes: range, accept: Instruction) -> list[Instruction]:
    low, high = sizes.start + _HEADER, sizes.stop + _HEADER
    return [(_IF_AT_LEAST, 0, 2, low), (_IF_AT_LEAST, 1, 0, high), accept]


class Gate:
    """Open until `flood` datagrams that were of no use have been read between two looks."""

    LOOK_NS = 100 * MILLISECOND
    FLOOD = 50

    def __init__(self, sock: Any, initiations: Iterable[range]) -> None:
        self._socket = sock
        self._initiations = tuple(initiations)
        self._useless = 0
        self._look_at = 0
        self._let_through: frozenset[int] | None = None

    @property
    def closed(self) -> bool:
        """Whether the kernel filters."""
        return self._let_through is not None

    def useless(self) -> None:
        """A datagram came to nothing."""
        self._useless += 1

    def look(self, now: int) -> bool:
        """Open again after the flood; whether there is one."""
        if now < self._look_at:
            return self.closed
        flood = self._useless * (SAMPLE if self.closed else 1) > self.FLOOD
        self._look_at, self._useless = now + self.LOOK_NS, 0
        if self.closed and not flood:
            detach(self._socket)
            self._let_through = None
        return flood

    def close(self, indexes: frozenset[int]) -> None:
        """Let only `indexes` through, and samples."""
        if indexes != self._let_through and attach(self._socket, indexes, self._initiations):
            self._let_through = indexes


def attach(sock: socket.socket, indexes: Iterable[int], initiations: Iterable[range]) -> bool:
    """Let the kernel drop most of the rest; whether it does."""
    code = program(indexes, initiations)
    if sys.platform != "linux" or len(code) > 2 * MAX_INDEXES:
        return False
    data = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in code))
    with suppress(OSError):
        fields = struct.pack("HL", len(code), ctypes.addressof(data))
        sock.setsockopt(socket.SOL_SOCKET, _ATTACH, fields)
        return True
    return False


def detach(sock: socket.socket) -> None:
    """Let everything through again."""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, _DETACH, 0)
