"""As a new user: an empty virtual environment, `pip install .`, and the tutorial line by line.

This takes a package index; `tests/documentation` does the same without one.
"""

import sys
import time
from pathlib import Path

import pytest

from tests.documentation.blocks import ROOT
from tests.documentation.environment import run
from tests.documentation.typist import Desk

FIVE_MINUTES = 300.0


@pytest.mark.system
def test_a_replicated_counter_in_five_minutes(tmp_path: Path) -> None:
    began = time.monotonic()
    environment = tmp_path / "environment"
    run(sys.executable, "-m", "venv", environment)
    run(environment / "bin" / "pip", "install", "--quiet", ROOT)
    desk = Desk(tmp_path / "desk", environment)
    try:
        desk.type(ROOT / "docs" / "tutorial.md")
    finally:
        desk.stop()
    assert time.monotonic() - began < FIVE_MINUTES
