"""The files of real replicas, put together into one recording.

A message that one replica wrote as sent and another as heard is one arrow: the digests of its
bytes say so, and of several equal ones the first sent is the first heard. Times are those of the
monotonic clock, so all files must come from one machine, and from one of its boots.

What clients send is known from who heard it, and what they are told from who said it.
"""

from collections import defaultdict, deque
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias, get_args

import msgspec

from pbft.cluster_file import KEY_VALUE
from pbft.core.effects import Event
from pbft.core.ids import Principal, ReplicaId
from pbft.recording import FORMAT, MAX_RECORDING_BYTES, SUFFIX, Full, Header, Turned
from pbft.testing.planfiles import PlanFileError
from pbft.testing.timeline.collecting import Collector
from pbft.testing.timeline.recording import ARRIVED, DOWN, LOST, UNSEEN, Line, Recording

MAX_LINE_BYTES = 32 * 1024 * 1024
SLACK_NS = 5_000_000
"""A turn is dated when it begins, and may still take in what was sent after that."""
EVENTS: dict[str, type[Event]] = {kind.__name__: kind for kind in get_args(Event)}

Entry: TypeAlias = Header | Turned | Full
Key: TypeAlias = tuple[Principal, Principal, str]
"""Sender, receiver and digest of a message."""

_entries: "msgspec.json.Decoder[Entry]" = msgspec.json.Decoder(Entry)


def merge(paths: Sequence[Path], title: str) -> Recording:
    """One recording of all these files, or of those in the directories among them. Raises
    `PlanFileError` where there is none, or they do not belong together."""
    named = [found for path in paths for found in _files(path)]
    files = list({path.resolve(): path for path in named}.values())
    if not files:
        raise PlanFileError(f"no recording in {', '.join(map(str, paths))}: `--record` makes them")
    lives = [_Lives(path) for path in files]
    clusters = {header.cluster for each in lives for header in each.headers}
    if len(clusters) != 1:
        raise PlanFileError("these recordings are of different clusters: merge those of one")
    return _Merge(lives).recording(title)


def _files(path: Path) -> list[Path]:
    return sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]


class _Lives:
    """One file. A line that a crash has cut is left out."""

    def __init__(self, path: Path) -> None:
        self.entries: list[Entry] = []
        try:
            with path.open("rb") as file:
                data = file.read(MAX_RECORDING_BYTES + MAX_LINE_BYTES)
        except OSError as error:
            raise PlanFileError(f"{path} cannot be read: {error.strerror}") from None
        for line in data.splitlines():
            try:
                self.entries.append(_entries.decode(line))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                continue
        self.headers = [each for each in self.entries if isinstance(each, Header)]
        if not self.headers or not isinstance(self.entries[0], Header):
            raise PlanFileError(f"{path} is no recording of a replica")
        if any(header.format != FORMAT for header in self.headers):
            raise PlanFileError(f"{path} was written by a newer pbft: install that one")
        self.replica: ReplicaId = self.headers[0].replica
        self.full = any(isinstance(each, Full) for each in self.entries)


class _Merge:
    """Of the files of one cluster."""

    def __init__(self, files: Sequence[_Lives]) -> None:
        self._files = files
        self._first = files[0].headers[0]
        self._recorded = {each.replica for each in files}
        self._begin = min(header.at for each in files for header in each.headers)
        self._end = max(entry.at for each in files for entry in each.entries)
        self._last = {each.replica: each.entries[-1].at for each in files}
        self._gaps: dict[Principal, list[tuple[int, int]]] = defaultdict(list)
        self._arrivals: dict[Key, deque[int]] = defaultdict(deque)
        headers = [header for each in files for header in each.headers]
        notes: dict[Principal, str] = {each.replica: each.note for each in headers if each.note}
        keyed = self._first.service == KEY_VALUE
        self._collector = Collector(list(range(self._first.n)), keyed, notes)

    def recording(self, title: str) -> Recording:
        """Everybody's lives and turns, then the arrows between them."""
        entries = sorted(
            ((entry.at, each.replica, entry) for each in self._files for entry in each.entries),
            key=lambda known: known[:2],
        )
        for at, who, entry in entries:
            if isinstance(entry, Turned):
                for heard in entry.heard:
                    self._arrivals[heard.peer, who, heard.digest].append(at)
        self._find_gaps()
        for at, who, entry in entries:
            match entry:
                case Header(view=view, active=active):
                    self._life(at - self._begin, who, view, active)
                case Full():
                    text = "its recording is full from here on"
                    self._collector.mark(who, at - self._begin, "fault", text)
                case Turned():
                    self._turn(at - self._begin, who, entry)
        return self._collector.recording(title, max(self._end - self._begin, 1), self._facts())

    def _find_gaps(self) -> None:
        """A replica was down from the last line of a life to the first of the next."""
        for each in self._files:
            for before, after in pairwise(each.entries):
                if isinstance(after, Header):
                    gap = (before.at - self._begin, after.at - self._begin)
                    self._gaps[each.replica].append(gap)

    def _life(self, at: int, who: ReplicaId, view: int, active: bool) -> None:
        for begin, end in self._gaps[who]:
            if end == at:
                self._collector.died(who, begin, "until it was started again")
        self._collector.began(who, at, view, active)

    def _turn(self, at: int, who: ReplicaId, turn: Turned) -> None:
        for heard in turn.heard:
            if isinstance(heard.peer, str):
                data = _or_size(heard.data, heard.size)
                self._collector.arrow((heard.peer, who), at, at, ARRIVED, data)
        for said in turn.said:
            for to in said.to:
                self._arrow(at, who, to, said.digest, _or_size(said.data, said.size))
        for name, values in turn.events:
            found = _event(name, values)
            if found is not None:
                self._collector.event(who, at, found)
        for kind, culprit in turn.evidence:
            text = f"has evidence against replica {culprit}: {kind}"
            self._collector.mark(who, at, "evidence", text)

    def _arrow(self, at: int, who: ReplicaId, to: Principal, digest: str, data: bytes) -> None:
        waiting = self._arrivals.get((who, to, digest))
        while waiting and waiting[0] < at + self._begin - SLACK_NS:
            waiting.popleft()
        if waiting:
            arrived = max(at, waiting.popleft() - self._begin)
            self._collector.arrow((who, to), at, arrived, ARRIVED, data)
        elif any(begin <= at < end for begin, end in self._gaps[to]):
            self._collector.arrow((who, to), at, None, DOWN, data)
        elif isinstance(to, int) and to in self._recorded and at + self._begin < self._last[to]:
            self._collector.arrow((who, to), at, None, LOST, data)
        else:
            self._collector.arrow((who, to), at, None, UNSEEN, data)

    def _facts(self) -> list[Line]:
        first = self._first
        recorded = ", ".join(map(str, sorted(self._recorded)))
        lines = [Line("fact", f"n = {first.n}, {first.service}; replicas {recorded} were recorded")]
        full = [str(each.replica) for each in self._files if each.full]
        if full:
            lines.append(Line("fault", f"the recordings of replicas {', '.join(full)} are full"))
        return lines


def _or_size(data: bytes | None, size: int) -> bytes:
    """A message that was too long to be recorded: only its size is known."""
    return f"{size} bytes, not recorded".encode() if data is None else data


def _event(name: str, values: dict[str, object]) -> Event | None:
    """None for one that this version does not know."""
    try:
        return msgspec.convert(values, EVENTS[name])
    except (KeyError, msgspec.ValidationError):
        return None
