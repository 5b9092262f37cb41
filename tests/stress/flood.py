"""Four durable replicas under rolling kills and floods, for long: a part of `make soak`, or
`python -m tests.stress.flood [--minutes M]`.

Garbage comes at every port of the honest replicas as fast as one process sends it, a client with a
valid identity floods, and one replica floods while its inside stays honest. The same is measured
with all of that sent to a sink. Correct callers must keep at least half of what they reach then; no
answer may be lost or wrong; the states must be equal in the end; and no honest process may grow by
more than a MiB a minute once it is warm.

One honest replica is never killed: its memory is looked at over the whole run. The others' are
looked at from life to life, since a process that starts again starts small.
"""

import argparse
import asyncio
import contextlib
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pbft import Client
from pbft.processes import Processes
from pbft.testing.cluster import HOST, ProcessCluster
from pbft.testing.cluster.account import Account, Worker, until_level
from tests.stress.garbage import resident_mib

TRAITOR = 3
HONEST = (0, 1, 2)
SPARED = 1
CALLERS = ("client-0", "client-1")
ONLOOKER, FLOODER = "client-2", "client-3"
WORKERS_EACH = 4
SAMPLE_SECONDS = 2.0
DOWN_SECONDS = 1.0
WARM_SECONDS = 120.0
CALL_SECONDS = 120.0
"""A caller is patient: what counts is how much is answered, not how soon the slowest is."""
LEVEL_SECONDS = 60.0
MAX_SLOPE = 1.0
MIN_SHARE = 0.5
PARTS = ("garbage", "client", "replica")


@dataclass(slots=True)
class Memory:
    """Samples of (seconds since the start of the run, MiB), a list for each life of a process."""

    lives: dict[int, list[list[tuple[float, float]]]] = field(default_factory=dict)

    def begin(self, replica: int) -> None:
        """A new life."""
        self.lives.setdefault(replica, []).append([])

    def add(self, replica: int, at: float, mib: float) -> None:
        """One sample of the life under way."""
        self.lives[replica][-1].append((at, mib))

    def slope(self, replica: int) -> float | None:
        """MiB per minute within the lives of `replica`, `WARM_SECONDS` after each began."""
        warm = [_warm(life) for life in self.lives.get(replica, ())]
        return pooled_slope([life for life in warm if len(life) > 2])

    def highest(self, replica: int) -> float:
        """MiB at any time."""
        return max(mib for life in self.lives[replica] for _, mib in life)


def _warm(life: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(at, mib) for at, mib in life if at >= life[0][0] + WARM_SECONDS]


def pooled_slope(groups: Sequence[Sequence[tuple[float, float]]]) -> float | None:
    """The least-squares slope, per minute, that all groups have in common, each at a level of its
    own; none where there is too little to say."""
    above = below = 0.0
    for group in groups:
        at = sum(x for x, _ in group) / len(group)
        level = sum(y for _, y in group) / len(group)
        above += sum((x - at) * (y - level) for x, y in group)
        below += sum((x - at) ** 2 for x, _ in group)
    return 60 * above / below if below else None


@dataclass(slots=True)
class Outcome:
    """Of one run."""

    answers_per_second: float
    longest_gap: float
    kills: int
    memory: Memory
    complaints: list[str]
    drops: dict[str, int]


class Run:
    """One cluster, its attackers and its callers."""

    def __init__(self, cluster: ProcessCluster, sink: int | None, parts: Sequence[str]) -> None:
        self.cluster = cluster
        self.account = Account()
        self.memory = Memory()
        self.kills = 0
        self.down: int | None = None
        """Killed, and not started again yet."""
        self._sink = () if sink is None else (str(sink),)
        self._parts = parts
        self._attackers = Processes(logs=cluster.directory)
        self._began = time.monotonic()

    @contextlib.contextmanager
    def attacked(self) -> Iterator[None]:
        """All attackers run meanwhile."""
        victims = ",".join(map(str, HONEST))
        who = {"garbage": victims, "client": FLOODER}
        for number, part in enumerate(each for each in who if each in self._parts):
            self._attack(100 + number, part, who[part])
        try:
            yield
        finally:
            self._attackers.stop()

    def start_traitor(self) -> None:
        """The replica that floods; without that, one like the others."""
        if "replica" in self._parts:
            self._attack(99, "replica", str(TRAITOR))
        else:
            self.cluster.start(TRAITOR)

    def _attack(self, number: int, kind: str, who: str) -> None:
        where = str(self.cluster.directory)
        self._attackers.start(
            number, ["-m", "tests.stress.attackers", kind, where, who, *self._sink]
        )

    def check(self) -> None:
        """Raises `ProcessError`, or `RuntimeError` where an attacker has given up."""
        if self.down is None:
            self.cluster.check()
        for number, status in self._attackers.ended().items():
            words = self._attackers.last_words(number)
            raise RuntimeError(f"attacker {number} ended with {status}: {words}")

    async def watch(self) -> None:
        """Take samples until cancelled."""
        while True:
            for replica in HONEST:
                with contextlib.suppress(OSError):
                    mib = resident_mib(self.cluster.pid(replica))
                    self.memory.add(replica, time.monotonic() - self._began, mib)
            await asyncio.sleep(SAMPLE_SECONDS)

    async def kill_in_turn(self, every: float) -> None:
        """Kill one after the other, until cancelled; never two at once."""
        others = [each for each in HONEST if each != SPARED]
        while True:
            await asyncio.sleep(every)
            victim = others[self.kills % len(others)]
            self.down = victim
            self.cluster.kill(victim)
            self.kills += 1
            await asyncio.sleep(DOWN_SECONDS)
            self.revive()

    def revive(self) -> None:
        """Start who was killed last, if that has not been done."""
        if self.down is not None:
            self.cluster.start(self.down)
            self.memory.begin(self.down)
            self.down = None


