"""Every example runs by itself, in a fresh process, and says what it promises."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAX_LINES = 120
SAYS = {
    "own_service.py": "the replicas agree on 55",
    "counter.py": "without the primary: 101",
    "configuration.py": "in the end: 3",
    "database.py": "agreed: [['Ann', 6], ['Bob', 9]]",
    "election.py": "client-0 writes with token 1: refused, too old",
    "plain_script.py": "after kill -9 of the primary: 52",
    "one_value.py": "termination: holds",
    "generals.py": "the loyal generals agree",
    "flp.py": "once it calms, what was asked takes effect: holds",
    "several_hosts.py": "without the first host: 51",
}


def test_every_example_is_here() -> None:
    found = {each.name for each in (ROOT / "examples").glob("*.py")} - {"__init__.py"}
    assert found == SAYS.keys()


@pytest.mark.cluster
@pytest.mark.usefixtures("budgeted")
@pytest.mark.parametrize("name", SAYS)
def test_it_runs(name: str) -> None:
    path = ROOT / "examples" / name
    assert len(path.read_text().splitlines()) < MAX_LINES
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert SAYS[name] in done.stdout
    assert not done.stderr, done.stderr
