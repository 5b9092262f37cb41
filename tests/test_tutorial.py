"""The tutorial, typed as it stands: files are written, commands run, and output compared."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(\w+) ?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INSTALLING = ("python3 -m venv", ".venv/bin/pip", ". .venv/bin/activate")
PORT = "--base-port 17400"


class Block(NamedTuple):
    kind: str
    option: str
    text: str


def blocks() -> Iterator[Block]:
    for found in BLOCK.finditer((ROOT / "docs" / "tutorial.md").read_text()):
        yield Block(*found.groups())


def command(line: str) -> list[str]:
    program, *arguments = shlex.split(line)
    if program == "pbft":
        extra = PORT.split() if arguments[0] == "init" else []
        return [sys.executable, "-m", "pbft", *arguments, *extra]
    return [sys.executable, *arguments]


def run(line: str, directory: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        command(line), cwd=directory, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, f"{line}: {done.stderr}"
    return done.stdout


@pytest.mark.cluster
def test_it_works_as_it_stands(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    running: list[subprocess.Popen[bytes]] = []
    said = ""
    try:
        for block in blocks():
            if block.kind == "python":
                (tmp_path / block.option.removeprefix("file=")).write_text(block.text)
            elif block.kind == "output":
                assert said == block.text
            elif block.option == "background":
                running.append(subprocess.Popen(command(block.text), cwd=tmp_path, env=environment))
                time.sleep(1.0)
            else:
                lines = [
                    each for each in block.text.splitlines() if not each.startswith(INSTALLING)
                ]
                for line in lines:
                    said = run(line, tmp_path, environment)
    finally:
        for process in running:
            process.send_signal(signal.SIGINT)
            process.wait(30)
