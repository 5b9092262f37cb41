"""What the sentences of a scenario have said so far; at its end, a plan."""

from dataclasses import dataclass, field

from pbft.core.config import Configuration
from pbft.core.ids import MILLISECOND, SECOND, ClientId, ReplicaId
from pbft.testing.byzantine.attacks import Attack
from pbft.testing.byzantine.composed import COMPOSED
from pbft.testing.failpoints import Stop
from pbft.testing.losses import Loss
from pbft.testing.plan import TWIN, Crash, Partition, Plan
from pbft.testing.scripts import Call, Outburst, Saying, Script

FOREVER = 2**62
BEGIN_NS = SECOND
"""When clients begin: no call is made before."""


@dataclass(slots=True)
class Draft:
    """`numbers`, `shares`, `times`: what was set. Times are virtual nanoseconds."""

    numbers: dict[str, int] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)
    switches: set[str] = field(default_factory=set)
    calls: dict[ClientId, list[tuple[int, bytes]]] = field(default_factory=dict)
    at_once: dict[ClientId, int] = field(default_factory=dict)
    outbursts: list[Outburst] = field(default_factory=list)
    attacks: dict[ReplicaId, list[Attack]] = field(default_factory=dict)
    twins: set[ReplicaId] = field(default_factory=set)
    partitions: list[Partition] = field(default_factory=list)
    crashes: list[Crash] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)

    @property
    def n(self) -> int:
        return self.numbers.get("replicas", 4)

    def plan(self) -> Plan:
        """All of it. Raises `ConfigurationError` where numbers do not go together."""
        ends = [cut.end for cut in self.partitions if cut.end < FOREVER]
        ends += [crash.end for crash in self.crashes]
        gst = self.times.get("calm", max([2 * SECOND, *ends]))
        return Plan(
            seed=self.numbers.get("seed", 0),
            config=self._configuration(),
            traitors={
                **dict.fromkeys(sorted(self.attacks), COMPOSED),
                **dict.fromkeys(sorted(self.twins), TWIN),
            },
            twins=False,
            real_keys="keys" in self.switches,
            loss=self.shares.get("loss", 0.0),
            duplicates=self.shares.get("duplicates", 0.0),
            delay_ns=self.times.get("delay", 2 * MILLISECOND),
            calm_delay_ns=10 * MILLISECOND,
            disk_delay_ns=self.times.get("disk", 0),
            gst_ns=gst,
            clients=max(1, len(self.calls)),
            faulty_clients=len({each.client for each in self.outbursts}),
            operations=sum(map(len, self.calls.values())),
            partitions=self.partitions,
            crashes=self.crashes,
            stops=self.stops,
            losses=self.losses,
            scripts={name: self._script(name) for name in self.calls},
            outbursts=self.outbursts,
            per_link=True,
            attacks={r: tuple(each) for r, each in sorted(self.attacks.items())},
        )

    def _configuration(self) -> Configuration:
        numbers, timeout = self.numbers, self.times.get("timeout", SECOND)
        interval = numbers.get("checkpoint", 16)
        return Configuration(
            cluster_id=b"scenario".ljust(16, b"."),
            n=self.n,
            checkpoint_interval=interval,
            window=numbers.get("window", 4 * interval),
            pipeline=numbers.get("pipeline", 1),
            batch_max_requests=numbers.get("batch", 1),
            client_window=16,
            request_timeout_ns=timeout,
            timeout_max_ns=4 * timeout,
            status_interval_ns=timeout // 5,
            chunk_bytes=256,
            fast_reads="fast reads" in self.switches,
            inline_max_bytes=numbers.get("inline", 8192),
        )

    def _script(self, name: ClientId) -> Script:
        """Each call at its time, or when the one before is answered, whichever is later."""
        times = [max(at, BEGIN_NS) for at, _ in self.calls[name]]
        after = [*times[1:], times[-1]]
        calls = [
            Call(operation, then - at)
            for (_, operation), at, then in zip(self.calls[name], times, after, strict=True)
        ]
        begin = times[0] if times[0] > BEGIN_NS else 0
        return Script(self.at_once.get(name, 1), tuple(calls), begin)

    def says(self, client: ClientId, at: int, saying: Saying, through: ReplicaId | None) -> None:
        """A faulty client speaks; what it says at one time is one outburst."""
        for index, known in enumerate(self.outbursts):
            if (known.client, known.at, known.through) == (client, at, through):
                self.outbursts[index] = Outburst(client, at, (*known.says, saying), through)
                return
        self.outbursts.append(Outburst(client, at, (saying,), through))
