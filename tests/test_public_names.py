"""What importers get: every promised name, and an import that costs next to nothing."""

import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from types import ModuleType

import pytest

import pbft


def test_every_promised_name_is_there() -> None:
    for name in pbft.__all__:
        assert getattr(pbft, name) is not None
    assert dir(pbft) == pbft.__all__
    assert pbft.Client.__module__ == "pbft.client"
    assert issubclass(pbft.UnansweredError, pbft.PbftError)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Klient'"):
        pbft.Klient  # noqa: B018


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, pbft; print([m for m in ('asyncio', 'nacl', 'msgspec') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def modules() -> Iterator[ModuleType]:
    for each in walk_packages(pbft.__path__, "pbft."):
        if not each.name.endswith(("__main__", "pytest_plugin")):
            yield import_module(each.name)


OF_THEIR_OWN = ("pbft.services.", "pbft.testing.", "pbft.cli.", "pbft.transport.")
"""Have errors of their own, which are documented where they are."""
CAUGHT = {
    "BudgetSpent": "the end of shrinking",
    "CryptoError": "crypto knows no pbft: a wrong key file is told as a ConfigurationError",
    "DropError": "a message that is dropped and counted",
    "UntrustedError": "a row that is not what was written: the store says StorageError",
}
"""Not of the tree, with the reason why nobody meets them."""


def errors() -> set[type[Exception]]:
    """All that are defined in this package."""
    return {
        kind
        for module in modules()
        for kind in vars(module).values()
        if isinstance(kind, type)
        and issubclass(kind, Exception)
        and kind.__module__.startswith("pbft.")
    }


def test_every_error_that_a_user_can_meet_is_of_one_tree_and_exported() -> None:
    found = errors()
    assert pbft.EventsLostError in found
    assert len(found) > 30
    outside = {kind for kind in found if not issubclass(kind, pbft.PbftError)}
    for kind in outside:
        assert {each.__name__ for each in kind.__mro__} & CAUGHT.keys(), kind
    assert {kind.__name__ for kind in outside} >= CAUGHT.keys()
    for kind in found - outside:
        if not kind.__module__.startswith(OF_THEIR_OWN):
            assert getattr(pbft, kind.__name__, None) is kind, kind


def test_keys_that_cannot_be_written_are_told_of_in_the_same_tree(tmp_path: Path) -> None:
    cluster, identities = pbft.Cluster.create()
    some = next(iter(identities.values()))
    with pytest.raises(pbft.ConfigurationError, match="written"):
        cluster.save(tmp_path / "c", {"no/such/folder": some})
