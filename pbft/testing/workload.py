"""A correct client of a simulation: the library's own session, working through its script."""

from collections.abc import Callable

from pbft.client_session import ClientSession
from pbft.testing.scripts import Call, Script


class Workload:
    """Up to `script.at_once` calls outstanding until all are done. `reads` tells which operations
    change nothing."""

    def __init__(
        self, session: ClientSession, script: Script, reads: Callable[[bytes], bool]
    ) -> None:
        self.session = session
        self.asked: dict[int, int] = {}
        """When each call was made."""
        self.answers: dict[int, bytes] = {}
        self.answered_at: dict[int, int] = {}
        self.operations: dict[int, bytes] = {}
        self.read_at: dict[int, int] = {}
        """Of calls answered outside the order: the sequence number that they saw."""
        self.next_at = script.begin_ns
        """When it calls again."""
        self._calls = list(script.calls)
        self._at_once = script.at_once
        self._reads = reads

    @property
    def done(self) -> bool:
        """Whether every operation was asked and answered."""
        return not self._left and len(self.answers) == len(self.asked)

    @property
    def _left(self) -> int:
        return len(self._calls) - len(self.asked)

    def once_more(self, operation: bytes) -> None:
        """One call after all others."""
        self._calls.append(Call(operation, 0))

    def go_on(self, now: int) -> None:
        """Call as long as there is room, and it is time."""
        while self._left and now >= self.next_at and self._has_room():
            each = self._calls[len(self.asked)]
            call = self.session.call(each.operation, read=self._reads(each.operation))
            self.asked[call] = now
            self.operations[call] = each.operation
            self.next_at = now + each.pause_ns

    def _has_room(self) -> bool:
        return len(self.asked) - len(self.answers) < self._at_once
