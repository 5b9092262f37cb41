"""What is installed is `pbft` alone, with `pbft.crypto` and types, from exactly locked versions."""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import pbft

ROOT = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PINS = dict(re.findall(r"^([a-z0-9-]+)==([^ ]+)", LOCK, re.MULTILINE))
EXPECTED = {"pbft/__init__.py", "pbft/py.typed", "pbft/crypto/signing.py", "pbft/core/messages.py"}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source distribution, and the wheel built from it."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def wheel(dist: Path) -> zipfile.ZipFile:
    (path,) = dist.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_pbft_with_crypto_and_types_and_nothing_beside(
    wheel: zipfile.ZipFile,
) -> None:
    names = set(wheel.namelist())
    info = f"pbft-{pbft.__version__}.dist-info"
    assert names >= EXPECTED
    assert {name.partition("/")[0] for name in names} == {"pbft", info}
    assert not any("__pycache__" in name for name in names)


def test_the_wheel_leaves_no_source_out(wheel: zipfile.ZipFile) -> None:
    folders = {"pbft": ROOT / "pbft", "pbft/crypto": ROOT / "crypto"}
    sources = {
        f"{name}/{path.relative_to(folder)}"
        for name, folder in folders.items()
        for path in folder.rglob("*.py")
    }
    assert sources - set(wheel.namelist()) == set()


def test_the_source_distribution_holds_crypto_as_plain_files(dist: Path) -> None:
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        members = {m.name.partition("/")[2]: m for m in archive.getmembers()}
    assert set(members) >= EXPECTED
    assert all(member.isfile() for member in members.values())
    assert not any(name.startswith(("crypto/", "tests/", ".editable/")) for name in members)


def test_the_wheel_works_where_it_is_unpacked(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import importlib.util, pbft, pbft.crypto.signing, pbft.core.replica\n"
        "print(pbft.__file__, importlib.util.find_spec('crypto'))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == [str(tmp_path / "pbft" / "__init__.py"), "None"], done.stderr


def test_the_metadata_names_the_command_and_what_users_need(wheel: zipfile.ZipFile) -> None:
    info = f"pbft-{pbft.__version__}.dist-info"
    metadata = Parser().parsestr(wheel.read(f"{info}/METADATA").decode())
    entry_points = wheel.read(f"{info}/entry_points.txt").decode()
    every = [Requirement(each) for each in metadata.get_all("Requires-Dist", [])]
    needed = {each.name for each in every if "extra" not in str(each.marker)}
    assert "pbft = pbft.cli.main:main" in entry_points
    assert needed == {
        "asyncio-dgram",
        "cryptography",
        "msgspec",
        "pynacl",
        "rich",
        "sortedcontainers",
        "uvloop",
    }
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata.get_all("Provides-Extra") == ["testing"]
    assert {each.name for each in every} - needed == {"pytest"}
    assert "[pytest11]\npbft = pbft.testing.pytest_plugin" in entry_points


def test_an_editable_install_exposes_pbft_alone(tmp_path: Path) -> None:
    code = f"import hatchling.build; print(hatchling.build.build_editable({str(tmp_path)!r}))"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
    (path,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(path) as editable:
        (link,) = [name for name in editable.namelist() if name.endswith(".pth")]
        exposed = [Path(line) for line in editable.read(link).decode().split()]
    assert [entry.name for folder in exposed for entry in folder.iterdir()] == ["pbft"]
    assert (exposed[0] / "pbft" / "crypto" / "signing.py").samefile(ROOT / "crypto" / "signing.py")


# -- the lock --------------------------------------------------------------------------------------


def test_the_lock_names_no_index_host_or_path() -> None:
    assert re.search(r"://|/|index|find-links|@", LOCK) is None


def test_every_pin_has_the_hashes_of_more_than_one_file_of_its_release() -> None:
    entries = re.split(r"\n(?=[a-z])", LOCK[LOCK.index("\n" + min(PINS)) + 1 :].strip())
    assert len(entries) == len(PINS)
    few = [each.split("==")[0] for each in entries if each.count("--hash=sha256:") < 2]
    assert few == []


def test_the_lock_satisfies_the_project() -> None:
    groups = (PROJECT["project"]["dependencies"], PROJECT["dependency-groups"]["dev"])
    for requirement in (Requirement(text) for group in groups for text in group):
        pin = PINS.get(canonicalize_name(requirement.name))
        assert pin is not None, f"{requirement} is not locked: make lock"
        assert requirement.specifier.contains(pin), f"{requirement} is locked at {pin}: make lock"


# -- make ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("python", "says"),
    [("", "none is on the PATH"), ("false", "is older"), ("./half", "its venv package")],
)
def test_setting_up_without_a_usable_python_says_what_to_do(
    tmp_path: Path, python: str, says: str
) -> None:
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy2(ROOT / name, tmp_path)
    half = tmp_path / "half"
    half.write_text('#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\n', encoding="utf-8")
    half.chmod(0o755)
    command = ["make", "--no-print-directory", "setup", f"PYTHON={python}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert says in done.stderr
    assert not (tmp_path / ".venv").exists()