@contextlib.asynccontextmanager
async def callers(directory: Path, account: Account) -> AsyncIterator[list[Worker]]:
    """Correct clients, each with several workers."""
    async with contextlib.AsyncExitStack() as stack:
        workers = []
        for name in CALLERS:
            client = Client(directory, identity=name, timeout=CALL_SECONDS)
            opened = await stack.enter_async_context(client)
            workers += [Worker(opened, f"{name}-{each}", account) for each in range(WORKERS_EACH)]
        yield workers


async def run(
    directory: Path, seconds: float, *, sink: int | None, kill_every: float, parts: Sequence[str]
) -> Outcome:
    """Attack a new cluster in `directory` for so long."""
    with ProcessCluster(directory, clients=4) as cluster:
        this = Run(cluster, sink, parts)
        cluster.start(*HONEST)
        for replica in HONEST:
            this.memory.begin(replica)
        async with contextlib.AsyncExitStack() as after:
            with this.attacked():
                this.start_traitor()
                workers = await after.enter_async_context(callers(directory, this.account))
                rate = await _worked(this, workers, seconds, kill_every)
            this.cluster.check()
            onlooker = await after.enter_async_context(Client(directory, identity=ONLOOKER))
            await until_level(onlooker, HONEST, LEVEL_SECONDS)
            for worker in workers:
                await worker.read_back()
            report = await onlooker.status(SPARED)
    gap = this.account.longest_gap()
    complaints = this.account.complaints
    return Outcome(rate, gap, this.kills, this.memory, complaints, report.status.drops)


async def _worked(this: Run, workers: list[Worker], seconds: float, kill_every: float) -> float:
    """Answers per second while everything goes on."""
    work = [asyncio.create_task(each.run()) for each in workers]
    beside = [asyncio.create_task(each) for each in (this.watch(), this.kill_in_turn(kill_every))]
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds and not this.account.complaints:
        await asyncio.sleep(1.0)
        this.check()
    answered = sum(each.answered for each in workers)
    for task in beside:
        task.cancel()
    await asyncio.gather(*beside, return_exceptions=True)
    this.revive()
    for worker in workers:
        worker.stopping = True
    await asyncio.gather(*work)
    return answered / passed


def compared(
    directory: Path,
    minutes: float,
    sink_minutes: float = 5.0,
    kill_every: float = 180.0,
    parts: Sequence[str] = PARTS,
) -> list[str]:
    """What did not hold, of the run with a sink and the real one."""
    print(f"load average {os.getloadavg()[0]:.1f} at the start", flush=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        port = sock.getsockname()[1]
        seconds = 60 * min(minutes, sink_minutes)
        calm = asyncio.run(
            run(directory / "s", seconds, sink=port, kill_every=kill_every, parts=parts)
        )
    _tell("to a sink", calm)
    real = asyncio.run(
        run(directory / "f", 60 * minutes, sink=None, kill_every=kill_every, parts=parts)
    )
    _tell("at the replicas", real)
    share = real.answers_per_second / calm.answers_per_second
    print(f"correct callers keep {share:.0%}")
    failures = calm.complaints + real.complaints
    if share < MIN_SHARE:
        failures.append(f"correct callers keep {share:.0%} of what they reach beside a sink")
    for replica in HONEST:
        slope = real.memory.slope(replica)
        if slope is not None and slope >= MAX_SLOPE:
            failures.append(f"replica {replica} grows by {slope:.2f} MiB a minute")
    return failures


def _tell(where: str, outcome: Outcome) -> None:
    print(
        f"{where}: {outcome.answers_per_second:.1f} answers/s, longest gap"
        f" {outcome.longest_gap:.1f} s, {outcome.kills} kills"
    )
    for replica in HONEST:
        slope = outcome.memory.slope(replica)
        told = "too short to say" if slope is None else f"{slope:+.3f} MiB/min"
        print(f"  replica {replica}: {told}, at most {outcome.memory.highest(replica):.1f} MiB")
    most = sorted(outcome.drops.items(), key=lambda each: -each[1])[:12]
    print("  dropped: " + ", ".join(f"{count:,} {why}" for why, count in most), flush=True)


def main() -> int:
    """0 where everything held."""
    parser = argparse.ArgumentParser(description="floods and kills against correct clients")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--sink-minutes", type=float, default=5.0)
    parser.add_argument("--kill-every", type=float, default=180.0, help="seconds")
    parser.add_argument("--parts", default=",".join(PARTS), help="which attackers")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        failures = compared(
            Path(scratch), args.minutes, args.sink_minutes, args.kill_every, args.parts.split(",")
        )
    print("\n".join(failures) or "it held")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
