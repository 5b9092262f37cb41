"""Batches that a cluster has ordered, executed again from a state that its replicas agreed on, by
processes that differ in what must not matter.

Each process says of every operation what it gave and which entries it changed, and keeps the state
in the end. In every third one the service moves to a new object before each batch, as after a
restart, so that what it remembers outside the state is missed.

Each process is `python -m pbft.testing.reexecution CLUSTER-DIR DIR NUMBER`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from pbft.cluster import Cluster
from pbft.core.errors import HaltError, InvalidArgumentsError, ServiceError
from pbft.core.ids import Instant, SequenceNumber
from pbft.core.ingress import DropError, Ingress
from pbft.core.protocol import execution
from pbft.core.service import Context, Service, State
from pbft.core.state.machine import Machine
from pbft.core.state.replica_state import ReplicaState
from pbft.core.turn import Turn
from pbft.crypto.trie import Snapshot, Trie
from pbft.testing.determinism import TIMEOUT_SECONDS, imported
from pbft.testing.surroundings import SURROUNDINGS, deeper, environment, pretend, surrounded
from pbft.typed.hosting import Hosted, hosted
from pbft.typed.keys import told
from pbft.typed.methods import parse_operation
from pbft.typed.permissions import Permissions

PROCESSES = 8
"""At most: the order of a small set is the same in some of them."""
SPAN = "span"


class Ordered(Struct, frozen=True, array_like=True):
    """What was decided for one sequence number; `large` as in the record `Accepted`."""

    sequence: SequenceNumber
    batch: bytes
    large: tuple[bytes, ...] = ()


class Span(Struct, frozen=True, array_like=True):
    """`batches` follow on the state that has these entries, which executing up to `base` left."""

    service: str
    base: SequenceNumber
    entries: dict[bytes, bytes]
    batches: list[Ordered]


class Step(Struct, frozen=True):
    """One operation: whose, which, what it gave and what it made of which entries, in words."""

    sequence: SequenceNumber
    client: str
    timestamp: int
    number: int
    command: str
    shown: str
    result: str
    changed: dict[str, str | None]


class Life(Struct, frozen=True):
    """What one process did."""

    steps: list[Step]
    state: Snapshot


def surroundings(number: int) -> dict[str, str]:
    """Of the process with this number, from 0."""
    return environment(number) | {"PYTHONHASHSEED": str(number + 1)}


def lives(directory: Path, span: Span, scratch: Path) -> Iterator[Life]:
    """What `span` gives in one process after the other. Raises `ServiceError`."""
    (scratch / SPAN).write_bytes(msgspec.msgpack.encode(span))
    for number in range(PROCESSES):
        yield _life(directory, span.service, scratch, number)


def _life(directory: Path, service: str, scratch: Path, number: int) -> Life:
    command = [sys.executable, "-m", "pbft.testing.reexecution"]
    paths = os.pathsep.join([os.getcwd(), *filter(None, sys.path)])
    done = subprocess.run(
        [*command, str(directory), str(scratch), str(number)],
        capture_output=True,
        text=True,
        env=os.environ | surroundings(number) | {"PYTHONPATH": paths},
        timeout=TIMEOUT_SECONDS,
    )
    if done.returncode:
        raise ServiceError(f"{service} does not run: {done.stderr.strip().splitlines()[-1:]}")
    steps = [msgspec.json.decode(line, type=Step) for line in done.stdout.splitlines()]
    return Life(steps, tree_of(_kept(scratch, number)))


def tree_of(entries: dict[bytes, bytes]) -> Snapshot:
    """The state with these entries."""
    tree = Trie()
    tree.update(entries)
    return tree.freeze()


def _kept(scratch: Path, number: int) -> dict[bytes, bytes]:
    return msgspec.msgpack.decode(
        (scratch / f"state-{number}").read_bytes(), type=dict[bytes, bytes]
    )


# -- in each process --------------------------------------------------------------------------


class Noting:
    """A `State` that notes what is written to it."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.changed: dict[bytes, tuple[bytes | None, bytes | None]] = {}

    def __len__(self) -> int:
        return len(self._state)

    @property
    def size_bytes(self) -> int:
        return self._state.size_bytes

    def get(self, key: bytes) -> bytes | None:
        return self._state.get(key)

    def put(self, key: bytes, value: bytes) -> bytes | None:
        return self._note(key, value, self._state.put(key, value))

    def delete(self, key: bytes) -> bytes | None:
        return self._note(key, None, self._state.delete(key))

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        return self._state.items()

    def _note(self, key: bytes, value: bytes | None, old: bytes | None) -> bytes | None:
        before, _ = self.changed.get(key, (old, None))
        self.changed[key] = (before, value)
        return old


