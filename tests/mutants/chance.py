"""How soon the random generator alone notices each mutant: `make mutant-score`.

A mutant that only its own test kills marks a blind spot of the generator. Each mutant whose file a
simulation executes has a copy of the sources of its own; there seeds of the campaign's drawn family
run until one is bad: something violated, no end, an exception, or a hang. All go through the
seeds in rounds, so that a part of the work says something about all; what is done is kept in
`build/mutant-score.jsonl`, one line per mutant and round, and not done again; whoever lived is
hunted from the first seed on once the generator is another one. `--firsts` hunts one mutant of each
trap, a choice that was made before anything was known of them. `--mood` tries the seeds of one mood
alone: whoever is noticed there is noticed among all of them at the latest then, and nothing is said
of the others.

    python -m tests.mutants.chance [--seeds N] [--jobs J] [--table FILE] [--firsts] [--mood MOOD]
        [NAME ...]
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from pbft.core.errors import ServiceError
from pbft.testing.campaign import Case, judge
from pbft.testing.moods import MOODS
from pbft.testing.patience import ENDLESS
from pbft.testing.swarm import mood_of
from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant
from tests.mutants.run import ROOT, copy_sources, select

FAMILY = "swarm"
ROUNDS = (32, 128, 1000)
"""The seeds that each round ends with."""
SECONDS_PER_SEED = 20
SLOW = (ENDLESS, ServiceError.__name__)
"""How a complaint begins that the time of a clock on the wall has to do with."""
REACHED = ("pbft/core/", "crypto/trie.py", "crypto/leaves.py", "crypto/graft.py", "pbft/client_")
UNREACHED = ("pbft/client_lock.py",)
KEPT = ROOT / "build" / "mutant-score.jsonl"
TRAP = re.compile(r"T\d+")
BESIDE = (
    "ST1 a node that does not verify counts as an answer",
    "T32 fast reads match on the results alone",
    "WF2 a value has two encodings",
)
"""The first about transfer verification, reads and the codec, which no trap's first is about."""


class Hunt(msgspec.Struct, frozen=True):
    """What the first seeds, so many, showed of one mutant: which was bad, and why."""

    name: str
    change: str
    """The text that the mutant has instead: another mutant of this name is another one."""
    until: int
    killed_at: int | None
    """How many seeds were tried before it."""
    by: str = ""
    generator: str = ""
    """Which one drew the seeds: another one draws others."""


def reached(mutant: Mutant) -> bool:
    """Whether a simulation executes the file that it changes."""
    return mutant.path.startswith(REACHED) and mutant.path not in UNREACHED


def firsts(mutants: Sequence[Mutant] = MUTANTS) -> list[Mutant]:
    """The first mutant of each trap, in the order of the catalogue, and those beside them."""
    found: dict[str, Mutant] = {}
    for each in mutants:
        if reached(each) and (TRAP.fullmatch(each.trap) or each.name in BESIDE):
            found.setdefault(each.name if each.name in BESIDE else each.trap, each)
    return list(found.values())


