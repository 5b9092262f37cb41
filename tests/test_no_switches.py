"""CF8: nothing from outside turns a check off: no environment variable, no parameter, no option."""

import ast
import dataclasses

import pytest

from pbft.cli.main import main
from pbft.core.config import Configuration
from tests.architecture.modules import Module, load, parse

TOOLS = (
    *("pbft.processes", "pbft.testing.determinism", "pbft.testing.reexecution"),
    *("pbft.testing.cluster.witness", "pbft.testing.surroundings"),
)
"""They hand the environment on to processes of theirs, or change it there, and look at nothing in
it; or, in a drill, at which service of the user's to watch."""


def environment_reads(modules: list[Module]) -> list[str]:
    """Where a source looks at the environment."""
    return [
        module.at(node, "reads the environment")
        for module in modules
        if module.name not in TOOLS
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    ]


def test_control_a_look_at_the_environment_is_found() -> None:
    planted = parse("pbft.planted", "import os\nUNSAFE = os.environ.get('PBFT_INSECURE')\n")
    assert environment_reads([planted]) == ["pbft/planted.py:2: reads the environment"]


@pytest.mark.scenario(
    "CF8", control="tests/test_no_switches.py::test_control_a_look_at_the_environment_is_found"
)
def test_nothing_in_the_environment_is_looked_at() -> None:
    assert environment_reads([*load("pbft"), *load("crypto")]) == []


@pytest.mark.scenario("CF8")
def test_every_parameter_is_a_number_but_one_that_adds_a_way_to_read() -> None:
    kinds = {field.name: field.type for field in dataclasses.fields(Configuration)}
    others = {name for name, kind in kinds.items() if kind not in ("int", int)}
    assert others == {"cluster_id", "fast_reads"}


@pytest.mark.scenario("CF8")
@pytest.mark.parametrize("option", ["--insecure", "--debug", "--no-verify", "--unsafe"])
def test_no_option_makes_a_replica_trust_more(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replica", "nowhere", "0", option]) == 2
    assert option in capsys.readouterr().err
