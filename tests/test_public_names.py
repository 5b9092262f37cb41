"""What importers get: every promised name, and an import that costs next to nothing."""

import subprocess
import sys

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
