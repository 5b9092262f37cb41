"""An oracle that looks at one replica in a test's hand: no simulation, and every defect at will."""

from types import SimpleNamespace
from typing import Any

from pbft.core.authentication import Authentication
from pbft.core.effects import Effects, Event, Send
from pbft.core.ids import Packet, Principal
from pbft.core.messages import LinkMessage, Signable, Signed
from pbft.core.state.replica_state import ReplicaState
from pbft.core.wire import encode_link
from pbft.testing.observers import Observer
from tests.core.lab import Lab


class Watched:
    """`said`: the complaints so far. All but `liars` are correct."""

    def __init__(self, oracle: Observer, lab: Lab, liars: tuple[int, ...] = (3,)) -> None:
        self.lab = lab
        self.oracle: Any = oracle
        self.said: list[str] = []
        oracle.complain = self.said.append
        hosts = [
            SimpleNamespace(number=r, correct=r not in liars, up=False) for r in range(lab.config.n)
        ]
        self.host: Any = hosts[lab.me]
        self.host.__dict__.update(up=True, life=0, inbox=[], replica=lab.replica)
        self.host.durable_until = 0
        judge = Authentication(lab.config.cluster_id, lab.keys[0], lab.verifier)
        stage: Any = SimpleNamespace(
            plan=SimpleNamespace(config=lab.config),
            checkers=SimpleNamespace(judge=judge),
            hosts=hosts,
            instant=lab.instant,
        )
        self.oracle.begin(stage)
        self.turn()

    @property
    def state(self) -> ReplicaState:
        """Of the replica: a test breaks it as it likes."""
        return self.lab.replica._state

    def turn(self, *events: Event) -> list[str]:
        """The oracle sees a turn with these events; what it says of that."""
        return self.over(Effects(events=list(events)))

    def over(self, effects: Effects) -> list[str]:
        """The oracle sees a turn with these effects; what it says of that."""
        before = len(self.said)
        self.oracle.turned(self.lab.now, self.host, effects)
        return self.said[before:]

    def send(self, source: Principal, *messages: Signed[Signable] | LinkMessage) -> None:
        """They are posted and arrive, and the replica has not looked at them yet."""
        for each in messages:
            signed = isinstance(each, Signed)
            data = each.raw if isinstance(each, Signed) else encode_link(each)
            message: Any = each.message if signed else each  # type: ignore[union-attr]
            self.oracle.posted(0, source, Send((self.lab.me,), data, message), [0])
            self.oracle.arrived(0, self.host, Packet(source, data))

    def hear(self, source: int, *messages: Signed[Signable] | LinkMessage) -> list[str]:
        """They arrive, and the replica does with them what it does."""
        self.send(source, *messages)
        return self.over(self.lab.feed(*messages, peer=source))
