"""The simulator's disk: a map of bytes under the journal, that power cuts and damage reach.

A turn's writes are one frame of a log, sealed by a chain of checksums, and durable once synced. A
crash keeps any of the frames that were not: whole, torn, or none; the next start applies them up to
the first that does not follow from its predecessor. So what survives is a prefix of the
transactions, never half of one: write-ahead logs with cumulative checksums do the same.

Assumed of a store, and what makes damage noticed rather than believed: a checksum over all entries,
changed in the transaction that changes them. Rot, a write that went elsewhere and one that never
arrived break it, and the replica refuses to start. Two losses keep it intact: the file that is not
there, and a whole older disk. Those only peers can tell, who hold the replica's votes (T35).
"""

import hashlib
import random
from collections.abc import Iterable
from enum import Enum

import msgspec

from pbft.core.errors import PbftError
from pbft.core.records import AnyRecord, Recovering
from pbft.journal import LEAF, Put, read, writes

Row = tuple[bytes, bytes, bool]
"""A put (key, value, True) or a drop (first key, last key, False)."""

Copy = tuple[dict[bytes, bytes], int]
"""The entries, and the checksum over all."""

_rows = msgspec.msgpack.Decoder(list[Row])
SEAL = 32


class DiskDamagedError(PbftError):
    """What the disk holds is not what was written: its replica must not be started from it."""


class Harm(Enum):
    """What can befall what was already durable."""

    ROT = "a bit flips"
    MISDIRECTED = "a write lands on another key"
    STALE = "an overwritten value is back"
    MISSING = "the directory entry is lost: no file"
    LEAF = "a leaf of the state is no longer what it was"
    """The one harm that a replica puts right by itself: it stays correct (T54)."""


class Disk:
    """One replica's; `rng` decides what a crash leaves."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._entries: dict[bytes, bytes] = {}
        self._replaced: dict[bytes, bytes] = {}
        self._rotten: set[bytes] = set()
        self._sum = 0
        self._frames: list[bytes] = []
        self._applied = 0
        self._chain = bytes(SEAL)

    def write(self, records: Iterable[AnyRecord]) -> int:
        """One transaction; its number, to be handed to `sync`."""
        rows = [
            (w.key, w.value, True) if isinstance(w, Put) else (w.first, w.last, False)
            for record in records
            for w in writes(record)
        ]
        payload = msgspec.msgpack.encode(rows)
        last = self._frames[-1][:SEAL] if self._frames else self._chain
        self._frames.append(_seal(last, payload) + payload)
        return self._applied + len(self._frames)

    def sync(self, number: int) -> None:
        """Make transaction `number`, and all before it, durable."""
        count = max(0, number - self._applied)
        ready, self._frames = self._frames[:count], self._frames[count:]
        for frame in ready:
            self._apply(frame)

    def crash(self) -> None:
        """Lose power: of what was not synced, the medium holds whatever it happened to write."""
        frames, self._frames = self._frames, []
        for frame in map(self._left_of, frames):
            if frame[:SEAL] != _seal(self._chain, frame[SEAL:]):
                break
            self._apply(frame)

    def read(self) -> list[AnyRecord]:
        """What a restart begins from, without leaves that have rotted. Raises `DiskDamagedError`,
        or `RecordError`."""
        total = 0
        for key, value in self._entries.items():
            total ^= _checksum(key, value)
        if total != self._sum:
            raise DiskDamagedError("the disk's checksum does not fit; recover this replica")
        return read((k, v) for k, v in self._entries.items() if k not in self._rotten)

    def keys(self) -> Iterable[bytes]:
        """Of all that is durable."""
        return self._entries.keys()

    def damage(self, harm: Harm) -> bool:
        """Do harm to something durable; whether there was anything to harm."""
        keys = sorted(self._replaced if harm is Harm.STALE else self._entries)
        keys = [key for key in keys if key in self._entries]
        keys = [key for key in keys if harm is not Harm.LEAF or key[:1] == LEAF]
        if len(keys) < 1 + (harm is Harm.MISDIRECTED):
            return False
        key = self._rng.choice(keys)
        match harm:
            case Harm.ROT:
                value = bytearray(self._entries[key])
                value[self._rng.randrange(len(value))] ^= 1 << self._rng.randrange(8)
                self._entries[key] = bytes(value)
            case Harm.MISDIRECTED:
                other = self._rng.choice([each for each in keys if each != key])
                self._entries[key] = self._entries[other]
            case Harm.STALE:
                self._entries[key] = self._replaced[key]
            case Harm.LEAF:
                self._rotten.add(key)
            case Harm.MISSING:
                self._entries, self._replaced, self._sum = {}, {}, 0
        return True

    def copy(self) -> "Copy":
        """All that is durable, as a backup holds it."""
        return dict(self._entries), self._sum

    def put_back(self, copy: "Copy | None") -> None:
        """Another disk, which holds `copy`, or nothing."""
        entries, self._sum = copy or ({}, 0)
        self._entries, self._replaced, self._frames = dict(entries), {}, []
        self._rotten = set()

    def forget(self) -> None:
        """What `pbft recover` does."""
        self.put_back(None)
        self.sync(self.write([Recovering()]))

    def _left_of(self, frame: bytes) -> bytes:
        """A frame as the medium has it after a crash."""
        kind = self._rng.randrange(4)
        return frame if kind > 1 else frame[: self._rng.randrange(len(frame))] if kind else b""

    def _apply(self, frame: bytes) -> None:
        for first, second, put in _rows.decode(frame[SEAL:]):
            if put:
                self._remove(first)
                self._entries[first] = second
                self._sum ^= _checksum(first, second)
                continue
            for key in [each for each in self._entries if first <= each <= second]:
                self._remove(key)
                self._replaced.pop(key, None)
        self._chain = frame[:SEAL]
        self._applied += 1

    def _remove(self, key: bytes) -> None:
        self._rotten.discard(key)
        old = self._entries.pop(key, None)
        if old is not None:
            self._sum ^= _checksum(key, old)
            self._replaced[key] = old


def _seal(last: bytes, payload: bytes) -> bytes:
    return hashlib.sha256(last + payload).digest()


def _checksum(key: bytes, value: bytes) -> int:
    return int.from_bytes(hashlib.sha256(len(key).to_bytes(8, "big") + key + value).digest(), "big")
