"""A run in few lines: who said what to whom, what it did there, and what it was refused.

Each message once, with all its receivers; what is sent again and what only keeps replicas informed
is left out. Digests are called A, B, C in the order in which they appear.
"""

from typing import Any

from pbft.core.effects import (
    BecameStable,
    Diverged,
    Effects,
    EnteredView,
    Executed,
    Forgotten,
    Installed,
    Send,
    TransferStarted,
    ViewChangeStarted,
)
from pbft.core.ids import SECOND, Principal
from pbft.core.messages import (
    Checkpoint,
    Commit,
    NewView,
    Prepare,
    PrePrepare,
    Proposal,
    Request,
    ViewChange,
)
from pbft.core.wire import NULL_DIGEST, decode_signed
from pbft.testing.host import Host
from pbft.testing.observers import Observer

SHOWN = (Request, Proposal, Prepare, Commit, Checkpoint, ViewChange, NewView)
MAX_LINES = 2000


class Transcript(Observer):
    """`lines` of one run; `happened`: which replicas an event or a misfortune befell."""

    def __init__(self) -> None:
        self._lines: list[tuple[int, str, list[str]]] = []
        self._last: tuple[int, Principal, bytes] | None = None
        self._seen: set[tuple[Principal, bytes]] = set()
        self._names: dict[bytes, str] = {NULL_DIGEST: "null"}
        self.happened: dict[str, set[int]] = {}
        self.blamed: set[int] = set()

    @property
    def lines(self) -> list[str]:
        """What happened, in order, each with its time in seconds."""
        return [
            f"{at / SECOND:8.3f}  {text}{''.join(f' {each}' for each in to)}".rstrip()
            for at, text, to in self._lines[:MAX_LINES]
        ]

    # -- what the simulation shows ----------------------------------------------------------------

    def posted(self, now: int, source: Principal, send: Send, arrivals: list[int]) -> None:
        if not isinstance(send.message, SHOWN):
            return
        receiver = _name(send.to[0]) + ("" if arrivals else "(lost)")
        key = (now, source, send.data)
        if self._last == key:
            self._lines[-1][2].append(receiver)
            return
        if (source, send.data) in self._seen:
            return
        self._seen.add((source, send.data))
        self._last = key
        told = f"{_name(source)} says {self._message(send.message)} to"
        self._lines.append((now, told, [receiver]))

    def turned(self, now: int, host: Host, effects: Effects) -> None:
        for event in effects.events:
            if host.correct:
                self.happened.setdefault(type(event).__name__, set()).add(host.number)
                text = self._event(event)
                if text:
                    self._add(now, f"{_name(host.number)} {text}")
        for evidence in effects.evidence if host.correct else ():
            self.blamed.add(evidence.culprit)
            self._add(now, f"{_name(host.number)} blames R{evidence.culprit}: {evidence.kind}")

    def completed(self, now: int, client: str, call: int) -> None:
        self._add(now, f"{client} has answer {call}")

    def fault(self, now: int, what: str, replica: int | None) -> None:
        if replica is not None:
            self.happened.setdefault(what, set()).add(replica)
            self._add(now, f"R{replica}: {what}")

    # -- words ------------------------------------------------------------------------------------

    def _add(self, now: int, text: str) -> None:
        self._last = None
        self._lines.append((now, text, []))

    def _digest(self, digest: bytes) -> str:
        known = len(self._names) - 1
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        name = letters[known % 26] + (str(known // 26) if known >= 26 else "")
        return self._names.setdefault(digest, name)

    def _message(self, message: Any) -> str:
        match message:
            case Proposal(pre_prepare):
                return self._message(decode_signed(pre_prepare))
            case PrePrepare(view, sequence, digest):
                return f"PRE-PREPARE v{view} n{sequence} {self._digest(digest)}"
            case Prepare(view, sequence, digest):
                return f"PREPARE v{view} n{sequence} {self._digest(digest)}{_claims(message)}"
            case Commit(view, sequence, digest):
                return f"COMMIT v{view} n{sequence} {self._digest(digest)}{_claims(message)}"
            case Checkpoint(sequence, digest):
                return f"CHECKPOINT n{sequence} {self._digest(digest)}"
            case ViewChange(view, low, _, prepared):
                inside = (decode_signed(each.pre_prepare) for each in prepared)
                told = [self._order(each) for each in inside]
                return f"VIEW-CHANGE v{view} h{low} P{{{' '.join(told)}}}"
            case NewView(view, changes, order):
                told = [self._order(decode_signed(each)) for each in order]
                return f"NEW-VIEW v{view} of {len(changes)} O{{{' '.join(told)}}}"
        return f"REQUEST {message.client}:{message.timestamp}"

    def _order(self, message: Any) -> str:
        digest = getattr(message, "digest", b"")
        return f"n{getattr(message, 'sequence', '?')}:{self._digest(digest)}"

    def _event(self, event: object) -> str | None:
        match event:
            case Executed(sequence, digest, requests):
                told = " ".join(f"{client}:{stamp}" for client, stamp in requests)
                return f"executes n{sequence} {self._digest(digest)} ({told})"
            case ViewChangeStarted(view, reason):
                return f"moves to view {view}: {reason}"
            case EnteredView(view):
                return f"enters view {view}"
            case BecameStable(sequence):
                return f"has n{sequence} stable"
            case TransferStarted(sequence):
                return f"transfers the state at n{sequence}"
            case Installed(sequence):
                return f"installs the state at n{sequence}"
            case Diverged(sequence):
                return f"has another state at n{sequence}"
            case Forgotten():
                return "is shown a vote that it has forgotten"
        return None


def _name(principal: Principal) -> str:
    return f"R{principal}" if isinstance(principal, int) else principal


def _claims(message: Prepare | Commit) -> str:
    return f" by R{message.replica}"
