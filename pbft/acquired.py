"""Which client a process is: its name, its keys, and that nobody else on this machine is it.

A client of the cluster file has its key in DIR/keys. A guest has a file with its keys and its
ticket, there or anywhere else; the ticket says its name.
"""

import os
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pbft import tickets
from pbft.client_lock import first_free
from pbft.cluster import KEYS, Cluster
from pbft.core.errors import ConfigurationError
from pbft.core.ids import ClientId
from pbft.crypto.errors import KeyFileError
from pbft.crypto.keyfiles import Identity, load_identity


class Acquired(NamedTuple):
    """`key` is the key file, and `lock` is held while it is open."""

    name: ClientId
    identity: Identity
    key: Path
    lock: BinaryIO


def acquire(
    cluster: Cluster,
    directory: str | os.PathLike[str],
    wanted: str | os.PathLike[str] | None,
    passphrase: bytes | None,
) -> Acquired:
    """The client `wanted`, or the guest whose file that is, by its path or by its name in DIR/keys;
    the first client of the cluster file that is free, where it is none. Raises
    `ConfigurationError`."""
    folder = Path(directory) / KEYS
    if wanted is None or wanted in cluster.clients:
        names = list(cluster.clients) if wanted is None else [str(wanted)]
        name, lock = first_free({each: folder / f"{each}.pem" for each in names})
        try:
            identity = cluster.identity(directory, name, passphrase=passphrase)
        except BaseException:
            lock.close()
            raise
        return Acquired(name, identity, folder / f"{name}.pem", lock)
    for path in (folder / f"{wanted}.pem", Path(wanted)):
        guest = _read(path, passphrase)
        if guest is not None and not guest.ticket and path.stem in cluster.clients:
            raise ConfigurationError(f"{path} is no guest's: give its name alone, {path.stem!r}")
        if guest is not None and guest.ticket:
            name = tickets.judge(cluster, guest, path).client
            return Acquired(name, guest, path, first_free({name: path})[1])
    raise ConfigurationError(
        f"the cluster in {directory} has no client {str(wanted)!r}: it has"
        f" {', '.join(cluster.clients) or 'none'}; and there is no file of a guest of that name"
        " (`pbft admit` makes one)"
    )


def _read(path: Path, passphrase: bytes | None) -> Identity | None:
    """Raises `ConfigurationError` where there is a file and it does not read."""
    try:
        there = path.is_file()
    except OSError:  # a name too long, a folder that is another's
        return None
    try:
        return load_identity(path, passphrase) if there else None
    except KeyFileError as error:
        raise ConfigurationError(str(error)) from None
