"""`make fuzz`: each decoder under a fuzzer that is guided by coverage, for ten minutes; or
`python -m tests.fuzz.run [--seconds N] [--jobs N] [TARGET ...]`.

A target runs in a process of its own. The smallest of the inputs that reached new code become the
stored corpus. Code in C (msgspec, cryptography) is not instrumented: there the fuzzer is as blind
as any. The exit status is 1 where an input broke a property: it is written to `tests/fuzz/found/`,
to become a test.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
CORPUS, FOUND = Path(__file__).parent / "corpus", Path(__file__).parent / "found"
MAX_BYTES = 4096
"""Of one input."""
KEPT_BYTES, KEPT_FILES = 15_000, 40
"""Of the corpus of one target: the smallest inputs stay."""
INPUT_SECONDS = 30
"""One input that takes longer is a finding."""
GRACE_SECONDS = 300
"""For the start, on a machine with much else to do."""
SEED = "seed-"


def fuzz(target: str, seconds: int) -> tuple[bool, str]:
    """Whether nothing was found, and a line that says what was done."""
    with tempfile.TemporaryDirectory(prefix="pbft-fuzz-") as scratch:
        work = Path(scratch) / "work"
        work.mkdir()
        for number, data in enumerate(seeds()[target]):
            (work / f"{SEED}{number}").write_bytes(data)
        for path in (CORPUS / target).glob("*"):
            shutil.copy(path, work)
        FOUND.mkdir(exist_ok=True)
        began = time.monotonic()
        log = _run(target, seconds, [str(work), f"-artifact_prefix={FOUND}/{target}-"])
        took = time.monotonic() - began
        kept = _store(target, work)
    broken = sorted(path.name for path in FOUND.glob(f"{target}-*"))
    last = next((line for line in reversed(log) if "cov:" in line or "DONE" in line), "no figures")
    text = f"{target}: {took:.0f} s, {kept} inputs kept, {' '.join(last.split()[:9])}"
    return not broken, text + (f"; FOUND {', '.join(broken)}" if broken else "")


def _run(target: str, seconds: int, arguments: Sequence[str]) -> list[str]:
    limits = [f"-max_total_time={seconds}", f"-max_len={MAX_BYTES}", "-rss_limit_mb=1024"]
    limits.append(f"-timeout={INPUT_SECONDS}")
    command = [sys.executable, "-m", "tests.fuzz.child", target, *limits, *arguments]
    patience = seconds + GRACE_SECONDS
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=patience)
    except subprocess.TimeoutExpired:
        (FOUND / f"{target}-endless").write_text(f"it has not ended after {patience} s\n", "utf-8")
        return []
    return (done.stderr + done.stdout).splitlines()


def _store(target: str, work: Path) -> int:
    """Keep the smallest of the inputs that reached new code; how many."""
    files = [path for path in work.iterdir() if not path.name.startswith(SEED)]
    stored = CORPUS / target
    shutil.rmtree(stored, ignore_errors=True)
    stored.mkdir(parents=True)
    size = 0
    for path in sorted(files, key=lambda path: (path.stat().st_size, path.name))[:KEPT_FILES]:
        size += path.stat().st_size
        if size <= KEPT_BYTES:
            shutil.copy(path, stored / path.name[:16])
    return len(list(stored.iterdir()))


def main() -> int:
    """0 where nothing was found."""
    parser = argparse.ArgumentParser(description="fuzz every decoder, guided by coverage")
    parser.add_argument("--seconds", type=int, default=600, help="for each target (600)")
    parser.add_argument("--jobs", type=int, default=2, help="targets at a time (2)")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    args = parser.parse_args()
    unknown = sorted(set(args.targets) - set(TARGETS))
    if unknown:
        parser.error(f"no target is called {unknown[0]}: there are {', '.join(TARGETS)}")
    well = True
    with ThreadPoolExecutor(args.jobs) as pool:
        names = args.targets or list(TARGETS)
        for good, text in pool.map(lambda name: fuzz(name, args.seconds), names):
            print(text, flush=True)
            well = well and good
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
