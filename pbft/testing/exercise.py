"""What runs of a service really exercised: its commands by name, and what became of the calls.

A workload whose calls are all refused, or that leaves a command out, tests less than it seems to.
"""

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct

from pbft.core.errors import PbftError
from pbft.core.service import OK
from pbft.testing.determinism import imported
from pbft.testing.observers import Observer
from pbft.testing.simulator import Simulation
from pbft.typed.methods import methods_of, parse_operation

OPERATION = "operation"
"""What calls of a service of bytes are counted as."""
SHOWN = 100


class Calls(Struct):
    """Of one command or query. `refusal`: the first one, in words."""

    answered: int = 0
    refused: int = 0
    unanswered: int = 0
    refusal: str = ""

    def add(self, other: "Calls") -> None:
        """Count what another run has seen, too."""
        self.answered += other.answered
        self.refused += other.refused
        self.unanswered += other.unanswered
        self.refusal = self.refusal or other.refusal

    def count(self, result: bytes | None) -> None:
        """One call with this result; none where nobody has answered it."""
        if result is None:
            self.unanswered += 1
        elif result.startswith(OK):
            self.answered += 1
        else:
            self.refused += 1
            self.refusal = self.refusal or result[1:].decode("utf-8", "replace")[:SHOWN]


def command_of(operation: bytes) -> str:
    """The name that an operation is counted under."""
    try:
        return parse_operation(operation)[0]
    except PbftError:
        return OPERATION


class Exercised(Observer):
    """Looks at a run when it has ended; `calls` by name."""

    def __init__(self) -> None:
        self.calls: dict[str, Calls] = {}

    def begin(self, simulation: Simulation) -> None:
        self._simulation = simulation

    def ended(self, now: int) -> None:
        for work in self._simulation.workloads.values():
            for call, operation in work.operations.items():
                name = command_of(operation)
                self.calls.setdefault(name, Calls()).count(work.answers.get(call))


def summed(many: Iterable[dict[str, Calls]]) -> dict[str, Calls]:
    """Of several runs, by name."""
    found: dict[str, Calls] = {}
    for calls in many:
        for name, each in calls.items():
            found.setdefault(name, Calls()).add(each)
    return dict(sorted(found.items()))


def untested(service: str, calls: dict[str, Calls]) -> list[str]:
    """A sentence for each command or query of `module:Class` that no call got through to."""
    names = methods_of(imported(service)) or [OPERATION]
    found = []
    for name in sorted(names):
        each = calls.get(name, Calls())
        made = each.refused + each.unanswered
        if not each.answered and not made:
            found.append(f"{name} was never called")
        elif not each.answered and each.refused:
            found.append(f"{name} was refused every time ({each.refused}): {each.refusal}")
        elif not each.answered:
            found.append(f"{name} was never answered ({each.unanswered} calls)")
    return found


def shares(seen: Iterable[Iterable[str]], runs: int) -> dict[str, float]:
    """The part of `runs` in which each occurred, the commonest first."""
    counted: Counter[str] = Counter(name for names in seen for name in set(names))
    return {name: count / max(runs, 1) for name, count in counted.most_common()}
