"""How deep the lists and maps of a value are in each other.

Decoders recurse, and fail where the stack ends: at a depth of the value which depends on how deep
the calls of this replica are by then. So everything deeper than a bound that is far from there is
refused, everywhere alike. The bytes are looked at without recursion; most values have so few lists
and maps that counting the bytes which may be one is enough.
"""

import re
from collections.abc import Iterable
from functools import cache

MAX_DEPTH = 128
"""Lists and maps in each other."""
MAX_LISTS = 65_536
"""Lists and maps in all: each costs about a microsecond to look at."""
SAID = f"it has more than {MAX_DEPTH} lists and maps in each other, or {MAX_LISTS:,} in all"
"""The same words from whoever finds it out, also by the end of the stack."""
HEADS = bytes((*range(0x80, 0xA0), *range(0xDC, 0xE0)))
"""Bytes with which a list or a map begins."""
SHORT = 32
"""Texts of fewer bytes are passed many at a time, as numbers are: a client may send a million."""
MOST = 12
"""Of so many values at once, as a power of two."""
LENGTHS = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xC7: 1, 0xC8: 2, 0xC9: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
"""Heads with a length behind them, and the bytes of that."""
EXTENSIONS = range(0xC7, 0xCA)
"""Those of them with one byte more."""
FIXED = {0xD4: 3, 0xD5: 4, 0xD6: 6, 0xD7: 10, 0xD8: 18}
COUNTS = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}
"""Heads of lists and maps with a count behind them: its bytes, and the values of an entry."""


def _one_of(begins: Iterable[tuple[bytes, int]]) -> bytes:
    """The pattern of what begins so and has so many bytes behind that."""
    each = (re.escape(begin) + b".{%d}" % size for begin, size in begins)
    return b"(?:" + b"|".join(each) + b")"


def _with_length(head: int) -> bytes:
    """The pattern of short texts and the like with their length behind the head."""
    width, more = LENGTHS[head], head in EXTENSIONS
    lengths = _one_of((bytes((size,)), size + more) for size in range(SHORT))
    return re.escape(bytes((head,)) + bytes(width - 1)) + lengths


VALUE = b"|".join(
    (
        rb"[\x00-\x7f\xa0\xc0\xc2\xc3\xe0-\xff]|[\xcc\xd0].|[\xcd\xd1]..",
        rb"[\xca\xce\xd2].{4}|[\xcb\xcf\xd3].{8}",
        *(_one_of((bytes((0xA0 + n,)), n) for n in range(at, at + 8)) for at in range(0, SHORT, 8)),
        *map(_with_length, LENGTHS),
        _one_of((bytes((head,)), size - 1) for head, size in FIXED.items()),
    )
)
"""The pattern of what is neither a list or map nor long."""


@cache
def _values(least: int, most: int) -> re.Pattern[bytes]:
    """The pattern of so many of them. Made when it is needed: that takes some milliseconds."""
    return re.compile(b"(?:%b){%d,%d}+" % (VALUE, least, most), re.DOTALL)


def too_deep(data: bytes) -> bool:
    """Whether a value of msgpack is deeper than `MAX_DEPTH`, or has more than `MAX_LISTS`. Bytes
    that are no value are not, as far as they go: decoding them fails there."""
    if len(data) - len(data.translate(None, HEADS)) <= MAX_DEPTH:
        return False
    at, lists = 0, 0
    waiting = [1]  # how many values are still to come, in each list or map that is open
    while waiting and at < len(data):
        if not waiting[-1]:
            waiting.pop()
            continue
        end, passed = _passed(data, at, waiting[-1])
        if passed:
            at, waiting[-1] = end, waiting[-1] - passed
            continue
        waiting[-1] -= 1
        at, below = _opened(data, at) if data[at] in HEADS else (_past(data, at), None)
        if below is not None:
            waiting.append(below)
            lists += 1
        if len(waiting) > MAX_DEPTH + 1 or lists > MAX_LISTS:
            return True
    return False


def _passed(data: bytes, at: int, most: int) -> tuple[int, int]:
    """Where the next values end that are neither lists nor maps nor long, and how many they are: a
    power of two up to `most`, or all up to what is not like that."""
    if data[at] in HEADS:
        return at, 0
    block = 1 << min(most.bit_length() - 1, MOST)
    run = _values(block, block).match(data, at)
    if run is not None:
        return run.end(), block
    run = _values(1, 1 << MOST).match(data, at)
    if run is None:
        return at, 0
    return run.end(), len(_values(1, 1).findall(data, at, run.end()))


def _opened(data: bytes, at: int) -> tuple[int, int]:
    """Where the values of a list or map begin, and how many there are."""
    head = data[at]
    if head < 0x90:
        return at + 1, 2 * (head & 0x0F)
    if head < 0xA0:
        return at + 1, head & 0x0F
    width, each = COUNTS[head]
    return at + 1 + width, each * int.from_bytes(data[at + 1 : at + 1 + width], "big")


def _past(data: bytes, at: int) -> int:
    """Where a string, bytes or an extension ends."""
    head = data[at]
    if 0xA0 <= head < 0xC0:
        return at + 1 + (head & 0x1F)
    if head in FIXED:
        return at + FIXED[head]
    if head not in LENGTHS:
        return len(data)
    width = LENGTHS[head]
    length = int.from_bytes(data[at + 1 : at + 1 + width], "big")
    return at + 1 + width + length + (head in EXTENSIONS)
