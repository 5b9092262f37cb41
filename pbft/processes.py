"""Child processes that die with us: started together, watched, stopped cleanly.

A child is told to stop by SIGTERM and is killed only where that does not help.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

STOP_SECONDS = 5.0


class Processes:
    """Python processes by name. `logs`: a directory for what each of them prints, if not ours."""

    def __init__(self, logs: Path | None = None) -> None:
        self._logs = logs
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def start(
        self,
        name: int,
        arguments: Sequence[str],
        environment: Mapping[str, str] | None = None,
        descriptors: Sequence[int] = (),
    ) -> None:
        """Run `python ARGUMENTS` as child `name`, with `environment` beside ours and our
        `descriptors`; its session is its own, so a Ctrl-C reaches it through us alone."""
        command = [sys.executable, *arguments]
        with contextlib.ExitStack() as stack:
            log = None
            if self._logs is not None:
                log = stack.enter_context(open(self._logs / f"replica-{name}.log", "ab"))
            self._children[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=descriptors,
                env=os.environ | dict(environment or {}),
            )

    def ended(self) -> dict[int, int]:
        """The exit statuses of those that have ended, by name."""
        polled = {name: child.poll() for name, child in self._children.items()}
        return {name: status for name, status in polled.items() if status is not None}

    def stop(self, *names: int) -> None:
        """SIGTERM to those named (none named: all), SIGKILL to who is left after a while."""
        children = [self._children[name] for name in names or self._children]
        for child in children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
                child.send_signal(signal.SIGCONT)  # one that is suspended would not hear
        until = time.monotonic() + STOP_SECONDS
        for child in children:
            try:
                child.wait(max(until - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def kill(self, name: int) -> None:
        """SIGKILL: the crash of one child."""
        self._children[name].kill()
        self._children[name].wait()

    def suspend(self, name: int) -> None:
        """SIGSTOP, until `resume`."""
        self._children[name].send_signal(signal.SIGSTOP)

    def resume(self, name: int) -> None:
        """SIGCONT."""
        self._children[name].send_signal(signal.SIGCONT)

    def pid(self, name: int) -> int:
        """Of child `name`."""
        return self._children[name].pid

    def last_words(self, name: int) -> str:
        """The last line that child `name` has logged."""
        if self._logs is None:
            return ""
        text = (self._logs / f"replica-{name}.log").read_text(errors="replace").strip()
        return text.rsplit("\n", 1)[-1]
