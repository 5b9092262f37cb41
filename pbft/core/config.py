"""What all replicas of a cluster must agree on, frozen and validated before anything runs.

Every limit carries its unit in its name. `digest` is exchanged when a link opens, so that two
replicas that were configured differently never vote together (CF4).
"""

from dataclasses import dataclass, fields

from pbft.core.errors import ConfigurationError
from pbft.core.ids import MILLISECOND, SECOND, Digest, ReplicaId, View
from pbft.core.quorum import faults, primary, quorum, weak_quorum
from pbft.core.sizes import fits, largest_window
from pbft.crypto.digests import digest

CLUSTER_ID_BYTES = 16
MAX_REPLICAS = 100
MAX_REQUEST_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Parameters of the protocol. Times are nanoseconds, sizes are bytes, the rest are counts.

    Raises `ConfigurationError` on construction when a rule between the fields does not hold.
    """

    cluster_id: bytes
    n: int
    checkpoint_interval: int = 128
    """K: a checkpoint is taken whenever a multiple of it has executed (OSDI'99 §4.3)."""
    window: int = 256
    """L: how far above the low watermark sequence numbers may be assigned."""
    pipeline: int = 4
    """Sequence numbers that the primary keeps in flight; what waits meanwhile forms a batch."""
    batch_max_requests: int = 256
    batch_max_bytes: int = 256 * 1024
    inline_max_bytes: int = 8 * 1024
    """Requests above are sent to all replicas by their client, and named by digest in a batch."""
    request_max_bytes: int = 1024 * 1024
    client_max_bytes: int = 8 * 1024 * 1024
    """Requests waiting per client, beside their number."""
    request_max_operations: int = 256
    reply_max_bytes: int = 5 * 1024 * 1024
    """All results of one request; a result beyond is replaced by a refusal that says so."""
    session_max_bytes: int = 32 * 1024 * 1024
    """Results remembered per client, beside the number of timestamps."""
    client_window: int = 64
    """Executed timestamps remembered, and requests waiting, per client."""
    request_timeout_ns: int = 1 * SECOND
    """T: how long the oldest waiting request may wait before its primary is suspected."""
    timeout_max_ns: int = 8 * SECOND
    """The cap of T * 2^k (T25)."""
    status_interval_ns: int = 100 * MILLISECOND
    clock_bound_ns: int = 60 * SECOND
    """How far a first-proposed agreed time may lie from a backup's own wall clock (T48)."""
    chunk_bytes: int = 64 * 1024
    """State in one message of a transfer; one larger entry travels alone."""
    transfer_max_bytes: int = 512 * 1024
    """State sent to one peer per status interval."""
    answer_max_bytes: int = 256 * 1024
    """Re-sent to one peer per status interval; as much again where it asks by digest."""
    early_max_bytes: int = 4 * 1024 * 1024
    """Votes and proposals of later views kept per sender."""
    fast_reads: bool = False
    """Reads may be answered outside the order, and every ordered call waits for q replies (T32)."""

    def __post_init__(self) -> None:
        if len(self.cluster_id) != CLUSTER_ID_BYTES:
            raise ConfigurationError(f"cluster_id must be {CLUSTER_ID_BYTES} bytes")
        if not 4 <= self.n <= MAX_REPLICAS:
            raise ConfigurationError(
                f"n = {self.n}: tolerating a Byzantine replica takes 4 to {MAX_REPLICAS} replicas"
            )
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "fast_reads":
                if type(value) is not bool:
                    raise ConfigurationError("fast_reads must be true or false")
            elif field.name != "cluster_id" and (type(value) is not int or value < 1):
                raise ConfigurationError(f"{field.name} must be a whole number of at least 1")
        self._check_relations()

    def _check_relations(self) -> None:
        rules = (
            (
                self.window >= 2 * self.checkpoint_interval,
                "window must be >= 2 checkpoint_interval",
            ),
            (self.pipeline <= self.window, "pipeline must be <= window"),
            (
                self.session_max_bytes >= 2 * self.reply_max_bytes,
                "session_max_bytes must be >= 2 reply_max_bytes",
            ),
            (
                self.timeout_max_ns >= self.request_timeout_ns,
                "timeout_max_ns must be >= request_timeout_ns",
            ),
            (
                self.batch_max_bytes >= 2 * self.inline_max_bytes,
                "batch_max_bytes must be >= 2 inline_max_bytes",
            ),
            (
                self.inline_max_bytes <= self.request_max_bytes <= MAX_REQUEST_BYTES,
                f"request_max_bytes must be from inline_max_bytes to {MAX_REQUEST_BYTES}",
            ),
            (
                self.client_max_bytes >= self.request_max_bytes,
                "client_max_bytes must be >= request_max_bytes",
            ),
            (
                self.status_interval_ns * 2 <= self.request_timeout_ns,
                "status_interval_ns must be at most half of request_timeout_ns",
            ),
        )
        for holds, rule in rules:
            if not holds:
                raise ConfigurationError(rule)
        if not fits(self.n, self.window):
            raise ConfigurationError(
                f"n = {self.n} with window = {self.window}: a NEW-VIEW would not fit into a"
                f" message; lower window to {largest_window(self.n)} or less, and"
                " checkpoint_interval to half of it"
            )

    @property
    def f(self) -> int:
        return faults(self.n)

    @property
    def quorum(self) -> int:
        return quorum(self.n)

    @property
    def weak_quorum(self) -> int:
        return weak_quorum(self.n)

    def primary(self, view: View) -> ReplicaId:
        return primary(view, self.n)

    def timeout(self, backoff: int) -> int:
        """T * 2^backoff, capped (OSDI'99 §4.5.2; T25)."""
        return min(self.request_timeout_ns << min(backoff, 32), self.timeout_max_ns)

    @property
    def digest(self) -> Digest:
        """Of every field: equal exactly when two replicas may vote together."""
        parts = [f"{field.name}={getattr(self, field.name)!r}" for field in fields(self)]
        return digest(b"pbft configuration", *(part.encode() for part in parts))
