"""A scenario is run, judged by what it expects, and compared with what was recorded of it."""

from dataclasses import dataclass, field
from difflib import unified_diff
from itertools import islice

from pbft.core.ids import ReplicaId
from pbft.core.status import ReplicaStatus
from pbft.testing.oracles import every_oracle
from pbft.testing.scenario.reading import Scenario
from pbft.testing.scenario.transcript import Transcript
from pbft.testing.simulator import Report, Simulation

SHOWN_LINES = 30


@dataclass(frozen=True, slots=True)
class Played:
    """How a scenario went. `faults`: what is not as it should be, in words; empty where all is."""

    scenario: Scenario
    report: Report
    transcript: str
    violations: list[str]
    finished: bool
    statuses: dict[ReplicaId, ReplicaStatus]
    blamed: set[ReplicaId]
    happened: dict[str, set[ReplicaId]]
    wait_ns: int
    faults: list[str] = field(default_factory=list)


def play(scenario: Scenario) -> Played:
    """Run it under every oracle."""
    transcript = Transcript()
    simulation = Simulation(scenario.plan, [*every_oracle(), transcript])
    report = simulation.run()
    correct = [host for host in simulation.hosts if host.correct and host.up]
    waits = [
        work.answered_at.get(call, simulation.now) - asked
        for work in simulation.workloads.values()
        for call, asked in work.asked.items()
    ]
    played = Played(
        scenario,
        report,
        "\n".join(transcript.lines) + "\n",
        report.violations,
        report.finished,
        {host.number: host.replica.status() for host in correct},
        transcript.blamed,
        transcript.happened,
        max(waits, default=0),
    )
    played.faults.extend(_judged(played))
    return played


def _judged(played: Played) -> list[str]:
    expected = played.scenario.expectations
    found = []
    if not any(each.breaks for each in expected):
        found += played.violations
        if not played.finished:
            found.append("it did not come to an end: not all is answered, equal and calm")
    for each in expected:
        fault = each.fault(played)
        if fault is not None:
            found.append(f"expected {each.text!r}: {fault}")
    return found + _not_made(played)


def _not_made(played: Played) -> list[str]:
    """Attacks that no message ever met: the scenario does not show what it says."""
    attacks = played.scenario.plan.attacks.values()
    acts = {
        getattr(each.act, "name", type(each.act).__name__.lower())
        for several in attacks
        for each in several
    }
    made = played.report.faults
    return [
        f"{act!r} was never really made: its kind, receivers or times meet no message"
        for act in sorted(acts)
        if not made.get(f"attack: {act}")
    ]


def difference(played: Played, recorded: str) -> str:
    """Where the transcript differs from the one that was recorded; empty where it does not."""
    lines = unified_diff(
        recorded.splitlines(), played.transcript.splitlines(), "recorded", "now", lineterm="", n=1
    )
    return "\n".join(islice(lines, SHOWN_LINES))
