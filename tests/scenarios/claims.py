"""What tests say they show: `@pytest.mark.scenario("EQ1", "T9", kills="...", control="...")`.

`kills` names mutants of the catalogue that turn the test red (one name or a tuple of them), beside
those whose entry names the test. `control` names the test in which the same is shown to go wrong
without the defence, where no one-line mutant does it. Claims are read from the sources.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.architecture.modules import Module, imports, load

MARKER = "scenario"
CLUSTER = "cluster"
SIMULATOR = "pbft.testing.simulator"
SOCKETS = ("pbft.node", "pbft.transport.udp", "pbft.client.", "pbft.Client", "tests.cluster.scene")


@dataclass(frozen=True, slots=True)
class Claim:
    """`test` is a node id. `level` is U, S or C; `processes`: with replicas as processes."""

    test: str
    ids: tuple[str, ...]
    kills: tuple[str, ...]
    control: str | None
    level: str
    processes: bool


@dataclass(slots=True)
class Claims:
    """All claims, and every test function there is."""

    claims: list[Claim] = field(default_factory=list)
    tests: set[str] = field(default_factory=set)


@cache
def collect() -> Claims:
    """From all test files."""
    found = Claims()
    for module in load("tests"):
        if not Path(module.path).name.startswith("test_"):
            continue
        level = _level(module)
        for function in _tests(module):
            test = f"{module.path}::{function.name}"
            found.tests.add(test)
            found.claims += _claims(module, function, test, level)
    return found


def _tests(module: Module) -> Iterator[ast.FunctionDef]:
    for node in module.tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node


def _claims(module: Module, function: ast.FunctionDef, test: str, level: str) -> Iterator[Claim]:
    clustered = _is_clustered(module, function)
    for mark in function.decorator_list:
        if not isinstance(mark, ast.Call) or _marker(mark.func) != MARKER:
            continue
        ids = tuple(str(ast.literal_eval(each)) for each in mark.args)
        said = {each.arg: ast.literal_eval(each.value) for each in mark.keywords}
        kills = said.pop("kills", ())
        control = said.pop("control", None)
        if said or not ids:
            raise ValueError(f"{test}: a scenario marker takes ids, kills= and control=")
        names = (kills,) if isinstance(kills, str) else tuple(kills)
        yield Claim(test, ids, names, control, "C" if clustered else level, clustered)


def _marker(node: ast.expr) -> str | None:
    """`x` of `pytest.mark.x`."""
    return node.attr if isinstance(node, ast.Attribute) else None


def _is_clustered(module: Module, function: ast.FunctionDef) -> bool:
    """Marked as one that starts processes, by itself or with its whole file."""
    marks = list(function.decorator_list)
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            marks.append(node.value)
    return any(_marker(mark) == CLUSTER for mark in marks)


def _level(module: Module) -> str:
    names = {target for _, target in imports(module)}
    if any(name.startswith((SIMULATOR, "tests.simulation.")) for name in names):
        return "S"
    if any(name.startswith(SOCKETS) for name in names):
        return "C"
    return "U"
