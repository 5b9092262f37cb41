"""A replica as the whole of a process: signals, log, and the end of whoever started it."""

import asyncio
import importlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Protocol

from pbft.cluster import Cluster, replica_name
from pbft.core.errors import ConfigurationError, ForgottenVotesError, ServiceError
from pbft.core.ids import ReplicaId
from pbft.core.replica import Replica
from pbft.core.service import Service
from pbft.evidence import EvidenceFolder
from pbft.module_errors import where
from pbft.node import Node, ReplicaLike
from pbft.ran_before import remembered
from pbft.recorder import Recorder
from pbft.sqlite_store import SqliteStore
from pbft.store import MemoryStore, Store
from pbft.transport.loop import run
from pbft.typed.hosting import hosted

PARENT_SECONDS = 0.5
SWITCH_SECONDS = 0.0005
"""A busy event loop hands the interpreter over after so long: the disk's thread asks for it a few
times in each transaction, and the usual 5 ms would be most of a transaction's time."""

log = logging.getLogger(__name__)


class Server(Protocol):
    """What runs until it is stopped: a `Node`, for one."""

    async def run(self) -> None: ...

    def stop(self) -> None: ...


def _honest(replica: Replica) -> ReplicaLike:
    return replica


def serve(
    directory: Path,
    replica: ReplicaId,
    *,
    with_parent: bool,
    verbose: bool = False,
    wrap: Callable[[Replica], ReplicaLike] = _honest,
    record: Path | None = None,
    note: str = "",
    notify: int | None = None,
) -> None:
    """Run one replica of the service that the cluster file names until SIGTERM or SIGINT, or,
    `with_parent`, until the process that started this one is gone. `wrap` is the node's.
    What it hears and says goes to the file `record`, with `note`, where that is given. Once
    it serves, its number goes to the descriptor `notify`.

    Raises what `Cluster.load`, `Cluster.identity` and `Node.run` raise.
    """
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(asctime)s %(message)s"
    )
    cluster = Cluster.load(directory)
    member = cluster.member(replica)
    identity = cluster.identity(directory, member.name)
    with ExitStack() as stack:
        store = stack.enter_context(opened_store(cluster, directory, replica))
        sys.setswitchinterval(SWITCH_SECONDS)
        _announce(member.name, store.durability)
        if record is not None:
            recorder = stack.enter_context(Recorder(record, cluster, replica, wrap, note))
            wrap = recorder.around
        evidence = EvidenceFolder(directory, cluster.config.cluster_id, replica)
        service = service_of(cluster.file.service.runs)
        if not isinstance(store, MemoryStore):
            types = store_path(directory, replica).with_suffix(".types")
            stack.enter_context(remembered(types, service))
        node = Node(cluster, replica, identity, service, wrap=wrap, store=store, evidence=evidence)
        try:
            run(_run(node, replica, with_parent=with_parent, notify=notify))
        except ForgottenVotesError as error:
            raise ForgottenVotesError(f"{error}. {_remedy(store, directory, replica)}") from None


async def _run(node: Node, replica: ReplicaId, *, with_parent: bool, notify: int | None) -> None:
    """`until_stopped`; the number of the replica goes to the descriptor `notify` once it serves.
    Where nobody has that any more, our parent may have gone before we knew who it was."""

    async def tell(descriptor: int) -> None:
        await node.serving.wait()
        try:
            os.write(descriptor, b"%d\n" % replica)
            os.close(descriptor)
        except OSError:
            if with_parent:
                node.stop()

    telling = None if notify is None else asyncio.create_task(tell(notify))
    try:
        await until_stopped(node, with_parent=with_parent)
    finally:
        if telling is not None:
            telling.cancel()


def service_of(runs: str) -> Service:
    """What hosts a new object of the class that `module:Class` names, found as Python finds
    modules, the current directory first. Raises `ConfigurationError`."""
    module, _, name = runs.partition(":")
    if not name:
        raise ConfigurationError(f"the service {runs} is not module:Class, such as counter:Counter")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return hosted(getattr(importlib.import_module(module), name)())
    except ServiceError as error:
        raise ConfigurationError(f"the service {runs} cannot be hosted: {error}") from error
    except (Exception, SystemExit) as error:  # whatever the user's module raises
        raise ConfigurationError(
            f"the service {runs} cannot be made: {type(error).__name__}: {error}{where(error)}"
        ) from error


def _remedy(store: Store, directory: Path, replica: ReplicaId) -> str:
    if isinstance(store, MemoryStore):
        return (
            'With durability = "memory" no replica survives its process: make a new cluster with'
            " `pbft init`"
        )
    return f"Run `pbft recover {directory} {replica} --yes`, then start it again"


def _announce(name: str, durability: str) -> None:
    """What a crash of this replica leaves, at the head of its log."""
    if durability == "memory":
        log.warning("%s: durability memory: a crash loses its votes, and it cannot rejoin", name)
    else:
        log.info("%s: durability %s", name, durability)


@contextmanager
def opened_store(cluster: Cluster, directory: Path, replica: ReplicaId) -> Iterator[Store]:
    """The store that the cluster file asks for, under `directory`. Raises `ConfigurationError` and
    `StorageError`."""
    if cluster.file.storage.durability == "memory":
        yield MemoryStore()
        return
    path = store_path(directory, replica)
    with closing(SqliteStore(path, cluster.config.cluster_id, replica)) as store:
        yield store


def store_path(directory: Path, replica: ReplicaId) -> Path:
    """Where the records of `replica` are kept."""
    return directory / "data" / f"{replica_name(replica)}.db"


async def until_stopped(server: Server, *, with_parent: bool) -> None:
    """Run `server` until a signal, or the end of the parent, stops it."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    watching = asyncio.create_task(_stop_with(server, os.getppid())) if with_parent else None
    try:
        await server.run()
    finally:
        if watching is not None:
            watching.cancel()


async def _stop_with(server: Server, parent: int) -> None:
    """Stop once we are orphaned: orphans are adopted, so their parent changes."""
    while True:
        await asyncio.sleep(PARENT_SECONDS)
        if os.getppid() != parent:
            return server.stop()
