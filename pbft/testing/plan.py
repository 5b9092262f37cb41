"""What one seed stands for: sizes, faults, calls, and when each begins and ends. Plain data.

The network is bad until `gst_ns` (global stabilisation time): losses, duplicates, partitions,
crashes, stops at fail points, damaged disks. From then on it delivers everything within
`calm_delay_ns`, and everybody is up whose disk is whole.
"""

import random
from dataclasses import dataclass, field, replace

from pbft.core.config import Configuration
from pbft.core.ids import MILLISECOND, SECOND, ClientId, ReplicaId
from pbft.testing.byzantine import ADVERSARIES
from pbft.testing.byzantine.attacks import Attack
from pbft.testing.disk import Harm
from pbft.testing.failpoints import POINTS, Stop
from pbft.testing.losses import Loss
from pbft.testing.rounds import RoundCut
from pbft.testing.scripts import Outburst, Script, outbursts, script
from pbft.testing.subjects import subject

REAL_KEYS_EVERY = 16
"""Every so many seeds run on Ed25519 in place of tags."""
LARGE_EVERY = 3
"""Every so many seeds, requests above `INLINE_BYTES` travel outside the batches."""
INLINE_BYTES = 192
FAST_READS_EVERY = 4
"""Every so many seeds, the cluster answers reads outside the order."""
OUTBURSTS = 20
"""Of each faulty client."""
TWIN = "twin"
"""The name of a traitor that is its own code, run twice."""


@dataclass(frozen=True, slots=True)
class Partition:
    """From `begin` to `end`, links between the groups carry nothing; `one_way`: only from the
    first group to the second. The second copy of a twin r counts as r + n."""

    begin: int
    end: int
    group: frozenset[ReplicaId]
    one_way: bool


@dataclass(frozen=True, slots=True)
class Crash:
    """Replica `replica` dies at `begin`, losing what was not durable, and restarts at `end`."""

    begin: int
    end: int
    replica: ReplicaId