class Told:
    """A `Service` around another, of which it tells every step."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._typed = isinstance(service, Hosted)
        self._state: Noting

    def open(self, state: State) -> None:
        self._state = Noting(state)
        self._service.open(self._state)

    def execute(self, operation: bytes, context: Context) -> bytes:
        self._state.changed.clear()
        try:
            result = self._service.execute(operation, context)
        except HaltError:
            raise
        except Exception as error:
            self._tell(operation, context, f"{type(error).__name__}: {error}", {})
            raise
        changes = self._state.changed.items()
        changed = {key: new for key, (old, new) in sorted(changes) if old != new}
        self._tell(operation, context, value_told(result, self._typed), changed)
        return result

    def _tell(
        self, operation: bytes, context: Context, result: str, changed: dict[bytes, bytes | None]
    ) -> None:
        name, shown = call_told(operation) if self._typed else ("", operation.hex())
        entries = {
            told(key) if self._typed else key.hex(): None
            if value is None
            else value_told(value, self._typed)
            for key, value in changed.items()
        }
        step = Step(
            *(context.sequence, context.client, context.timestamp, context.number),
            *(name, shown, result, entries),
        )
        print(json.dumps(msgspec.to_builtins(step)))


def value_told(value: bytes, typed: bool) -> str:
    """A value, for people."""
    if typed:
        try:
            return repr(msgspec.msgpack.decode(value))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pass
    return value.hex()


def call_told(operation: bytes) -> tuple[str, str]:
    """A typed call: the command's name, and all of it."""
    try:
        name, packed = parse_operation(operation)
        values = [repr(msgspec.msgpack.decode(each)) for each in packed]
    except (InvalidArgumentsError, msgspec.MsgspecError, UnicodeDecodeError):
        return "", operation.hex()
    return name, f"{name}({', '.join(values)})"


def main(arguments: Sequence[str]) -> int:
    """Execute the span in a directory, and say so."""
    directory, scratch, number = arguments
    cluster = Cluster.load(directory)
    span = msgspec.msgpack.decode((Path(scratch) / SPAN).read_bytes(), type=Span)
    pretend(int(number))
    final = _execute(cluster, span, Path(scratch), int(number))
    (Path(scratch) / f"state-{number}").write_bytes(msgspec.msgpack.encode(dict(final.items())))
    return 0


def _execute(cluster: Cluster, span: Span, scratch: Path, number: int) -> Snapshot:
    renewed = number % len(SURROUNDINGS) == len(SURROUNDINGS) - 1
    service: Any = imported(span.service)
    judge = cluster.judge()
    ingress = Ingress(cluster.config, judge)

    def begun(at: SequenceNumber, snapshot: Snapshot) -> ReplicaState:
        made = hosted(service())
        guard = Permissions(cluster.permitted, named=isinstance(made, Hosted))
        machine = Machine(Told(made), guard)
        state = ReplicaState(cluster.config, 0, judge, machine)
        execution.install(state, at, snapshot)
        return state

    state = begun(span.base, tree_of(span.entries))
    for each in span.batches:
        try:
            body = ingress.stored_body(each.batch, each.large)
        except DropError as error:
            raise ServiceError(f"the batch at {each.sequence} is damaged: {error}") from None
        run = partial(execution.run, state, Turn(Instant(0, 0), ()), each.sequence, body)
        with surrounded(number, scratch):
            deeper(number, run)
        if renewed:
            state = begun(each.sequence, execution.freeze(state))
    return execution.freeze(state)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
