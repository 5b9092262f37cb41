"""Observers see everything, change nothing, and may complain."""

from pbft.core.effects import Effects, Send
from pbft.core.ids import Packet, Principal
from pbft.core.records import AnyRecord
from pbft.testing.host import Host
from pbft.testing.observers import Observer
from pbft.testing.plan import draw
from pbft.testing.simulator import run, simulate

SEED = 3


class Counting(Observer):
    def __init__(self) -> None:
        self.seen: dict[str, int] = {}

    def _see(self, what: str) -> None:
        self.seen[what] = self.seen.get(what, 0) + 1

    def posted(self, now: int, source: Principal, send: Send, arrivals: list[int]) -> None:
        assert len(send.to) == 1
        assert all(each > now for each in arrivals)
        self._see("lost" if not arrivals else "posted")

    def arrived(self, now: int, host: Host, packet: Packet) -> None:
        self._see("arrived")

    def turned(self, now: int, host: Host, effects: Effects) -> None:
        self._see("turned")

    def durable(self, now: int, host: Host, record: AnyRecord) -> None:
        self._see("durable")

    def completed(self, now: int, client: str, call: int) -> None:
        self._see("completed")

    def fault(self, now: int, what: str, replica: int | None) -> None:
        self._see(what)

    def ended(self, now: int) -> None:
        self._see("ended")


def test_an_observer_sees_everything_and_changes_nothing() -> None:
    counting = Counting()
    report = run(draw(SEED), [counting])
    assert report == simulate(SEED)
    assert counting.seen["completed"] == report.operations
    assert counting.seen["ended"] == 1
    assert min(counting.seen[each] for each in ("posted", "arrived", "turned", "durable")) > 100
    assert report.faults.get("crash", 0) == counting.seen.get("crash", 0)
    assert report.faults["lost"] + report.faults["cut by partition"] == counting.seen.get("lost", 0)


class Complaining(Observer):
    def ended(self, now: int) -> None:
        self.complain("quietness: there was a run at all")


def test_what_an_observer_complains_of_is_a_violation() -> None:
    assert run(draw(SEED), [Complaining()]).violations == ["quietness: there was a run at all"]


class Failing(Observer):
    def turned(self, now: int, host: Host, effects: Effects) -> None:
        raise KeyError("anything")


def test_an_exception_is_a_violation_and_says_where() -> None:
    report = run(draw(SEED), [Failing()])
    assert report.violations[0].startswith("robustness: KeyError in turned")
