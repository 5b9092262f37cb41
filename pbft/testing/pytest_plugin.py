"""Fixtures of pytest for services of yours; loading this module loads nothing else of pbft.

def test_bank(simulation):
    simulation(Bank, seeds=20)

def test_a_new_primary(cluster):
    four = cluster(Bank)
    four.kill(four.primary())
    assert BlockingBank(four.client()).deposit("ann", 3) == 3
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

import pbft
from pbft import testing

if TYPE_CHECKING:
    from pbft.testing import Checked, ServiceCluster

SEEDS = 20
LIMIT = 60.0
"""Seconds of one run."""

Simulate: TypeAlias = Callable[..., "Checked | None"]
"""What `simulation` is: `simulation(service, seeds=20, seed=0, limit=60.0)`; what it gives is none
for a plan replayed."""
Start: TypeAlias = Callable[..., "ServiceCluster"]
"""What `cluster` is: `cluster(service, n=4, clients=2)`."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the fixture `simulation`."""
    group = parser.getgroup("pbft", "services under simulated misfortune")
    group.addoption(
        "--pbft-seeds", type=_seeds, metavar="N", help="seeds of every simulation, whatever it asks"
    )
    group.addoption(
        "--pbft-replay",
        type=Path,
        metavar="FILE",
        help="in place of all seeds, run the plan in FILE; simulations of other services are left"
        " out",
    )


def _seeds(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def pytest_configure(config: pytest.Config) -> None:
    """A plan that cannot be read is said before any test runs."""
    if config.option.pbft_replay is not None:
        try:
            testing.load_kept(config.option.pbft_replay)
        except testing.PlanFileError as error:
            raise pytest.UsageError(str(error)) from None


@contextmanager
def _in_words() -> Iterator[None]:
    """What is wrong with a service is a sentence: where in our sources it was seen helps nobody."""
    try:
        yield
    except pbft.PbftError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def simulation(request: pytest.FixtureRequest) -> Simulate:
    """Call it with a class, or with `module:Class`: it is checked as `pbft check` does it, and the
    test fails with what broke, how to see it again, and what no call got through to."""
    options = request.config.option

    def simulate(
        service: type | str, *, seeds: int = SEEDS, seed: int = 0, limit: float = LIMIT
    ) -> "Checked | None":
        name = _named(service)
        if options.pbft_replay is not None:
            _replay(options.pbft_replay, name, limit)
            return None
        directory = request.config.rootpath / "pbft-failures"
        with _in_words():
            checked = testing.check(
                name,
                seeds=options.pbft_seeds or seeds,
                seed=seed,
                limit=limit,
                directory=directory,
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
            name = _named(service)
            with _in_words():
                made = testing.ServiceCluster(directory, name, **options)
            started.append(stack.enter_context(made))
            return made

        started: list[ServiceCluster] = []
        yield start


def _named(service: type | str) -> str:
    if isinstance(service, str):
        return service
    if not isinstance(service, type):
        name = type(service).__name__
        pytest.fail(f"{name} is wanted itself, and this is an object of it", pytrace=False)
    return f"{service.__module__}:{service.__qualname__}"


def _replay(path: Path, name: str, limit: float) -> None:
    with _in_words():
        file = testing.load_kept(path)
        if file.service != name:
            pytest.skip(f"--pbft-replay is about {file.service}")
        oracle, violations = testing.replay_kept(file, limit)
    if oracle is not None:
        pytest.fail("\n".join([f"{path} is violated: {oracle}", *violations]), pytrace=False)


def _told(checked: "Checked") -> str:
    """The story of a failure."""
    lines = [f"{checked.failed} of {checked.runs} runs of {checked.service} failed"]
    for each in checked.findings:
        lines.append(f"{each.oracle}: {each.text}")
        if each.again is not None:
            lines.append(f"  {each.events} events; the story: {each.page or 'none'}")
            lines.append(f"  again: pytest --pbft-replay {each.file}, or {each.again}")
    return "\n".join([*lines, *(f"not tested: {each}" for each in checked.untested)])