@dataclass(frozen=True, slots=True)
class Damage:
    """The disk of `replica`, which a crash at `begin` has taken down, is harmed."""

    begin: int
    replica: ReplicaId
    harm: Harm


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a run is a function of. Times are virtual nanoseconds.

    `service`: `module:Class`, none for the key-value service. `scripts` and `outbursts`, where
    they are none, are drawn from the seed and the counts (`explicit`). `per_link`: each link has
    a chance of its own, so that what is taken out of a plan leaves the other links as they were.
    `core`: from `gst_ns` on only these replicas and the clients are well connected, and everything
    else stays as bad as it was, for ever. `power_cycle`: in the end the power fails everywhere, and
    everybody comes back and answers once more.
    `attacks`: of each traitor named `composed`; a traitor named `twin` runs twice, by unmodified
    code. `round_cuts` are partitions by step of the protocol in the place of time.
    """

    seed: int
    config: Configuration
    traitors: dict[ReplicaId, str]
    twins: bool
    real_keys: bool
    loss: float
    duplicates: float
    delay_ns: int
    calm_delay_ns: int
    disk_delay_ns: int
    gst_ns: int
    clients: int
    faulty_clients: int
    operations: int
    partitions: list[Partition] = field(default_factory=list)
    crashes: list[Crash] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    damages: list[Damage] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    service: str | None = None
    scripts: dict[ClientId, Script] | None = None
    outbursts: list[Outburst] | None = None
    per_link: bool = False
    core: frozenset[ReplicaId] | None = None
    power_cycle: bool = False
    attacks: dict[ReplicaId, tuple[Attack, ...]] = field(default_factory=dict)
    round_cuts: tuple[RoundCut, ...] = ()

    def is_core(self, replica: ReplicaId) -> bool:
        """Whether the run ends only when this replica, if it is correct, has come along."""
        return self.core is None or replica in self.core


def explicit(plan: Plan) -> Plan:
    """The same plan with every call in it. Raises `ServiceError` where its service cannot be
    imported."""
    about = subject(plan.service)
    scripts, said = plan.scripts, plan.outbursts
    if scripts is None:
        share = plan.operations // plan.clients
        names = [f"client-{i}" for i in range(plan.clients)]
        scripts = {c: script(about, random.Random(f"{c} {plan.seed}"), share) for c in names}
    if said is None:
        said = []
        for name in (f"mallory-{i}" for i in range(plan.faulty_clients)):
            rng = random.Random(f"{name} {plan.seed}")
            times = [rng.randrange(SECOND, plan.gst_ns + SECOND) for _ in range(OUTBURSTS)]
            said += outbursts(about, rng, name, plan.config.n, times)
    return replace(plan, scripts=scripts, outbursts=said)


def draw(seed: int, replicas: int = 4, traitors: int | None = None) -> Plan:
    """The plan of a seed. More than f traitors are the control: twins that collude and fork, or,
    where n leaves room for one fault more before two quorums can fork, silent all together."""
    rng = random.Random(f"plan {seed} {replicas} {traitors}")
    config = _configuration(
        rng,
        replicas,
        fast_reads=seed % FAST_READS_EVERY == 1,
        inline_max_bytes=INLINE_BYTES if seed % LARGE_EVERY == 2 else 8192,
    )
    count = config.f if traitors is None else traitors
    excess = count > config.f
    twins = excess and count >= 2 * config.quorum - replicas
    gst = rng.randrange(2 * SECOND, 6 * SECOND)
    chosen = sorted(rng.sample(range(replicas), count))
    if (twins or rng.random() < 0.4) and chosen and 0 not in chosen:
        chosen[0] = 0
    names = sorted(ADVERSARIES.keys() - {"propose-again"})
    plan = Plan(
        seed=seed,
        config=config,
        traitors={r: "silent" if excess else rng.choice(names) for r in chosen},
        twins=twins,
        real_keys=seed % REAL_KEYS_EVERY == 0,
        loss=0.0 if twins else rng.choice((0.0, 0.1, 0.2, 0.2)),
        duplicates=rng.choice((0.0, 0.05, 0.3)),
        delay_ns=rng.choice((2, 10, 40)) * MILLISECOND,
        calm_delay_ns=10 * MILLISECOND,
        disk_delay_ns=rng.choice((0, 1, 5)) * MILLISECOND,
        gst_ns=gst,
        clients=3,
        faulty_clients=rng.choice((0, 0, 1)),
        operations=rng.randrange(60, 120),
        partitions=[] if twins else _partitions(rng, replicas, gst),
        crashes=[] if twins else _crashes(rng, replicas, gst, chosen),
    )
    return plan if excess else _with_losses(_with_disk_faults(plan))


def _with_losses(plan: Plan) -> Plan:
    """Drawn last of all, likewise: one whose disk is lost takes the place of a traitor."""
    rng = random.Random(f"losses {plan.seed} {plan.config.n}")
    if plan.damages or not plan.traitors or rng.random() < 0.75:
        return plan
    lost = rng.choice(sorted(plan.traitors))
    traitors = {r: name for r, name in plan.traitors.items() if r != lost}
    begin = rng.randrange(SECOND, plan.gst_ns)
    end = begin + rng.randrange(SECOND // 10, SECOND)
    copied = None if rng.random() < 0.3 else begin - rng.randrange(SECOND)
    loss = Loss(lost, copied, begin, end, end + rng.randrange(SECOND // 2, 2 * SECOND))
    return replace(plan, traitors=traitors, losses=[loss])


def _with_disk_faults(plan: Plan) -> Plan:
    """Drawn last, from a generator of its own: all else is as without them. Where a replica can
    stop, one traitor may be of the kind that asks it again for what it has voted. A replica whose
    disk is damaged takes the place of a traitor: together they are at most f."""
    rng = random.Random(f"disk {plan.seed} {plan.config.n} {sorted(plan.traitors)}")
    stops = []
    for _ in range(rng.choice((0, 1, 3))):
        down = rng.randrange(SECOND // 20, SECOND)
        stop = Stop(rng.choice(POINTS), rng.randrange(1, 30), rng.random() < 0.2, down)
        stops.append(stop)
    if not plan.traitors or rng.random() < 0.8:
        traitors = dict(plan.traitors)
        if stops and traitors and rng.random() < 0.3:
            traitors[min(traitors)] = "propose-again"
        return replace(plan, traitors=traitors, stops=stops)
    honest = rng.choice(sorted(plan.traitors))
    traitors = {r: name for r, name in plan.traitors.items() if r != honest}
    begin = rng.randrange(SECOND, plan.gst_ns)
    crashes = [Crash(begin, begin + SECOND // 10, honest)]
    if rng.random() < 0.5:
        again = begin + rng.randrange(SECOND // 5, SECOND)
        crashes.append(Crash(again, again + SECOND // 10, honest))
    damage = Damage(begin, honest, rng.choice(list(Harm)))
    return replace(
        plan,
        traitors=traitors,
        crashes=[*plan.crashes, *crashes],
        stops=stops,
        damages=[damage],
    )


def _configuration(
    rng: random.Random, n: int, *, fast_reads: bool, inline_max_bytes: int
) -> Configuration:
    interval = rng.choice((4, 8))
    return Configuration(
        cluster_id=rng.randbytes(16),
        n=n,
        checkpoint_interval=interval,
        window=interval * rng.choice((2, 4)),
        pipeline=rng.choice((1, 2, 4)),
        batch_max_requests=rng.choice((1, 2, 8)),
        client_window=16,
        request_timeout_ns=SECOND,
        timeout_max_ns=4 * SECOND,
        status_interval_ns=200 * MILLISECOND,
        chunk_bytes=256,
        fast_reads=fast_reads,
        inline_max_bytes=inline_max_bytes,
    )


def _partitions(rng: random.Random, n: int, gst: int) -> list[Partition]:
    found = []
    for _ in range(rng.choice((0, 1, 1, 2))):
        begin = rng.randrange(gst)
        end = min(gst, begin + rng.randrange(SECOND // 2, 4 * SECOND))
        group = frozenset(rng.sample(range(n), rng.randrange(1, n)))
        found.append(Partition(begin, end, group, rng.random() < 0.3))
    return found


def _crashes(rng: random.Random, n: int, gst: int, traitors: list[ReplicaId]) -> list[Crash]:
    found = []
    correct = [r for r in range(n) if r not in traitors]
    for _ in range(rng.choice((0, 0, 1, 2, 4))):
        begin = rng.randrange(SECOND // 4, gst)
        end = min(gst, begin + rng.randrange(SECOND // 20, 2 * SECOND))
        found.append(Crash(begin, end, rng.choice(correct)))
    if rng.random() < 0.2:
        begin = rng.randrange(SECOND // 4, gst)
        found += [Crash(begin, min(gst, begin + SECOND), r) for r in correct]
    return found


def termination_bound_ns(plan: Plan) -> int:
    """How long after GST (or after being sent, if later) a correct client's request may take.

    A timer that is running at GST, and one for each of up to f faulty primaries after it: f+1
    capped timeouts T_max. Each of these views may also have made just enough progress to begin
    with the uncapped T again: f+1 times T. Then a client's longest retransmission interval (T),
    and 40 round trips, each up to two status intervals for what has to be asked for again.
    """
    config = plan.config
    timeouts = (config.f + 1) * (config.timeout_max_ns + config.request_timeout_ns)
    round_trip = 2 * plan.calm_delay_ns + 2 * plan.disk_delay_ns
    exchanges = 40 * (round_trip + 2 * config.status_interval_ns)
    return timeouts + config.request_timeout_ns + exchanges