def generator() -> str:
    """What is committed of the generator, as a short name that any checkout of it has."""
    command = ["git", "rev-parse", "--short=8", "HEAD:pbft/testing"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()


def hunted(mutant: Mutant, first: int, until: int, mood: str | None = None) -> Hunt:
    """Run the seeds from the `first` on, before the one at `until`, against a copy with the
    mutant; of one mood alone, where one is named."""
    with tempfile.TemporaryDirectory(prefix="pbft-mutant-") as folder:
        copy = Path(folder)
        copy_sources(copy)
        mutant.apply(copy)
        command = [sys.executable, "-m", "tests.mutants.chance", "--hunt", str(first), str(until)]
        command += [] if mood is None else ["--mood", mood]
        environment = {**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        limit = SECONDS_PER_SEED * (until - first)
        try:
            done = subprocess.run(
                command, cwd=copy, env=environment, capture_output=True, text=True, timeout=limit
            )
        except subprocess.TimeoutExpired as late:
            said = (late.stdout or b"").decode().splitlines()
            next_one = int(said[-1]) + 1 if said else first
            return Hunt(mutant.name, mutant.new, until, next_one, "hangs")
    lines = done.stdout.splitlines()
    if done.returncode < 0:
        raise SystemExit(f"stopped by signal {-done.returncode}: {mutant.name} is hunted again")
    if done.returncode == 0:
        return Hunt(mutant.name, mutant.new, until, None)
    at, _, why = lines[-1].partition(" ") if lines else (str(first), "", "")
    return Hunt(mutant.name, mutant.new, until, int(at), why or done.stderr.strip()[-200:])


def hunt(first: int, until: int, mood: str | None) -> int:
    """In the copy: a line for each seed, its place in the order; the last with what is bad."""
    for at, seed in list(enumerate(order(ROUNDS[-1])))[first:until]:
        if mood not in (None, mood_of(seed)):
            continue
        why = _bad(seed)
        if why is not None and why.startswith(SLOW):  # other work may have kept it
            why = _bad(seed)
        if why is not None:
            print(f"{at} seed {seed}: {why}", flush=True)
            return 1
        print(at, flush=True)
    return 0


def _bad(seed: int) -> str | None:
    """What is bad about a seed's run, none where nothing is."""
    try:
        outcome = judge(Case(FAMILY, seed))
    except Exception as error:  # a mutant may break what looks on as well
        return f"{type(error).__name__}: {error}"
    return (outcome.violations or ["did not finish"])[0] if outcome.bad else None


def order(count: int) -> list[int]:
    """The seeds below `count`, those of each mood in turn: a part of them is a bit of everything,
    and what is noticed early takes less. The same for all mutants."""
    turns: Counter[str] = Counter()
    ranked = []
    for seed in range(count):
        mood = mood_of(seed)
        ranked.append((turns[mood], seed))
        turns[mood] += 1
    return [seed for _, seed in sorted(ranked)]


def known(path: Path) -> dict[tuple[str, str], Hunt]:
    """The furthest round of each mutant that is kept."""
    found: dict[tuple[str, str], Hunt] = {}
    if path.exists():
        for line in path.read_bytes().splitlines():
            each = msgspec.json.decode(line, type=Hunt)
            found[each.name, each.change] = each
    return found


def score(mutants: Sequence[Mutant], seeds: int, jobs: int) -> list[Hunt]:
    """All rounds up to `seeds`, what is kept left out."""
    KEPT.parent.mkdir(exist_ok=True)
    done, drawn_by = known(KEPT), generator()
    for until in [*(each for each in ROUNDS if each < seeds), seeds]:
        begun = [(m, _next(done.get((m.name, m.new)), drawn_by)) for m in mutants]
        left = [(m, first) for m, first in begun if first < until]
        some, starts = [m for m, _ in left], [first for _, first in left]
        with ThreadPoolExecutor(jobs) as pool, KEPT.open("ab") as file:
            for found in pool.map(hunted, some, starts, [until] * len(left)):
                each = msgspec.structs.replace(found, generator=drawn_by)
                done[each.name, each.change] = each
                file.write(msgspec.json.encode(each) + b"\n")
                file.flush()
                print(_line(each), flush=True)
    return [done[m.name, m.new] for m in mutants]


def sought(mutants: Sequence[Mutant], seeds: int, mood: str) -> None:
    """Whoever the seeds of one mood notice is kept; of the others nothing is known."""
    KEPT.parent.mkdir(exist_ok=True)
    done, drawn_by = known(KEPT), generator()
    for mutant in mutants:
        before = done.get((mutant.name, mutant.new))
        if before is None or before.killed_at is None:
            found = hunted(mutant, 0, seeds, mood)
            each = msgspec.structs.replace(found, generator=drawn_by)
            print(_line(each), flush=True)
            if each.killed_at is not None:
                with KEPT.open("ab") as file:
                    file.write(msgspec.json.encode(each) + b"\n")


def _next(before: Hunt | None, drawn_by: str) -> int:
    """The seed to go on with: none of whoever is dead, all of a generator that is another one."""
    if before is not None and before.killed_at is not None:
        return sys.maxsize
    return before.until if before is not None and before.generator == drawn_by else 0


def _line(each: Hunt) -> str:
    at = each.killed_at
    told = f"after {at + 1}" if at is not None else f"not in {each.until}"
    return f"{told:<14} {each.name:<56} {each.by[:90]}"


def table(hunts: Iterable[Hunt], mutants: Sequence[Mutant]) -> str:
    """The kill matrix, in Markdown, of what has been tried: the firsts before the others."""
    found = {(each.name, each.change): each for each in hunts}
    chosen = firsts(mutants)
    others = [each for each in mutants if each not in chosen]
    texts = []
    for what, some in (("firsts", chosen), ("others that a simulation executes", others)):
        tried = [found[m.name, m.new] for m in some if (m.name, m.new) in found]
        killed = sum(each.killed_at is not None for each in tried)
        count = sum(map(reached, some))
        texts.append(f"Of {count} {what} {len(tried)} were tried, {killed} noticed by chance.\n")
        texts.append("| mutant | in | killed by its test | by the generator alone | which |")
        texts.append("| --- | --- | --- | --- | --- |")
        texts += [_row(each, found.get((each.name, each.new))) for each in some] + [""]
    return "\n".join(texts)


def _row(mutant: Mutant, each: Hunt | None) -> str:
    told = "not tried yet" if reached(mutant) else "no simulation executes it"
    if each is not None:
        told = f"not in {each.until} seeds"
    if each is not None and each.killed_at is not None:
        told = f"after {each.killed_at + 1}: {each.by.replace('|', '/')[:70]}"
    test = f"`{mutant.tests[0].rpartition('/')[2]}`" if mutant.tests else "its scenarios"
    which = f"`{each.generator}`" if each is not None and each.generator else ""
    return f"| {mutant.name} | `{mutant.path}` | {test} | {told} | {which} |"


def main(arguments: Sequence[str]) -> int:
    """0 once all rounds are done; 1, in a copy, where a seed is bad."""
    parser = argparse.ArgumentParser(description="seeds until each mutant is noticed by chance")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seeds", type=int, default=ROUNDS[-1], help=f"up to {ROUNDS[-1]}")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--mood", choices=[each.__name__ for each in MOODS])
    parser.add_argument("--firsts", action="store_true", help="one mutant of each trap")
    parser.add_argument("--hunt", type=int, nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.hunt:
        first, until = args.hunt
        return hunt(first, until, args.mood)
    mutants = select([each.name for each in firsts()] if args.firsts else args.names)
    if args.mood:
        sought([each for each in mutants if reached(each)], args.seeds, args.mood)
        return 0
    hunts = score([each for each in mutants if reached(each)], args.seeds, args.jobs)
    killed = sum(each.killed_at is not None for each in hunts)
    print(f"{killed} of {len(hunts)} mutants noticed by chance within {args.seeds} seeds")
    if args.table:
        text = args.table.read_text(encoding="utf-8").partition("<!-- generated -->")[0]
        args.table.write_text(
            text + "<!-- generated -->\n\n" + table(known(KEPT).values(), MUTANTS), "utf-8"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
