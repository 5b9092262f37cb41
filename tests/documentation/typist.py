"""Somebody who types a page as it stands: writes its files, runs its commands, reads the output."""

import asyncio
import doctest
import os
import random
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

from pbft.client import Client
from pbft.core.errors import PbftError
from pbft.core.ids import ReplicaId
from tests.documentation.blocks import Block, blocks

DEFAULT_PORT = 7400
PORTS = re.compile(r"\b7[45]\d\d\b")
"""Those of the pages; the typist's are elsewhere, beside clusters that run already."""
STARTS = re.compile(r"(?:cd \S+ && )?\S*pbft (?:up|replica) (?P<cluster>\S+) ?(?P<replica>\d*)")
READY_SECONDS, STOP_SECONDS, BLOCK_SECONDS = 20.0, 20.0, 60.0
LIKE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Desk:
    """A directory and a virtual environment, which is `.venv` in it and active."""

    def __init__(self, directory: Path, environment: Path) -> None:
        self.directory = directory
        directory.mkdir(exist_ok=True)
        (directory / ".venv").symlink_to(environment)
        self._environment = {
            "PATH": f"{environment / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(directory),
            "LC_ALL": "C.UTF-8",
        }
        self._shift = random.SystemRandom().randrange(2_600, 12_000, 200)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._before = 0
        self._said = subprocess.CompletedProcess("", 0, "", "")

    def type(self, page: Path) -> None:
        """All blocks of a page; what it started goes on."""
        self._before = len(self._running)
        for block in blocks(page):
            if "not-run" not in block.words and "install" not in block.words:
                self._type(block)

    def _type(self, block: Block) -> None:
        if "file" in block.words:
            (self.directory / block.words["file"]).write_text(block.text, "utf-8")
        elif block.kind == "output":
            _compare(block, self._own(block.text), self._said.stdout)
        elif block.kind == "error":
            _compare(block, self._own(block.text), self._said.stderr)
        elif "background" in block.words:
            self._start(self._own(block.text).splitlines())
        else:
            assert block.kind == "sh", f"{block.place}: a block that nobody can type"
            if "interrupt" in block.words:
                number = self._before + int(block.words["interrupt"])
                self._interrupt(list(self._running)[number])
            self._run(block)

    def _run(self, block: Block) -> None:
        self._said = subprocess.run(
            ["sh", "-ec", self._own(block.text)],
            cwd=self.directory,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=BLOCK_SECONDS,
        )
        status = int(block.words.get("exit", 0))
        assert self._said.returncode == status, f"{block.place}: {self._said}"

    def _own(self, text: str) -> str:
        """With our ports in place of the page's."""
        text = re.sub(
            r"pbft init (?!.*--base-port)", f"pbft init --base-port {DEFAULT_PORT} ", text
        )
        return PORTS.sub(lambda port: str(int(port[0]) + self._shift), text)

    # -- in the background --------------------------------------------------------------------

    def _start(self, lines: list[str]) -> None:
        lines = [line.partition(" #")[0].rstrip() for line in lines]
        for line in lines:
            if line in self._running:
                self._interrupt(line)
            log = self.directory / "background.log"
            with log.open("ab") as out:
                self._running[line] = subprocess.Popen(
                    [
                        "sh",
                        "-c",
                        line.replace("&& ", "&& exec ") if "&&" in line else f"exec {line}",
                    ],
                    cwd=self.directory,
                    env=self._environment,
                    stdout=out,
                    stderr=out,
                    start_new_session=True,
                )
        asyncio.run(self._answer(lines))

    async def _answer(self, lines: list[str]) -> None:
        """Until the replicas that `lines` start take part."""
        for line in lines:
            started = STARTS.fullmatch(line)
            assert started, f"what does {shlex.quote(line)} start?"
            async with Client(self.directory / started["cluster"]) as client:
                replicas = range(client.cluster.config.n)
                for replica in [int(started["replica"])] if started["replica"] else replicas:
                    await _takes_part(client, replica)

    def _interrupt(self, line: str) -> None:
        process = self._running.pop(line)
        os.killpg(process.pid, signal.SIGINT)
        process.wait(STOP_SECONDS)

    def stop(self, keeping: int = 0) -> None:
        """Ctrl-C to all that runs but the first so many."""
        for line in list(self._running)[keeping:]:
            self._interrupt(line)

    @property
    def running(self) -> int:
        """How many programs run in the background."""
        return len(self._running)


async def _takes_part(client: Client, replica: ReplicaId) -> None:
    """It votes, or says why not yet."""
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        try:
            status = (await client.status(replica, timeout=0.5)).status
        except PbftError:
            continue
        if status.voting or status.floor is not None:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"replica {replica} does not take part")


def _compare(block: Block, wanted: str, said: str) -> None:
    checker = doctest.OutputChecker()
    assert checker.check_output(wanted, said, LIKE), f"{block.place}: it says\n{said}"
