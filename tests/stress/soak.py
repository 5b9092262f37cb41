"""The long runs on real processes: `make soak`, or `python -m tests.stress.soak [--kills N]
[--cuts N] [--restarts N] [--isolated N] [--flood MINUTES]`.

Kills: under load all four replicas are killed at a random moment, half of the times in the middle
of a view change, and started again, N times. Cuts: the same on disks that lose with the power
whatever was not synced.
Restarts: one replica at a time is stopped and started under load, N times. No acknowledged
operation may be lost or take effect twice, the state must be equal in the end, the first answer
comes within 5 s of a restart of all, and a restart costs at most one view change, and only where
it was the primary's.
Isolated: one replica is alone for N timeouts, is healed, and then the primary is killed: the others
need the one that was away. Flood: rolling kills under attack, see `tests.stress.flood`.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.cluster.scene import EVERYBODY, TIMEOUT, WORKERS, Scene, scene
from tests.stress.flood import compared

FIRST_ANSWER_SECONDS = 5.0
LEVEL_SECONDS = 30.0
SETTLE_SECONDS = 0.1
"""What the dead have sent is answered and counted before they come back."""


async def kills(
    directory: Path, rounds: int, dice: random.Random, *, power_cuts: bool
) -> list[str]:
    """What did not hold. Every other round the primary is killed first, and the others in the
    view change that follows."""
    failures: list[str] = []
    what = "power cut" if power_cuts else "kill"
    async with scene(directory, power_cuts=power_cuts) as now:
        for number in range(rounds):
            await asyncio.sleep(dice.uniform(0.1, 1.5))
            if number % 2:
                now.mesh.kill(await now.primary())
                await asyncio.sleep(TIMEOUT + dice.uniform(0.0, 0.3))
            for replica in EVERYBODY:
                now.mesh.kill(replica)
            await asyncio.sleep(SETTLE_SECONDS)
            now.mesh.start()
            began = time.monotonic()
            await now.answers(1, LEVEL_SECONDS)
            first = time.monotonic() - began
            print(f"{what} {number + 1} of {rounds}: first answer after {first:.2f} s", flush=True)
            if first > FIRST_ANSWER_SECONDS:
                failures.append(f"{what} {number + 1}: the first answer took {first:.2f} s")
            await now.answers(3 * WORKERS, LEVEL_SECONDS)
            now.mesh.check()
        failures += await _end(now)
    return failures


async def restarts(directory: Path, rounds: int, dice: random.Random) -> list[str]:
    """What did not hold."""
    failures: list[str] = []
    async with scene(directory) as now:
        for number in range(rounds):
            replica = dice.choice(EVERYBODY)
            primary, view = await now.primary(), await now.view()
            now.mesh.stop(replica)
            now.mesh.start(replica)
            await now.answers(20, LEVEL_SECONDS)
            await now.caught_up(replica, LEVEL_SECONDS)
            moved = await now.view() - view
            who = "the primary" if replica == primary else "a backup"
            print(f"restart {number + 1} of {rounds}, {who}: {moved} view changes", flush=True)
            if moved > (replica == primary):
                failures.append(f"restart {number + 1} of replica {replica} moved {moved} views")
            now.mesh.check()
        failures += await _end(now)
    return failures


async def isolated(directory: Path, timeouts: int) -> list[str]:
    """What did not hold."""
    async with scene(directory) as now:
        primary = await now.primary()
        alone = (primary + 2) % len(EVERYBODY)
        now.mesh.partition({alone}, set(EVERYBODY) - {alone})
        began = time.monotonic()
        while (away := time.monotonic() - began) < timeouts * TIMEOUT:
            await now.answers(10, LEVEL_SECONDS)
        now.mesh.heal()
        now.mesh.kill(primary)
        killed = time.monotonic()
        await now.answers(10, LEVEL_SECONDS)
        gap = time.monotonic() - killed
        print(f"away for {away:.1f} s; then, without the primary, 10 answers in {gap:.2f} s")
        return await _end(now, [each for each in EVERYBODY if each != primary])


async def _end(now: Scene, replicas: Sequence[int] = EVERYBODY) -> list[str]:
    await now.rest()
    await now.level(LEVEL_SECONDS, replicas)
    await now.read_back()
    print(f"{now.answered:,} answers, the longest gap {now.account.longest_gap():.2f} s")
    return now.account.complaints


def main() -> int:
    """0 where everything held."""
    parser = argparse.ArgumentParser(description="kill and restart replicas under load, for long")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--restarts", type=int, default=50)
    parser.add_argument("--isolated", type=int, default=100)
    parser.add_argument("--flood", type=float, default=30.0, metavar="MINUTES")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        failures = asyncio.run(isolated(Path(scratch) / "i", args.isolated))
        dice = random.Random(args.seed)
        for power_cuts, rounds in ((False, args.kills), (True, args.cuts)):
            directory = Path(scratch) / ("c" if power_cuts else "k")
            failures += asyncio.run(kills(directory, rounds, dice, power_cuts=power_cuts))
        failures += asyncio.run(restarts(Path(scratch) / "r", args.restarts, dice))
        if args.flood:
            failures += compared(Path(scratch) / "f", args.flood)
    print("\n".join(failures) or "it held")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
