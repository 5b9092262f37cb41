"""The text of `cluster.toml`: its schema, its units, and both directions between text and values.

Here only what one entry must look like; what entries must be to each other is judged in `cluster`.
"""

import json
import tomllib
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from pbft.core.config import Configuration
from pbft.core.errors import ConfigurationError
from pbft.core.ids import MAX_GUESTS, MILLISECOND

FORMAT = 1
KEY_VALUE = "pbft.services.kv:KeyValueService"
UNITS = {
    "checkpoint_interval": 1,
    "window": 1,
    "pipeline": 1,
    "batch_max_requests": 1,
    "batch_max_bytes": 1,
    "inline_max_bytes": 1,
    "request_max_bytes": 1,
    "client_max_bytes": 1,
    "request_max_operations": 1,
    "reply_max_bytes": 1,
    "session_max_bytes": 1,
    "client_window": 1,
    "request_timeout_ms": MILLISECOND,
    "timeout_max_ms": MILLISECOND,
    "status_interval_ms": MILLISECOND,
    "clock_bound_ms": MILLISECOND,
    "chunk_bytes": 1,
    "transfer_max_bytes": 1,
    "answer_max_bytes": 1,
    "early_max_bytes": 1,
    "fast_reads": 1,
}
"""The keys of `[protocol]`, each with what one of it is in the unit of `Configuration`."""

Port = Annotated[int, Meta(ge=1, le=65535)]
Host = Annotated[str, Meta(min_length=1, max_length=255)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Durability: TypeAlias = Literal["fsync", "memory"]
Key = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class ReplicaEntry(Struct, forbid_unknown_fields=True, frozen=True):
    """`port` is for the other replicas, `client_port` for clients."""

    id: Annotated[int, Meta(ge=0)]
    host: Host
    port: Port
    client_port: Port
    signing_key: Key
    link_key: Key


class ClientEntry(Struct, forbid_unknown_fields=True, frozen=True):
    """`may`: the commands and queries that it may call, by name; "*" for all of them but
    `pbft.upgrade`. `admits`: how many other clients it may admit, each of which counts as one more
    client."""

    id: Name
    signing_key: Key
    link_key: Key
    may: tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...] = ("*",)
    admits: Annotated[int, Meta(ge=0, le=MAX_GUESTS)] = 0


class TransportEntry(Struct, forbid_unknown_fields=True, frozen=True):
    """How links use UDP."""

    datagram_bytes: Annotated[int, Meta(ge=512, le=65000)] = 1200
    """Of a sealed datagram, without the headers of UDP and IP."""


class StorageEntry(Struct, forbid_unknown_fields=True, frozen=True):
    """ "fsync": what a replica promised survives a power cut. "memory": nothing survives."""

    durability: Durability = "fsync"


class ServiceEntry(Struct, forbid_unknown_fields=True, frozen=True):
    """`runs`: `module:Class`, imported by every replica; the same at all of them."""

    runs: Annotated[str, Meta(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] = KEY_VALUE


class ClusterFile(Struct, forbid_unknown_fields=True, frozen=True):
    """All of cluster.toml."""

    format: int
    cluster_id: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
    replica: list[ReplicaEntry] = []
    client: list[ClientEntry] = []
    protocol: dict[str, int | bool] = {}
    transport: TransportEntry = TransportEntry()
    storage: StorageEntry = StorageEntry()
    service: ServiceEntry = ServiceEntry()


def parse(text: str) -> ClusterFile:
    """Raises `ConfigurationError` that says what is wrong, and where."""
    try:
        file = msgspec.convert(tomllib.loads(text), ClusterFile)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"is not a cluster file: {error}") from None
    except (ValueError, RecursionError) as error:  # tomllib lets out more than its own error
        raise ConfigurationError(f"is not valid TOML: {error}") from None
    if file.format != FORMAT:
        raise ConfigurationError(f"has format {file.format}, and this version reads {FORMAT}")
    unknown = sorted(file.protocol.keys() - UNITS.keys())
    if unknown:
        raise ConfigurationError(
            f"has an unknown key {unknown[0]!r} in [protocol]; known are {', '.join(UNITS)}"
        )
    return file


def configuration(file: ClusterFile) -> Configuration:
    """The parameters of the protocol, validated. Raises `ConfigurationError`."""
    given: dict[str, Any] = {
        _field(key): value if isinstance(value, bool) else value * UNITS[key]
        for key, value in file.protocol.items()
    }
    return Configuration(cluster_id=bytes.fromhex(file.cluster_id), n=len(file.replica), **given)


def defaults() -> dict[str, int | bool]:
    """Every key of `[protocol]` with its default."""
    plain = Configuration(cluster_id=bytes(16), n=4)
    values = {key: getattr(plain, _field(key)) for key in UNITS}
    return {k: v if isinstance(v, bool) else v // UNITS[k] for k, v in values.items()}


def _field(key: str) -> str:
    return key.removesuffix("_ms") + "_ns" if key.endswith("_ms") else key


HEADER = """\
# Who is in this cluster, where, and under which keys. Public: every replica and every client needs
# the same file. The private keys are in keys/, one for each; none of them belongs in here.
"""


def render(file: ClusterFile) -> str:
    """The text of `file`; `parse` gives it back."""
    lines = [HEADER, f"format = {file.format}", f'cluster_id = "{file.cluster_id}"']
    lines += ["", "[protocol]"]
    for key, default in defaults().items():
        value = file.protocol.get(key)
        text = json.dumps(default if value is None else value)
        lines.append(f"# {key} = {text}" if value is None else f"{key} = {text}")
    lines += ["", "[transport]", f"datagram_bytes = {file.transport.datagram_bytes}"]
    lines += ["", "[storage]", f"durability = {json.dumps(file.storage.durability)}"]
    lines += ["", "[service]", f"runs = {json.dumps(file.service.runs)}"]
    for replica in file.replica:
        lines += ["", "[[replica]]", *_entries(replica)]
    for client in file.client:
        lines += ["", "[[client]]", *_entries(client)]
    return "\n".join(lines) + "\n"


def _entries(entry: ReplicaEntry | ClientEntry) -> list[str]:
    values = msgspec.structs.asdict(entry)
    return [f"{key} = {json.dumps(value)}" for key, value in values.items()]
