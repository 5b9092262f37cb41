"""How a demonstration looks: a live table on a terminal, plain lines elsewhere.

One row per replica says what it is, what it believes and what it noticed. Sentences about what
happens are printed as it happens, with the seconds since the first request.
"""

import time
from types import TracebackType
from typing import Protocol

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table

from pbft.cli.demonstration.load import Load
from pbft.cli.demonstration.watch import Watch
from pbft.cli.figures import columns
from pbft.core.status import ReplicaStatus

HEADINGS = ("replica", "role", "view", "executed", "state", "noticed")
LEGEND = """\
view: whose turn it is to lead; executed: how many numbers of the log;
state: digest at the last checkpoint; noticed: proofs held, messages refused"""
TRAITOR = "TRAITOR"
LATE = frozenset({"old or settled", "witness that was not asked for"})
"""Drops that say nothing about anybody: what came after enough others had said the same."""


class Screen(Protocol):
    """What the demonstration shows itself on."""

    def __enter__(self) -> "Screen": ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def tell(self, text: str) -> None:
        """A sentence about what just happened."""

    def show(self, load: Load, watch: Watch) -> None:
        """The state of things, a few times a second."""


def new_screen() -> Screen:
    """Live on a terminal; NO_COLOR and TERM=dumb are respected by rich."""
    console = Console()
    live = console.is_terminal and not console.is_dumb_terminal
    return LiveScreen(console) if live else PlainScreen()


class PlainScreen:
    """Sentences, and one table at the end."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._table = ""

    def __enter__(self) -> "PlainScreen":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            print(f"\n{self._table}\n{LEGEND}\n", flush=True)

    def tell(self, text: str) -> None:
        print(f"{time.monotonic() - self._began:6.2f} s  {text}", flush=True)

    def show(self, load: Load, watch: Watch) -> None:
        self._table = columns([HEADINGS, *rows(watch)])


class LiveScreen:
    """The same on a terminal, redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._live = Live(console=console, refresh_per_second=10)

    def __enter__(self) -> "LiveScreen":
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def tell(self, text: str) -> None:
        self._console.print(f"{time.monotonic() - self._began:6.2f} s  {text}", highlight=False)

    def show(self, load: Load, watch: Watch) -> None:
        asked = f" of {load.wanted}" if load.wanted else ""
        title = f"{load.answered}{asked} requests answered; attacks made: {watch.acted}"
        table = Table(title=title, caption=LEGEND, box=box.SIMPLE_HEAD, pad_edge=False)
        table.title_justify = table.caption_justify = "left"
        table.collapse_padding = True
        for heading in HEADINGS:
            table.add_column(heading, no_wrap=heading != "noticed")
        for row in rows(watch):
            table.add_row(*row, style="red" if row[1].startswith(TRAITOR) else None)
        self._live.update(table)


def rows(watch: Watch) -> list[tuple[str, ...]]:
    """One row per replica, also for those that have not answered."""
    return [_row(replica, watch) for replica in range(watch.n)]


def _row(replica: int, watch: Watch) -> tuple[str, ...]:
    status = watch.latest.get(replica)
    if status is None:
        return (str(replica), "not heard of", "", "", "", "")
    role = "primary" if status.active and status.primary == replica else "backup"
    noticed = _noticed(status)
    if replica == watch.traitor:
        role, noticed = f"{TRAITOR}, {role}", f"made {watch.acted} attacks"
    at = status.state_digest_at
    return (
        str(replica),
        role,
        str(status.view) if status.active else f"to {status.view}",
        str(status.executed),
        f"{status.state_digest.hex()[:8]} at {at}" if at else "-",
        noticed,
    )


def _noticed(status: ReplicaStatus) -> str:
    found = [
        f"{len(set(kinds))} proofs against {culprit}"
        for culprit, kinds in sorted(status.evidence.items())
    ]
    drops = {reason: count for reason, count in status.drops.items() if reason not in LATE}
    if drops:
        found.append(f"refused {sum(drops.values())}")
    return ", ".join(found) or "-"
