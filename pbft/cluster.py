"""Who is in the cluster, where, under which keys, and with which parameters.

`DIR/cluster.toml` is public and the same on every machine; `DIR/keys/NAME.pem` is private and
stays where it is used. Whatever is wrong with either is one `ConfigurationError` that says which
file, what and how to put it right; nothing is guessed, and no key is ever made in passing.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pbft import cluster_file
from pbft.cluster_file import (
    ClientEntry,
    ClusterFile,
    Durability,
    ReplicaEntry,
    ServiceEntry,
    StorageEntry,
    TransportEntry,
)
from pbft.core.authentication import Authentication, Ed25519Verifier
from pbft.core.config import CLUSTER_ID_BYTES, MAX_REPLICAS, Configuration
from pbft.core.errors import ConfigurationError
from pbft.core.ids import ClientId, Digest, Principal, ReplicaId
from pbft.core.sizes import fits, largest_window
from pbft.crypto import keyfiles
from pbft.crypto.digests import digest
from pbft.crypto.errors import KeyFileError
from pbft.crypto.keyfiles import Identity
from pbft.crypto.signing import SigningKey, is_valid_public

CLUSTER_FILE = "cluster.toml"
KEYS = "keys"
REPLICA_PREFIX = "replica-"
MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Keys:
    """The public halves of one principal: Ed25519 for what it signs, X25519 for its links."""

    signing: bytes
    link: bytes


@dataclass(frozen=True, slots=True)
class Member:
    """One replica: `port` is for the other replicas, `client_port` for clients."""

    id: ReplicaId
    host: str
    port: int
    client_port: int
    keys: Keys

    @property
    def name(self) -> str:
        return replica_name(self.id)


def replica_name(replica: ReplicaId) -> str:
    """How links and key files call a replica."""
    return f"{REPLICA_PREFIX}{replica}"


def _fitting(n: int, protocol: Mapping[str, int]) -> dict[str, int | bool]:
    """With a window that `n` replicas can have, where the default is larger and nothing is said."""
    default = cluster_file.defaults()["window"]
    said = not protocol.keys().isdisjoint({"window", "checkpoint_interval"})
    if said or n > MAX_REPLICAS or fits(n, default):
        return {**protocol}
    window = largest_window(n)
    return {**protocol, "window": window, "checkpoint_interval": window // 2}


@dataclass(frozen=True)
class Cluster:
    """A validated cluster; `replicas[i].id == i`. Made by `create` or `load`."""

    config: Configuration
    replicas: tuple[Member, ...]
    clients: Mapping[ClientId, Keys]
    file: ClusterFile

    @classmethod
    def create(
        cls,
        n: int = 4,
        clients: int = 1,
        base_port: int = 7400,
        *,
        host: str = "127.0.0.1",
        hosts: Sequence[str] | None = None,
        ports: Sequence[int] | None = None,
        protocol: Mapping[str, int] | None = None,
        durability: Durability = "fsync",
        service: str = cluster_file.KEY_VALUE,
        admits: int = 0,
        may: tuple[str, ...] = ("*",),
    ) -> "tuple[Cluster, dict[str, Identity]]":
        """A new cluster on one host, with new keys: client-0 and up beside the replicas.

        Two ports per replica, counted from `base_port` or taken from `ports`; with `hosts`, each
        replica is at one of them, at `base_port` and the port above. `protocol` holds keys of the
        file's [protocol] table, in its units; the window, where it is not among them, is as large
        as so many replicas can have. `service`: `module:Class`, what the replicas run.
        `admits`: how many others each client may admit. `may`: what each client may call.
        Raises `ConfigurationError`.
        """
        if hosts is not None:
            if len(hosts) != n:
                raise ConfigurationError(f"{n} replicas need {n} hosts, and these are {len(hosts)}")
            ports = [base_port, base_port + 1] * n
        names = [replica_name(i) for i in range(n)] + [f"client-{i}" for i in range(clients)]
        identities = {name: Identity.generate() for name in names}
        numbers = list(ports or range(base_port, base_port + 2 * n))
        if len(numbers) != 2 * n or not all(0 < port <= MAX_PORT for port in numbers):
            raise ConfigurationError(
                f"{n} replicas need {2 * n} ports from 1 to {MAX_PORT}: choose another base port"
            )
        replicas = [
            ReplicaEntry(
                i,
                hosts[i] if hosts else host,
                numbers[2 * i],
                numbers[2 * i + 1],
                **_hex(identities[replica_name(i)]),
            )
            for i in range(n)
        ]
        entries = [_client_entry(name, identities[name], admits, may) for name in names[n:]]
        file = ClusterFile(
            cluster_file.FORMAT,
            os.urandom(CLUSTER_ID_BYTES).hex(),
            replicas,
            entries,
            _fitting(n, protocol or {}),
            TransportEntry(),
            StorageEntry(durability),
            ServiceEntry(service),
        )
        return cls._from_text(cluster_file.render(file)), identities

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> "Cluster":
        """From `directory`/cluster.toml. Raises `ConfigurationError`."""
        return cls.read(Path(directory) / CLUSTER_FILE)

    @classmethod
    def read(cls, path: Path) -> "Cluster":
        """From a cluster file of any name. Raises `ConfigurationError`."""
        try:
            return cls._from_text(path.read_text("utf-8"))
        except FileNotFoundError:
            raise ConfigurationError(
                f"there is no {path}: name the directory of a cluster, or make one with `pbft init`"
            ) from None
        except NotADirectoryError:
            raise ConfigurationError(
                f"{path.parent} is a file: name the directory of a cluster"
            ) from None
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigurationError(f"{path} is not text in UTF-8") from None
        except ConfigurationError as error:
            raise ConfigurationError(f"{path}: {error}") from None

    @classmethod
    def _from_text(cls, text: str) -> "Cluster":
        file = cluster_file.parse(text)
        _check(file)
        replicas = sorted(file.replica, key=lambda entry: entry.id)
        return cls(
            cluster_file.configuration(file),
            tuple(
                Member(each.id, each.host, each.port, each.client_port, _keys(each))
                for each in replicas
            ),
            {each.id: _keys(each) for each in file.client},
            file,
        )

    def save(self, directory: str | os.PathLike[str], identities: Mapping[str, Identity]) -> None:
        """Write cluster.toml and keys/. Raises `ConfigurationError` rather than overwrite."""
        path = Path(directory) / CLUSTER_FILE
        keys = Path(directory) / KEYS
        for existing in (path, keys):
            if existing.exists():
                raise ConfigurationError(f"{existing} exists already: choose another directory")
        try:
            keys.mkdir(mode=0o700, parents=True)
            for name, identity in identities.items():
                keyfiles.save_identity(keys / f"{name}.pem", identity)
            path.write_text(cluster_file.render(self.file), "utf-8")
        except OSError as error:
            raise ConfigurationError(f"cannot write {directory}: {error.strerror}") from None
        except KeyFileError as error:
            raise ConfigurationError(str(error)) from None

    def identity(
        self,
        directory: str | os.PathLike[str],
        name: str,
        *,
        passphrase: bytes | None = None,
    ) -> Identity:
        """The private keys of `name`, which must be those that this cluster knows it by.

        Raises `ConfigurationError`."""
        public = self.keys.get(name)
        if public is None:
            raise ConfigurationError(f"this cluster has no {name!r}: it has {', '.join(self.keys)}")
        path = Path(directory) / KEYS / f"{name}.pem"
        try:
            identity = keyfiles.load_identity(path, passphrase)
        except KeyFileError as error:
            raise ConfigurationError(str(error)) from None
        if Keys(identity.signing.public, identity.link.public) != public or identity.ticket:
            raise ConfigurationError(
                f"{path} does not hold the keys that cluster.toml names for {name}: one of the two"
                " belongs to another cluster"
            )
        return identity

    @cached_property
    def keys(self) -> dict[str, Keys]:
        """Everybody's public keys, by the name that links use."""
        return {each.name: each.keys for each in self.replicas} | dict(self.clients)

    @cached_property
    def digest(self) -> Digest:
        """Of all that must be equal at both ends of a link (CF4): parameters, public keys, what is
        run, who may call what and who may admit others."""
        parts = [
            name.encode() + keys.signing + keys.link for name, keys in sorted(self.keys.items())
        ]
        parts.append(self.file.service.runs.encode())
        parts += [
            b"%s %s" % (c.encode(), name.encode())
            for c, may in sorted(self.permitted.items())
            for name in sorted(may)
        ]
        parts += [b"%s admits %d" % (c.encode(), count) for c, count in sorted(self.admits.items())]
        return digest(b"pbft cluster", self.config.digest, *parts)

    @cached_property
    def permitted(self) -> dict[ClientId, frozenset[str]]:
        """What each client may call, by name; "*" stands for everything."""
        return {each.id: frozenset(each.may) for each in self.file.client}

    @cached_property
    def admits(self) -> dict[ClientId, int]:
        """How many others each client may admit."""
        return {each.id: each.admits for each in self.file.client}

    def verifier(self) -> Ed25519Verifier:
        """Of everybody's signatures, by the core's names."""
        keys: dict[Principal, bytes] = {each.id: each.keys.signing for each in self.replicas}
        keys |= {name: each.signing for name, each in self.clients.items()}
        return Ed25519Verifier(keys, self.admits)

    def judge(self) -> Authentication:
        """Of what others have signed; it signs nothing itself."""
        return Authentication(self.config.cluster_id, SigningKey.generate(), self.verifier())

    def member(self, replica: ReplicaId) -> Member:
        """Raises `ConfigurationError` where there is no such replica."""
        if not 0 <= replica < len(self.replicas):
            raise ConfigurationError(
                f"there is no replica {replica}: this cluster has 0 to {len(self.replicas) - 1}"
            )
        return self.replicas[replica]


