"""Runs in which the network and the traitors follow a script, in place of a seed's.

    run = Script(calm(), traitors={0: Silent}, network=rule)
    run.held()

A rule sees every message, receiver by receiver, and says how long it is held back: none for not at
all, `LOST` for ever. What correct replicas did is in `happened`, with its time.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from pbft.core.config import Configuration
from pbft.core.effects import EnteredView, Event, Executed, Installed, Send
from pbft.core.ids import MILLISECOND, SECOND, Principal, ReplicaId
from pbft.core.messages import AnyMessage, Decision, Proposal
from pbft.core.records import AnyRecord
from pbft.core.replica import Replica
from pbft.core.wire import decode_signed
from pbft.testing.byzantine import Maker
from pbft.testing.casting import Casting
from pbft.testing.host import Driven, Host
from pbft.testing.plan import Plan, draw
from pbft.testing.simulator import Report, Simulation

LOST = -1
SCRIPTED = "scripted"
K, L, T = 8, 16, SECOND
Rule: TypeAlias = Callable[["Script", Principal, Principal, AnyMessage], int | None]


def calm(n: int = 4, seed: int = 5, *, operations: int = 30, **changes: Any) -> Plan:
    """Four replicas, small numbers, batches of one, and no fault of its own."""
    plan = draw(seed, n, 0)
    values = {
        "checkpoint_interval": K,
        "window": L,
        "pipeline": 4,
        "batch_max_requests": 1,
        "fast_reads": False,
        "inline_max_bytes": 8192,
        **changes,
    }
    return replace(
        plan,
        config=replace(plan.config, **values),
        loss=0.0,
        duplicates=0.0,
        delay_ns=10 * MILLISECOND,
        disk_delay_ns=MILLISECOND,
        gst_ns=SECOND,
        faulty_clients=0,
        operations=operations,
        partitions=[],
        crashes=[],
        stops=[],
        damages=[],
        losses=[],
    )


def seconds(value: float) -> int:
    """In nanoseconds."""
    return round(value * SECOND)


def place(message: AnyMessage) -> tuple[int, int]:
    """(view, number) of a proposal, vote or decision; (0, 0) of anything else."""
    inner: Any = message
    if isinstance(message, Proposal | Decision):
        inner = decode_signed(message.pre_prepare)
    return getattr(inner, "view", 0), getattr(inner, "sequence", 0)


class _Scripted(Casting):
    """Traitors, and parameters, that the script has."""

    def __init__(self, script: "Script", plan: Plan) -> None:
        self._script = script
        super().__init__(plan, script.subject, lambda: script.instant, lambda key: None)

    def _driven(self, number: ReplicaId, records: list[AnyRecord]) -> Driven:
        maker = self._script.makers.get(number)
        if maker is None:
            return super()._driven(number, records)
        return maker(self._core(number, records))

    def _core(self, number: ReplicaId, records: list[AnyRecord]) -> Replica:
        config = self._script.configs.get(number)
        if config is None:
            return super()._core(number, records)
        shared, self.plan = self.plan, replace(self.plan, config=config)
        try:
            return super()._core(number, records)
        finally:
            self.plan = shared


class Script(Simulation):
    """`configs`: where a replica's parameters are its own."""

    def __init__(
        self,
        plan: Plan,
        *,
        traitors: Mapping[ReplicaId, Maker] | None = None,
        network: Rule | None = None,
        configs: Mapping[ReplicaId, Configuration] | None = None,
    ) -> None:
        self.makers = dict(traitors or {})
        self.configs = dict(configs or {})
        self._rule = network
        self.happened: list[tuple[int, ReplicaId, Event]] = []
        self.sent_bytes: dict[Principal, int] = {}
        if traitors is not None:
            plan = replace(plan, traitors=dict.fromkeys(traitors, SCRIPTED))
        super().__init__(plan)
        self._told = self.checkers.happened
        self.checkers.happened = self._hear  # type: ignore[method-assign]

    def _hear(self, replica: ReplicaId, event: Event) -> None:
        self.happened.append((self.now, replica, event))
        self._told(replica, event)

    def cast(self, plan: Plan) -> Casting:
        return _Scripted(self, plan)

    def post(self, source: Principal, send: Send, node: Principal | None = None) -> None:
        for target in send.to:
            one = Send((target,), send.data, send.message)
            held = self._rule(self, source, target, send.message) if self._rule else None
            if held is None:
                self.arrives(source, one)
            elif held != LOST:
                self.at(self.now + held, lambda one=one: self.arrives(source, one))  # type: ignore[misc]

    def arrives(self, source: Principal, send: Send) -> None:
        """As the network has it, past the script."""
        self.sent_bytes[source] = self.sent_bytes.get(source, 0) + len(send.data)
        super().post(source, send)

    def crash(self, host: Host) -> None:
        """It dies here and now, if it runs."""
        self.misfortunes.crash(host)

    def restart(self, host: Host) -> None:
        """It begins again from its disk, if it is down and may."""
        self.misfortunes.restart(host)

    # -- judging it -------------------------------------------------------------------------

    def held(self, within: float = 60.0) -> Report:
        """Run it: nothing was violated, all was answered, no correct replica is blamed, and no
        answer took longer than `within` seconds."""
        report = self.run()
        assert (report.violations, report.finished) == ([], True)
        assert self.blamed() <= set(self.plan.traitors)
        assert report.longest_wait_ns <= seconds(within)
        return report

    @property
    def correct(self) -> list[Host]:
        return [host for host in self.hosts if host.correct]

    def blamed(self) -> set[ReplicaId]:
        """By whatever correct replica."""
        return {culprit for host in self.correct for culprit in host.replica.status().evidence}

    def kinds(self) -> set[str]:
        """Of evidence that correct replicas hold."""
        held = [host.replica.status().evidence for host in self.correct]
        return {kind for each in held for kinds in each.values() for kind in kinds}

    def views(self) -> set[int]:
        """Where correct replicas are."""
        return {host.replica.status().view for host in self.correct}

    def entered(self) -> list[int]:
        """The views that any correct replica entered, in order, each once."""
        found = [event.view for _, _, event in self.happened if isinstance(event, EnteredView)]
        return list(dict.fromkeys(found))

    def installed(self) -> list[ReplicaId]:
        """Who took over a state."""
        return [who for _, who, event in self.happened if isinstance(event, Installed)]

    def executed(self, replica: ReplicaId, until: int) -> int:
        """How far `replica` had executed at a time."""
        done = [
            event.sequence
            for at, who, event in self.happened
            if who == replica and at <= until and isinstance(event, Executed)
        ]
        return max(done, default=0)

    def drops(self, replica: ReplicaId) -> Mapping[str, int]:
        """What a replica dropped, by reason."""
        return self.hosts[replica].replica.status().drops
