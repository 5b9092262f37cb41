"""Who plays whom in a simulation: keys, honest cores, and whatever a plan puts around them."""

import random
from collections.abc import Callable, Iterator

from pbft.core.authentication import Ed25519Verifier, Signer, Verifier
from pbft.core.ids import Instant, Principal, ReplicaId, RequestKey, admitter
from pbft.core.records import AnyRecord, Began
from pbft.core.replica import Replica
from pbft.crypto.signing import SigningKey
from pbft.testing.byzantine import ADVERSARIES, PACING, Behaviour, Twins
from pbft.testing.byzantine.colluding import Ring
from pbft.testing.byzantine.composed import COMPOSED, COMPOSITIONS, Composed
from pbft.testing.disk import Disk
from pbft.testing.guests import ADMITS, Keyed, is_guest
from pbft.testing.host import Driven, Host
from pbft.testing.plan import TWIN, Plan
from pbft.testing.rounds import Rounds
from pbft.testing.subjects import Subject
from pbft.testing.tags import TagSigner, TagVerifier


class Casting:
    """Of one run. `signed` hears of requests that traitors make with the keys of clients."""

    def __init__(
        self,
        plan: Plan,
        subject: Subject,
        instant: Callable[[], Instant],
        signed: Callable[[RequestKey], None],
    ) -> None:
        self.plan = plan
        self.rounds = Rounds()
        self.signers, self.verifier = self._keys()
        self._subject = subject
        self._instant = instant
        self._ledger: dict[bytes, set[int]] = {}
        self._ring = Ring(plan.config, self._shared(), self.verifier, self.rounds, signed)

    def hosts(self) -> list[Host]:
        """All replicas in their order, then the second copies of twins."""
        n = self.plan.config.n
        twins = [r for r, name in sorted(self.plan.traitors.items()) if name == TWIN]
        return [*map(self._host, range(n)), *(self._host(r, r + n) for r in twins)]

    def attacks(self, host: Host) -> Iterator[tuple[str, int]]:
        """How often each attack of a host was really made."""
        if isinstance(host.replica, Composed):
            yield from host.replica.acts.items()
        elif isinstance(host.replica, Behaviour | Twins):
            name = "twins" if self.plan.twins else self.plan.traitors[host.number]
            yield name, host.replica.acted

    def _keys(self) -> tuple[dict[Principal, Keyed], Verifier]:
        principals: list[Principal] = [*range(self.plan.config.n), *(self.plan.scripts or ())]
        principals += dict.fromkeys(each.client for each in self.plan.outbursts or ())
        principals += dict.fromkeys(admitter(str(each)) for each in principals if is_guest(each))
        rng = random.Random(f"keys {self.plan.seed}")
        seeds = {principal: rng.randbytes(32) for principal in dict.fromkeys(principals)}
        known = {each: seed for each, seed in seeds.items() if not is_guest(each)}
        admits = {each: ADMITS for each in known if isinstance(each, str)}
        if self.plan.real_keys:
            keys = {principal: SigningKey(seed) for principal, seed in seeds.items()}
            return dict(keys), Ed25519Verifier({p: keys[p].public for p in known}, admits)
        guests = [seed for each, seed in seeds.items() if is_guest(each)]
        tags = {p: TagSigner(seed) for p, seed in seeds.items()}
        return dict(tags), TagVerifier(known, guests, admits)

    def _shared(self) -> dict[Principal, Signer]:
        """The keys of traitors and of faulty clients."""
        correct = self.plan.scripts or {}
        faulty = dict.fromkeys(each.client for each in self.plan.outbursts or ())
        names: list[Principal] = [
            *sorted(self.plan.traitors),
            *(c for c in faulty if c not in correct),
        ]
        return {name: self.signers[name] for name in names}

    def _host(self, number: ReplicaId, node: int | None = None) -> Host:
        def boot(records: list[AnyRecord]) -> Driven:
            return self._driven(number, records)

        where = number if node is None else node
        disk = Disk(random.Random(f"disk {where} {self.plan.seed}"))
        return Host(number, number not in self.plan.traitors, disk, boot, where)

    def _driven(self, number: ReplicaId, records: list[AnyRecord]) -> Driven:
        name = self.plan.traitors.get(number)
        if self.plan.twins and name is not None:
            copies = (self._core(number, [Began()]), self._core(number, [Began()]))
            return Twins(copies, self._sides(), self._ledger)
        if name == TWIN:
            return self._core(number, records or [Began()])
        honest = self._core(number, records)
        if name is None:
            return honest
        attacks = COMPOSITIONS.get(name)
        if name == COMPOSED:
            attacks = self.plan.attacks.get(number, ())
        if attacks is not None:
            return Composed(honest, attacks, self._ring, f"attack {self.plan.seed} {number}")
        return {**ADVERSARIES, **PACING}[name](honest)

    def _core(self, number: ReplicaId, records: list[AnyRecord]) -> Replica:
        return Replica(
            self.plan.config,
            number,
            signer=self.signers[number],
            verifier=self.verifier,
            service=self._subject.make(),
            records=records,
            now=self._instant(),
        )

    def _sides(self) -> dict[ReplicaId, int]:
        """Which side of a fork each correct replica is on."""
        correct = [r for r in range(self.plan.config.n) if r not in self.plan.traitors]
        return {replica: index % 2 for index, replica in enumerate(correct)}