def _client_entry(name: str, identity: Identity, admits: int, may: tuple[str, ...]) -> ClientEntry:
    keys = _hex(identity)
    return ClientEntry(name, keys["signing_key"], keys["link_key"], may, admits)


def _hex(identity: Identity) -> dict[str, str]:
    return {
        "signing_key": identity.signing.public.hex(),
        "link_key": identity.link.public.hex(),
    }


def _keys(entry: ReplicaEntry | ClientEntry) -> Keys:
    return Keys(bytes.fromhex(entry.signing_key), bytes.fromhex(entry.link_key))


def _check(file: ClusterFile) -> None:
    """What entries must be to each other. Raises `ConfigurationError`."""
    cluster_file.configuration(file)
    ids = [entry.id for entry in file.replica]
    _distinct("replica id", ids)
    if sorted(ids) != list(range(len(ids))):
        raise ConfigurationError(
            f"replica ids must be 0 to {len(ids) - 1} without gaps, not {sorted(ids)}"
        )
    _distinct("client id", [entry.id for entry in file.client])
    for client in file.client:
        if client.id.startswith(REPLICA_PREFIX):
            raise ConfigurationError(f"client id {client.id!r}: such names are for replicas")
    ports = [(entry.host, port) for entry in file.replica for port in _ports(entry)]
    _distinct("address", [f"{host}:{port}" for host, port in ports])
    everyone: list[ReplicaEntry | ClientEntry] = [*file.replica, *file.client]
    _distinct("signing_key", [entry.signing_key for entry in everyone])
    _distinct("link_key", [entry.link_key for entry in everyone])
    for entry in everyone:
        if not is_valid_public(bytes.fromhex(entry.signing_key)):
            raise ConfigurationError(f"the signing_key of {entry.id} is not an Ed25519 public key")


def _ports(entry: ReplicaEntry) -> tuple[int, int]:
    return entry.port, entry.client_port


def _distinct(what: str, values: Sequence[object]) -> None:
    seen: set[object] = set()
    for value in values:
        if value in seen:
            raise ConfigurationError(f"{what} {value} is there twice: each must be unique")
        seen.add(value)
