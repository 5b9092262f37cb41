"""`make scenarios`: write `docs/scenarios.md` from what the tests claim (`claims`), what must be
shown (`listed`) and the mutants that turn tests red (`tests/mutants`). A test compares the page.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant
from tests.scenarios.claims import Claim, Claims, collect
from tests.scenarios.listed import DOCUMENTED, EVERY, GAPS, SCENARIOS, TRAPS, Listed

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scenarios.md"
LEVELS = {"U": "unit", "S": "simulator", "C": "sockets"}

INTRODUCTION = """\
# Scenarios and traps

Written by `make scenarios` from the markers of the tests, and compared by a test: do not edit.

What attackers, networks, disks and operators do to a replicated system, and the ways in which
implementations of PBFT have gone wrong, each with the tests that show that this one stands.
*Where* says what is demanded: U, a unit test; S, the simulator; C, real sockets (in bold where the
replicas are processes). *Fails without*: the mutants (`make mutants`: one rule is taken out of a
copy of the sources) that turn a test of the row red, or the control in which the same goes wrong.
"""


def killed_by(claim: Claim, mutants: Sequence[Mutant]) -> list[str]:
    """The mutants that turn the test of `claim` red: those it names, and those that name it."""
    naming = [mutant.name for mutant in mutants if claim.test in mutant.tests]
    return list(dict.fromkeys((*claim.kills, *naming)))


def render(found: Claims, mutants: Sequence[Mutant] = MUTANTS) -> str:
    """The page."""
    return "\n".join(
        (
            INTRODUCTION,
            "## Scenarios\n",
            *_rows(SCENARIOS, found, mutants),
            "\n## Traps\n",
            *_rows(TRAPS, found, mutants),
            "\n## Documented in place of a test\n",
            *(f"- **{name}**: {why}" for name, why in DOCUMENTED.items()),
            *_gaps(),
            "",
        )
    )


def _gaps() -> list[str]:
    if not GAPS:
        return []
    lines = [f"- **{name}** ({missing}): {why}" for name, (missing, why) in GAPS.items()]
    return ["\n## Not shown where it is demanded\n", *lines]


def _rows(listed: Iterable[Listed], found: Claims, mutants: Sequence[Mutant]) -> list[str]:
    head = ["| id | what | where | tests | fails without |", "|---|---|---|---|---|"]
    return head + [_row(each, found, mutants) for each in listed]


def _row(each: Listed, found: Claims, mutants: Sequence[Mutant]) -> str:
    claims = [claim for claim in found.claims if each.id in claim.ids]
    tests = [_named(claim) for claim in claims]
    reasons = [f"*{name}*" for claim in claims for name in killed_by(claim, mutants)]
    reasons += [f"control: `{_short(c.control)}`" for c in claims if c.control is not None]
    unique = list(dict.fromkeys(reasons))
    cells = (each.id, each.what, ", ".join(each.where) or "-")
    return f"| {' | '.join(cells)} | {'<br>'.join(tests) or '-'} | {'<br>'.join(unique) or '-'} |"


def _named(claim: Claim) -> str:
    level = "**C**" if claim.processes else claim.level
    return f"{level} `{_short(claim.test)}`"


def _short(test: str) -> str:
    return test.removeprefix("tests/").replace(".py::test_", ": ")


def problems(found: Claims, mutants: Sequence[Mutant] = MUTANTS) -> list[str]:
    """What is claimed wrongly, and what nobody shows."""
    names = {mutant.name for mutant in mutants}
    wrong = []
    for claim in found.claims:
        unknown = [name for name in claim.ids if name not in EVERY]
        wrong += [f"{claim.test}: {name} is not in the list" for name in unknown]
        lost = [name for name in claim.kills if name not in names]
        wrong += [f"{claim.test}: no mutant is called {name!r}" for name in lost]
        if claim.control is not None and claim.control not in found.tests:
            wrong.append(f"{claim.test}: the control {claim.control} does not exist")
    return wrong + [text for each in EVERY.values() for text in _missing(each, found, mutants)]


def _missing(each: Listed, found: Claims, mutants: Sequence[Mutant]) -> list[str]:
    claims = [claim for claim in found.claims if each.id in claim.ids]
    if each.id in DOCUMENTED:
        return [f"{each.id} is shown, and said to be documented"] if claims else []
    levels = {claim.level for claim in claims}
    levels |= {"U"} if levels else set()
    absent = "".join(where for where in each.where if where not in levels)
    declared = GAPS.get(each.id, ("", ""))[0]
    texts = []
    if absent != declared:
        texts.append(f"{each.id}: not shown at {absent!r}, and {declared!r} is said to be absent")
    if claims and not any(claim.control or killed_by(claim, mutants) for claim in claims):
        texts.append(f"{each.id}: no test of it is known to fail without the defence")
    return texts


def main() -> int:
    """Write the page; 1 where something is missing."""
    found = collect()
    PAGE.write_text(render(found), encoding="utf-8")
    wrong = problems(found)
    print(*wrong, sep="\n", file=sys.stderr, end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
