"""Fixtures of pytest for services of yours; loading this module loads nothing else of pbft.

def test_bank(simulation):
    simulation(Bank, seeds=20)

def test_a_new_primary(cluster):
    four = cluster(Bank)
    four.kill(four.primary())
    assert BlockingBank(four.client()).deposit("ann", 3) == 3
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from pbft import testing

if TYPE_CHECKING:
    from pbft.testing import Checked, ServiceCluster

SEEDS = 20

Simulate: TypeAlias = Callable[..., "Checked | None"]
"""What `simulation` is: `simulation(service, seeds=20, seed=0)`; none for a plan replayed."""
Start: TypeAlias = Callable[..., "ServiceCluster"]
"""What `cluster` is: `cluster(service, n=4, clients=2)`."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the fixture `simulation`."""
    group = parser.getgroup("pbft", "services under simulated misfortune")
    group.addoption(
        "--pbft-seeds", type=int, metavar="N", help="seeds of every simulation, whatever it asks"
    )
    group.addoption(
        "--pbft-replay",
        type=Path,
        metavar="FILE",
        help="in place of all seeds, run the plan in FILE; simulations of other services are left"
        " out",
    )


@pytest.fixture
def simulation(request: pytest.FixtureRequest) -> Simulate:
    """Call it with a class, or with `module:Class`: it is checked as `pbft check` does it, and the
    test fails with what broke, how to see it again, and what no call got through to."""
    options = request.config.option

    def simulate(service: type | str, *, seeds: int = SEEDS, seed: int = 0) -> "Checked | None":
        name = _named(service)
        if options.pbft_replay is not None:
            _replay(options.pbft_replay, name)
            return None
        directory = request.config.rootpath / "pbft-failures"
        checked = testing.check(
            name, seeds=options.pbft_seeds or seeds, seed=seed, directory=directory
        )
        if checked.problems:
            pytest.fail(_told(checked), pytrace=False)
        return checked

    return simulate


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Start]:
    """Call it with a class, or with `module:Class`: four real processes of it on loopback, which
    end with the test."""
    with ExitStack() as stack:

        def start(service: type | str, **options: Any) -> "ServiceCluster":
            directory = tmp_path / f"cluster-{len(started)}"
            made = testing.ServiceCluster(directory, _named(service), **options)
            started.append(stack.enter_context(made))
            return made

        started: list[ServiceCluster] = []
        yield start


def _named(service: type | str) -> str:
    return service if isinstance(service, str) else f"{service.__module__}:{service.__qualname__}"


def _replay(path: Path, name: str) -> None:
    try:
        file = testing.load(path)
    except testing.PlanFileError as error:
        raise pytest.UsageError(str(error)) from None
    if file.plan.service != name:
        pytest.skip(f"--pbft-replay is about {file.plan.service}")
    found = testing.replay(file)
    if found.oracle is not None:
        pytest.fail(
            "\n".join([f"{path} is violated: {found.oracle}", *found.violations]), pytrace=False
        )


def _told(checked: "Checked") -> str:
    """The story of a failure."""
    lines = [f"{checked.failed} of {checked.runs} runs of {checked.service} failed"]
    for each in checked.findings:
        lines.append(f"{each.oracle}: {each.text}")
        if each.again is not None:
            lines.append(f"  {each.events} events; the story: {each.page}")
            lines.append(f"  again: pytest --pbft-replay {each.file}, or {each.again}")
    return "\n".join([*lines, *(f"not tested: {each}" for each in checked.untested)])
