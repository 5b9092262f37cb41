"""Every help text ends with an example, and misuse is one sentence."""

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from pbft import __version__
from pbft.cli import init
from pbft.cli.examples import EXAMPLES
from pbft.cli.main import COMMANDS, main
from pbft.cli.parsing import UsageError
from pbft.core.errors import ConfigurationError, RejectedError, ServiceError, UnansweredError
from pbft.crypto.errors import KeyFileError
from tests.cli.command import assert_refused, command, environment, pbft_command

KV = ("put", "get", "cas", "scan", "delete")
CAMPAIGN = ("run", "merge", "show")


@pytest.mark.parametrize("name", EXAMPLES)
def test_help_ends_with_the_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = name.split()
    arguments = ["kv", "DIR", *words[1:]] if words[:1] == ["kv"] and words[1:] else words
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert out.rstrip().endswith(EXAMPLES[name])


def test_every_command_has_an_example() -> None:
    nested = {*(f"kv {each}" for each in KV), *(f"campaign {each}" for each in CAMPAIGN)}
    assert set(EXAMPLES) == {"", *COMMANDS, *nested}
    for name, example in EXAMPLES.items():
        words = shlex.split(example)
        assert words[0] == "pbft"
        assert not name or words[1] == name.split()[0]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"pbft {__version__}\n"


MISUSES: dict[str, tuple[list[str], str]] = {
    "nothing": ([], "COMMAND"),
    "unknown command": (["dance"], "dance"),
    "unknown option": (["status", "c", "--loud"], "--loud"),
    "no directory": (["up"], "DIR"),
    "too few replicas": (["init", "c", "--replicas", "3"], "n = 3"),
    "replicas that are no number": (["init", "c", "--replicas", "four"], "'four'"),
    "ports that run out": (["init", "c", "--base-port", "65535"], "base port"),
    "no clients": (["init", "c", "--clients", "0"], "0"),
    "unknown behaviour": (["demo", "--byzantine", "polite"], "polite"),
    "no requests": (["demo", "--requests", "0"], "0"),
    "no time": (["demo", "--seconds", "0"], "seconds"),
    "not a time": (["demo", "--seconds", "nan"], "seconds"),
    "cas without a value": (["kv", "c", "cas", "k"], "EXPECTED"),
    "cas with too much": (["kv", "c", "cas", "--absent", "k", "a", "b"], "--absent"),
    "tiny payload": (["bench", "--payload", "1"], "1"),
    "too many calls": (["bench", "--clients", "1000", "--outstanding", "1000"], "100000"),
}


@pytest.mark.parametrize("case", MISUSES)
def test_misuse(
    case: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, word = MISUSES[case]
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("pbft: ")
    assert err.count("\n") == 1
    assert word in err
    assert not list(tmp_path.iterdir())


def test_as_a_process(tmp_path: Path) -> None:
    assert_refused(pbft_command("dance", cwd=tmp_path), "dance")


def test_a_reader_that_went_away_is_no_traceback(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        command("init", "c"),
        cwd=tmp_path,
        env=environment(),
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=30,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


ERRORS: list[tuple[BaseException, int]] = [
    (ConfigurationError("bad"), 2),
    (UsageError("bad"), 2),
    (KeyFileError("bad"), 2),
    (UnansweredError("bad"), 3),
    (RejectedError("bad"), 1),
    (ServiceError("bad"), 1),
]


@pytest.mark.parametrize(("error", "status"), ERRORS)
def test_each_error_has_its_exit_status(
    error: BaseException,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(args: object) -> int:
        raise error

    monkeypatch.setattr(init, "run", fail)
    assert main(["init", "c"]) == status
    assert capsys.readouterr().err == "pbft: bad\n"


def test_an_interrupt_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(init, "run", interrupt)
    assert main(["init", "c"]) == 130


def test_the_example_of_simulate(tmp_path: Path) -> None:
    done = pbft_command(*shlex.split(EXAMPLES["simulate"])[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["finished"] == 2
