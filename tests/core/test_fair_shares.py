"""Three clients flood four replicas, a guest among them; whoever asks for little is served at once.

What a client gets is counted in sequence numbers, not in seconds: a call of a patient client is in
one of the next batches, however much the greedy ones have waiting.
"""

import pytest

from pbft.core.effects import Effects, Executed, ViewChangeStarted
from pbft.core.ids import Packet
from tests.core.lab import Lab

FLOODERS = ("bob", "carol", "alice/0")
PATIENT = ("dave", "alice", "alice/1")
"""Among them the admitter and another guest of the one that floods."""
CALLS = 12
WINDOW = 64
UNDER_WAY = 4
"""`pipeline`: what was proposed before the call goes first."""


class Four:
    """Four replicas whose messages all arrive, in turns."""

    def __init__(self) -> None:
        self.labs = [Lab(me=me, batch_max_requests=8) for me in range(4)]
        for lab in self.labs:
            for slot in (0, 1):
                lab.admit(slot)
        self.executed: dict[tuple[str, int], int] = {}
        self.view_changes = 0
        self._posted: list[tuple[int, Effects]] = []
        self.timestamps = dict.fromkeys((*FLOODERS, *PATIENT), 0)

    def ask(self, client: str) -> tuple[str, int]:
        """Another request, to all replicas."""
        self.timestamps[client] += 1
        key = (client, self.timestamps[client])
        raw = self.labs[0].request(key[1], client=client).raw
        for lab in self.labs:
            self._settle(lab, lab.replica.receive([Packet(client, raw)], lab.instant))
        return key

    def flood(self, client: str) -> None:
        """Whatever its window has room for."""
        done = max((t for who, t in self.executed if who == client), default=0)
        while self.timestamps[client] < done + WINDOW:
            self.ask(client)

    def round(self) -> None:
        """One message delay, and the time it takes."""
        posted, self._posted = self._posted, []
        for source, effects in posted:
            for send in effects.messages:
                for to in send.to:
                    if isinstance(to, int):
                        lab = self.labs[to]
                        packet = Packet(source, send.data)
                        self._settle(lab, lab.replica.receive([packet], lab.instant))
        for lab in self.labs:
            lab.now += 1_000_000
            lab.wall += 1_000_000
            deadline = lab.replica.deadline
            if deadline is not None and deadline <= lab.now:
                self._settle(lab, lab.replica.expire(lab.instant))

    def _settle(self, lab: Lab, effects: Effects) -> None:
        self._posted.append((lab.me, effects))
        for event in effects.events:
            self.view_changes += isinstance(event, ViewChangeStarted)
            if isinstance(event, Executed) and lab.me == 0:
                self.executed.update(dict.fromkeys(event.requests, event.sequence))

    @property
    def at(self) -> int:
        return self.labs[0].replica.status().executed


@pytest.fixture(scope="module")
def waits() -> tuple[Four, dict[str, list[int]]]:
    """How many sequence numbers each call of each patient client had to wait."""
    four = Four()
    found: dict[str, list[int]] = {client: [] for client in PATIENT}
    for client in FLOODERS:
        four.flood(client)
    for number in range(CALLS):
        client = PATIENT[number % len(PATIENT)]
        began, key = four.at, four.ask(client)
        for _ in range(200):
            if key in four.executed:
                break
            for flooder in FLOODERS:
                four.flood(flooder)
            four.round()
        found[client].append(four.executed[key] - began)
    return four, found


def test_nobody_starves(waits: tuple[Four, dict[str, list[int]]]) -> None:
    _, found = waits
    for client in PATIENT:
        assert len(found[client]) == CALLS // len(PATIENT)
        assert max(found[client]) <= UNDER_WAY + 2, found


def test_the_greedy_are_served_too_and_nobody_is_blamed(
    waits: tuple[Four, dict[str, list[int]]],
) -> None:
    four, _ = waits
    for client in FLOODERS:
        assert any(who == client for who, _ in four.executed)
    assert four.view_changes == 0


def test_what_waits_stays_within_the_window_of_each(
    waits: tuple[Four, dict[str, list[int]]],
) -> None:
    four, _ = waits
    for lab in four.labs:
        assert lab.replica.status().waiting <= len(FLOODERS) * lab.config.client_window + 1
        assert len(lab.replica._state.sessions.table) <= len(FLOODERS) + len(PATIENT)
