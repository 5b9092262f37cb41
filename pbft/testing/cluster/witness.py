"""Another service with a record of everything that is asked of it, for checkers beside a cluster.

Each replica's process names the service and the file in its environment; the cluster file names
`pbft.testing.cluster.witness:Witness`. The record is complete up to the last call that a killed
process has begun: what a process has written outlives it.
"""

import hashlib
import os
from functools import partial
from pathlib import Path

import msgspec
from msgspec import Struct

from pbft.core.errors import ServiceError
from pbft.core.service import OK, Context, Queries, Service, State
from pbft.testing.determinism import imported
from pbft.testing.reference import outcome_of
from pbft.typed.counting import Counted
from pbft.typed.hosting import hosted

SERVICE = "PBFT_WITNESS_SERVICE"
FILE = "PBFT_WITNESS_FILE"
RUNS = f"{__name__}:Witness"


class Entry(Struct, frozen=True):
    """One execution. `writes`: the digest of what it has written."""

    context: Context
    operation: bytes
    result: bytes
    writes: bytes


class Writes(Counted):
    """Remembers what is written as well."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self._written: dict[bytes, bytes | None] = {}

    def put(self, key: bytes, value: bytes) -> bytes | None:
        """As below."""
        self._written[key] = value
        return super().put(key, value)

    def delete(self, key: bytes) -> bytes | None:
        """As below."""
        self._written[key] = None
        return super().delete(key)

    def clear(self) -> None:
        """Remember nothing."""
        self._written.clear()

    def digest(self) -> bytes:
        """Of what was written since."""
        return hashlib.sha256(msgspec.msgpack.encode(sorted(self._written.items()))).digest()


class Watched:
    """A service whose every execution is told as an `Entry`, the last one in `entry`."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._writes: Writes
        self.entry: Entry | None = None

    def open(self, state: State) -> None:
        self._writes = Writes(state)
        self.service.open(self._writes)

    def execute(self, operation: bytes, context: Context) -> bytes:
        self._writes.clear()
        try:
            result = self.service.execute(operation, context)
        except Exception as error:
            self._writes.clear()  # it is undone
            self._tell(operation, context, outcome_of(partial(_raise, error)))
            raise
        self._tell(operation, context, OK + result)
        return result

    def query(self, operation: bytes) -> bytes:
        if not isinstance(self.service, Queries):
            raise ServiceError("this service answers nothing outside the order")
        return self.service.query(operation)

    def _tell(self, operation: bytes, context: Context, result: bytes) -> None:
        self.entry = Entry(context, operation, result, self._writes.digest())


class Witness(Watched):
    """The service that the environment names, with its record in the file that it names."""

    def __init__(self) -> None:
        super().__init__(hosted(imported(os.environ[SERVICE])()))
        self._file = os.open(os.environ[FILE], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def _tell(self, operation: bytes, context: Context, result: bytes) -> None:
        super()._tell(operation, context, result)
        os.write(self._file, msgspec.json.encode(self.entry) + b"\n")


def read(path: Path) -> list[Entry]:
    """A record, without a last line that its process could not finish."""
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]
    return [msgspec.json.decode(line, type=Entry) for line in lines]


def _raise(error: Exception) -> bytes:
    raise error
