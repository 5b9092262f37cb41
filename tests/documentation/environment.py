"""A virtual environment like a user's: the wheel of this checkout is installed, and nothing else.

What the wheel needs is not fetched again but seen through a path in the environment, since `make
setup` has installed it. So this finds a file or a program that the wheel lacks, but no package that
its metadata forgets. That is found by `tests/system/test_fresh_install.py`, with a package index.
"""

import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.documentation.blocks import ROOT


def installed(directory: Path) -> Path:
    """A new environment in `directory`."""
    wheels, environment = directory / "wheels", directory / "environment"
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", wheels, ROOT)
    run(sys.executable, "-m", "venv", "--without-pip", environment)
    python = environment / "bin" / "python"
    (wheel,) = wheels.glob("*.whl")
    options = ("--no-deps", "--no-index", "--quiet", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "--python", python, "install", *options, wheel)
    (packages,) = (environment / "lib").glob("python*/site-packages")
    (packages / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    return environment


def run(*command: object) -> None:
    """Run a command that has to succeed."""
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
