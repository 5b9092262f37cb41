"""Children are stopped, and killed where stopping does not help; their last words are kept."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pbft import processes
from pbft.processes import Processes

SLEEP = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP


def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Poll a callable until it is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_status_and_last_words_of_one_that_ends(tmp_path: Path) -> None:
    children = Processes(logs=tmp_path)
    children.start(3, ["-c", "import sys; print('one', flush=True); sys.exit('two')"])
    until(children.ended)
    assert children.ended() == {3: 1}
    assert children.last_words(3) == "two"


def test_stop_is_sigterm_and_leaves_the_others(tmp_path: Path) -> None:
    children = Processes(logs=tmp_path)
    for name in (0, 1):
        children.start(name, ["-c", SLEEP])
    children.stop(0)
    assert children.ended() == {0: -15}
    children.stop()
    assert children.ended() == {0: -15, 1: -15}


def test_one_that_does_not_listen_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "STOP_SECONDS", 0.2)
    children = Processes(logs=tmp_path)
    children.start(0, ["-c", STUBBORN])
    until(lambda: children.last_words(0) == "up")
    children.stop()
    assert children.ended() == {0: -9}


def test_kill(tmp_path: Path) -> None:
    children = Processes(logs=tmp_path)
    children.start(0, ["-c", SLEEP])
    assert children.pid(0) > 0
    children.kill(0)
    assert children.ended() == {0: -9}
