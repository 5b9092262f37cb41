"""The types that a replica last ran with, beside its records: code that has others is told of.

The types of the active version are bound into the state, and a checkpoint has them. Before the
first one after a beginning or a switch, a replica executes all again at a start: with other code it
would write other types, and learn that only from its peers. So whoever stops in order leaves here
what is bound, and the next start compares.

It is a warning and no refusal: where all are started with the new code together, they agree.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from pbft.core.errors import HaltError
from pbft.core.service import Service
from pbft.typed.hosting import Hosted

log = logging.getLogger(__name__)


@contextmanager
def remembered(path: Path, service: Service) -> Iterator[None]:
    """Compare `service` with what the file has, and leave in it what is bound at the end."""
    if not isinstance(service, Hosted):
        yield
        return
    _compare(path, service)
    yield
    if (bound := service.bound) is not None:
        _write(path, msgspec.msgpack.encode(bound))


def _compare(path: Path, service: Hosted) -> None:
    try:
        service.judge(*_bound.decode(path.read_bytes()))
    except FileNotFoundError:
        return
    except HaltError as error:
        log.warning(
            "%s ran with other code before: %s. Nothing is wrong where all replicas are started"
            " with this code together, before the next checkpoint",
            *(path.stem, error),
        )
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        log.warning("%s cannot be read (%s): whether the types changed, nobody knows", path, error)


def _write(path: Path, data: bytes) -> None:
    fresh = path.with_suffix(".types.new")
    try:
        fresh.write_bytes(data)
        fresh.replace(path)
    except OSError as error:
        log.warning("%s cannot be written: %s", path, error.strerror)


_bound = msgspec.msgpack.Decoder(tuple[int, bytes])
