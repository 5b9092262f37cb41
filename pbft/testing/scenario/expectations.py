"""What a scenario says must come of it.

then: view 1, R0 blamed, 3 executed, answered within 5s
then: agreement is broken
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pbft.core.ids import SECOND, ReplicaId
from pbft.core.status import ReplicaStatus
from pbft.testing.scenario.draft import Draft
from pbft.testing.scenario.words import Words


class Outcome(Protocol):
    """A run that is over, as expectations see it."""

    @property
    def violations(self) -> list[str]: ...
    @property
    def finished(self) -> bool: ...
    @property
    def statuses(self) -> dict[ReplicaId, ReplicaStatus]: ...
    @property
    def blamed(self) -> set[ReplicaId]: ...
    @property
    def happened(self) -> dict[str, set[ReplicaId]]: ...
    @property
    def wait_ns(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Expectation:
    """`text` as it was written; `fault` says what is wrong with an outcome, or nothing."""

    text: str
    fault: Callable[[Outcome], str | None]
    breaks: bool = False
    """Whether it expects a violation: then there must be no other judgement of the run."""


def expectation(draft: Draft, words: Words) -> Expectation:
    """One item after `then:`."""
    if words.at_replica:
        return _of_replicas(draft, words)
    if words.peek().isdigit():
        count = words.number()
        words.expect("executed")
        return Expectation(f"{count} executed", lambda outcome: _executed(outcome, count))
    match words.choice("what is expected", list(ITEMS)):
        case "agreement" if words.take("is", "broken"):
            return Expectation("agreement is broken", _broken, breaks=True)
        case "agreement":
            return Expectation("agreement", lambda outcome: _violated(outcome, "agreement"))
        case "view":
            view = words.number()
            return Expectation(f"view {view}", lambda outcome: _in_view(outcome, view))
        case "nobody":
            words.expect("blamed")
            return Expectation("nobody blamed", lambda outcome: _blamed(outcome, set()))
        case "answered":
            words.expect("within")
            limit = words.time()
            text = f"answered within {limit / SECOND:g}s"
            return Expectation(text, lambda outcome: _answered(outcome, limit))
        case "no":
            words.expect("transfer")
            return Expectation("no transfer", _no_transfer)
    number = words.number()
    return Expectation(f"stable {number}", lambda outcome: _stable(outcome, number))


ITEMS = ("agreement", "view", "nobody", "answered", "no", "stable")


def _of_replicas(draft: Draft, words: Words) -> Expectation:
    replicas = set(words.replicas(draft.n))
    names = " ".join(f"R{r}" for r in sorted(replicas))
    if words.take("blamed"):
        return Expectation(f"{names} blamed", lambda outcome: _blamed(outcome, replicas))
    what = words.choice("what they did", list(DEEDS))
    event = DEEDS[what]

    def fault(outcome: Outcome) -> str | None:
        missing = replicas - outcome.happened.get(event, set())
        return f"{sorted(missing)} did not" if missing else None

    return Expectation(f"{names} {what}", fault)


DEEDS = {
    "transfers": "Installed",
    "refuses": "refused to run",
    "recovers": "recovered",
    "restarts": "restart",
    "suspects": "ViewChangeStarted",
    "stops": "fail point",
}
"""Events and misfortunes by the words for them."""


def _broken(outcome: Outcome) -> str | None:
    found = any(each.startswith("agreement") for each in outcome.violations)
    return None if found else "it was not, or nobody saw it"


def _violated(outcome: Outcome, which: str) -> str | None:
    return next((each for each in outcome.violations if each.startswith(which)), None)


def _in_view(outcome: Outcome, view: int) -> str | None:
    views = {r: status.view for r, status in outcome.statuses.items()}
    return None if set(views.values()) == {view} else f"the views are {views}"


def _executed(outcome: Outcome, count: int) -> str | None:
    done = {r: status.executed for r, status in outcome.statuses.items()}
    return None if min(done.values()) >= count else f"they have executed {done}"


def _stable(outcome: Outcome, number: int) -> str | None:
    low = {r: status.low_watermark for r, status in outcome.statuses.items()}
    return None if min(low.values()) >= number else f"the stable checkpoints are {low}"


def _blamed(outcome: Outcome, replicas: set[ReplicaId]) -> str | None:
    return None if outcome.blamed == replicas else f"blamed were {sorted(outcome.blamed)}"


def _answered(outcome: Outcome, limit: int) -> str | None:
    took = outcome.wait_ns
    return None if took <= limit else f"the longest call took {took / SECOND:.2f}s"


def _no_transfer(outcome: Outcome) -> str | None:
    moved = outcome.happened.get("Installed", set())
    return f"{sorted(moved)} did" if moved else None
