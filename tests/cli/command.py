"""Run `pbft` as a user does, and what every refusal must look like."""

import os
import subprocess
import sys
from pathlib import Path

import pbft

ROOT = Path(pbft.__file__).resolve().parent.parent


def environment() -> dict[str, str]:
    """Ours, with this source tree importable from any directory."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def command(*arguments: str) -> list[str]:
    """The command line of `pbft ARGUMENTS`."""
    return [sys.executable, "-m", "pbft", *arguments]


def pbft_command(
    *arguments: str, cwd: Path, timeout: float = 60.0
) -> "subprocess.CompletedProcess[str]":
    """`pbft ARGUMENTS` in `cwd`, to its end."""
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def assert_refused(done: "subprocess.CompletedProcess[str]", *words: str) -> None:
    """Exit status 2, and one clear sentence: no traceback, no second line."""
    assert done.returncode == 2, (done.returncode, done.stderr)
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("pbft: ")
    assert "Traceback" not in done.stdout + done.stderr
    for word in words:
        assert word in lines[0], (word, lines[0])
