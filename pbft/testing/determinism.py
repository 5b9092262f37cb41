"""Whether a service gives the same everywhere: its operations, executed by several processes that
differ in what must not matter, and the first difference by name.

The processes differ in what surrounds them (`pbft.testing.surroundings`) and in when they run; and
in one of them the state moves to a new object now and then, and once to a new process, as after a
transfer or a restart, so that what is remembered outside the state is missed.

    report = check("counter:Counter", operations=500)
    print(report.text if report else "the same everywhere")

Each process is `python -m pbft.testing.determinism MODULE:CLASS DIR NUMBER FIRST LAST`.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

import msgspec

from pbft.core.errors import Refusal, ServiceError
from pbft.core.service import Context
from pbft.core.state.machine import PREFIX, Machine
from pbft.crypto.trie import Snapshot, Trie
from pbft.module_errors import where
from pbft.testing.surroundings import SURROUNDINGS, deeper, environment, pretend, surrounded
from pbft.testing.suspects import ADVICE, suspects
from pbft.testing.values import value_of
from pbft.typed.hosting import Hosted
from pbft.typed.keys import told
from pbft.typed.methods import UPGRADE, Method, methods_of, operation

OPERATIONS = "operations"
ENCODED = "msgpack "
"""Before what a command returned or an attribute became, in hexadecimal."""
MOVE_EVERY = 23
SWITCH_EVERY = 8
SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
SHOWN = 120
TRACEBACK = "Traceback (most recent call last)"
TOO_DEEP = RecursionError.__name__
TIMEOUT_SECONDS = 600.0
MOVING = len(SURROUNDINGS) - 1
"""The process in which the state moves."""


class Operation(msgspec.Struct, frozen=True, array_like=True):
    """`shown`: the call, for people."""

    name: str
    shown: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Report:
    """The first difference: the `number`-th operation (from 1), the command's name, the first
    `key` of the state that differs, or none where the results do; and all of it in words."""

    number: int
    command: str
    key: str | None
    text: str


class UnfinishedError(ServiceError):
    """A call at which a process ended, or which has not returned in time: the `number`-th, from 1
    on; `late` in the second case."""

    def __init__(self, text: str, number: int, *, late: bool) -> None:
        super().__init__(text)
        self.number = number
        self.late = late


def imported(runs: str) -> type:
    """The class that `module:Class` names, the current directory first. Raises `ServiceError`."""
    module, _, name = runs.partition(":")
    if not module or not name:
        raise ServiceError(f"{runs}: a service is named as module:Class, such as bank:Bank")
    if "." in name:
        raise ServiceError(f"{runs}: define it at the top of its module, where replicas find it")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: type = getattr(import_module(module), name)
    except (Exception, SystemExit) as error:  # whatever the user's module raises
        raise ServiceError(
            f"{runs} cannot be imported: {type(error).__name__}: {error}{where(error)}"
        ) from error
    if not isinstance(found, type):
        raise ServiceError(f"{runs} is no class: name the class of the service")
    return found


def made_up(service: type, count: int, seed: int = 0) -> list[Operation]:
    """Random calls of all commands and queries. Raises `ServiceError` where a type of a parameter
    cannot be made up."""
    dice = random.Random(seed)
    methods = [each for versions in methods_of(service).values() for each in versions[::-1]]
    if not methods:
        raise ServiceError(f"{service.__name__} has no @command: there is nothing to call")
    return [switch(service, dice) or _call(dice.choice(methods), dice) for _ in range(count)]


def switch(service: type, dice: random.Random) -> Operation | None:
    """Now and then, where the class has a later version than 1, to one that it has: else nobody
    would call what that brought. Refused where that is not the next."""
    newest = getattr(service, "version", 1)
    if not isinstance(newest, int) or newest < 2 or dice.randrange(SWITCH_EVERY):
        return None
    version = dice.randrange(2, newest + 1)
    packed = [msgspec.msgpack.encode(version)]
    return Operation(UPGRADE, f"{UPGRADE}({version})", operation(UPGRADE, packed))


def _call(method: Method[..., Any], dice: random.Random) -> Operation:
    try:
        values = [value_of(kind, dice) for kind in method.parameters.values()]
    except TypeError as error:
        raise ServiceError(f"{method.name}: {error}") from None
    shown = ", ".join(f"{each!r}" for each in values)
    return Operation(method.name, f"{method.name}({shown})", method.pack(tuple(values), {}))


def check(
    runs: str,
    operations: int = 500,
    seed: int = 0,
    calls: list[Operation] | None = None,
    seconds: float = TIMEOUT_SECONDS,
) -> Report | None:
    """Run `calls` of `module:Class`, or so many random ones, in all surroundings, each of which
    may take so many `seconds`. Raises `ServiceError`, and `UnfinishedError` for a call that ends
    its process or takes longer."""
    calls = made_up(imported(runs), operations, seed) if calls is None else calls
    return compared(runs, calls, lives(runs, calls, seconds))


def lives(runs: str, calls: list[Operation], seconds: float = TIMEOUT_SECONDS) -> list[list[str]]:
    """What each of the processes says of each call, a line for `in_words`. Raises as `check`."""
    imported(runs)
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / OPERATIONS).write_bytes(msgspec.msgpack.encode(calls))
        return [_life(runs, Path(scratch), number, calls, seconds) for number in range(MOVING + 1)]


def compared(runs: str, calls: list[Operation], said: list[list[str]]) -> Report | None:
    """The first difference between the `lives` of processes."""
    for number, lines in enumerate(zip(*said, strict=True)):
        if any(line != lines[0] for line in lines):
            other = next(line for line in lines if line != lines[0])
            one, other = json.loads(lines[0]), json.loads(other)
            return _report(imported(runs), number, calls[number], one, other)
    return None


def in_words(line: str) -> str:
    """What a process said of one call, for people."""
    said = json.loads(line)
    changes = [f"{key} becomes {_shown(value)}" for key, value in said["changed"].items()]
    return "\n".join([f"gives {_shown(said['result'])}", *changes])


def _life(
    runs: str, directory: Path, number: int, calls: list[Operation], seconds: float
) -> list[str]:
    """What is said of every operation in one of the surroundings; in the last, by two processes,
    one after the other."""
    half = len(calls) // 2
    parts = (calls[:half], calls[half:]) if number == MOVING else (calls,)
    said: list[str] = []
    for some in parts:
        said += _process(runs, directory, number, some, len(said), seconds)
    return said


def _process(
    runs: str,
    directory: Path,
    number: int,
    calls: list[Operation],
    first: int,
    seconds: float,
) -> list[str]:
    command = [sys.executable, "-m", "pbft.testing.determinism", runs, str(directory)]
    command += [str(number), str(first), str(first + len(calls))]
    paths = os.pathsep.join([os.getcwd(), *filter(None, sys.path)])
    around = os.environ | environment(number) | {"PYTHONPATH": paths}
    late = False
    try:
        done = subprocess.run(command, capture_output=True, env=around, timeout=seconds)
        output, errors = done.stdout, done.stderr.decode("utf-8", "replace").strip()
    except subprocess.TimeoutExpired as expired:
        output, errors, late = expired.stdout or b"", "", True
    said = output.decode().splitlines()
    if TRACEBACK in errors and len(said) < len(calls):
        raise ServiceError(f"{runs} does not run: {errors.splitlines()[-1]}")
    if len(said) < len(calls):
        place, call = first + len(said) + 1, calls[len(said)]
        what = f"has not returned after {seconds:g} s" if late else "ended the process"
        text = f"operation {place}, {call.shown[:SHOWN]}, {what}"
        raise UnfinishedError(text, place, late=late)
    return said


def _report(
    service: type, number: int, call: Operation, one: dict[str, Any], other: dict[str, Any]
) -> Report:
    keys = sorted(
        key
        for key in one["changed"].keys() | other["changed"].keys()
        if one["changed"].get(key) != other["changed"].get(key)
    )
    key = keys[0] if keys else None
    lines = [f"operation {number + 1}, {call.shown[:SHOWN]}, is not the same everywhere:"]
    if one["result"] != other["result"]:
        lines.append(f"  it gives {_shown(one['result'])}")
        lines.append(f"  and also {_shown(other['result'])}")
    if key is not None:
        lines.append(f"  {key} becomes {_shown(one['changed'].get(key))}")
        lines.append(f"  and also {_shown(other['changed'].get(key))}")
    if any(f"{each['result']}".startswith(TOO_DEEP) for each in (one, other)):
        lines.append(f"  it depends on {ADVICE[TOO_DEEP]}")
    lines += suspects(service, call.name)
    return Report(number + 1, call.name, key, "\n".join(lines))


def _shown(value: str | None) -> str:
    """What was encoded, for people; a refusal is words already."""
    if value is None or not value.startswith(ENCODED):
        return f"{value}"[:SHOWN]
    data = bytes.fromhex(value[len(ENCODED) :])
    try:
        return f"{msgspec.msgpack.decode(data)!r}"[:SHOWN]
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return f"{data!r}"[:SHOWN]


# -- in each process --------------------------------------------------------------------------


def _execute(
    service: type,
    calls: list[Operation],
    state: Snapshot,
    directory: Path,
    said: TextIO,
    number: int,
    first: int,
) -> Snapshot:
    """Execute `calls`, the `first` of which has that number, in the process with this `number`, and
    write what came of each to `said`; the state in the end."""
    machine, before = Machine(Hosted(service())), state
    machine.install(before)
    for place, call in enumerate(calls, first):
        if number == MOVING and place % MOVE_EVERY == 0:
            machine = Machine(Hosted(service()))
            machine.install(before)
        context = Context(f"client-{place % 2}", place + 1, START + place * SECOND, place)
        run = partial(machine.execute, call.data, context)
        try:
            with surrounded(number, directory):
                result = ENCODED + deeper(number, run).hex()
        except Refusal as refusal:
            result = str(refusal)
        except BaseException as error:  # what escapes ends a replica, which is not judged here
            result = f"{type(error).__name__}: {error}"
        after = machine.tree.freeze()
        said.write(json.dumps({"result": result, "changed": _changed(before, after)}) + "\n")
        said.flush()
        before = after
    return before


def _changed(before: Snapshot, after: Snapshot) -> dict[str, str | None]:
    """By name, what entries have become."""
    difference = after.difference(before)
    old = {k: v for place in difference.removed for k, v in place.leaf.entries.items()}
    new = {k: v for place in difference.placed for k, v in place.leaf.entries.items()}
    keys = (key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    return {
        told(key[len(PREFIX) :]): None if (value := new.get(key)) is None else ENCODED + value.hex()
        for key in sorted(keys)
    }


def main(arguments: list[str]) -> int:
    """Execute some of the operations in a directory, a line for each on stdout; what the service
    itself prints goes to stderr."""
    said = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    runs, directory, number, first, last = arguments
    pretend(int(number))
    calls = msgspec.msgpack.decode(
        (Path(directory) / OPERATIONS).read_bytes(), type=list[Operation]
    )
    kept, tree = Path(directory) / "state", Trie()
    if int(first):
        tree.update(msgspec.msgpack.decode(kept.read_bytes(), type=dict[bytes, bytes | None]))
    some = calls[int(first) : int(last)]
    service, scratch = imported(runs), Path(directory)
    state = _execute(service, some, tree.freeze(), scratch, said, int(number), int(first))
    kept.write_bytes(msgspec.msgpack.encode(dict(state.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
