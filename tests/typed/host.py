"""A service hosted by itself, without a network: the machine of the core around it."""

from typing import Any

import msgspec

from pbft.core.errors import Refusal, RejectedError
from pbft.core.service import Context
from pbft.core.state.machine import Machine
from pbft.crypto.trie import Snapshot
from pbft.typed.events import EVENTS, Event, Page
from pbft.typed.hosting import Hosted
from pbft.typed.methods import Method, operation
from pbft.typed.permissions import Permissions
from pbft.typed.refusals import restored


class Host:
    """Calls by method, as a proxy makes them; what is raised is what a caller would see."""

    def __init__(self, target: object, **permitted: tuple[str, ...]) -> None:
        self.target = target
        self.hosted = Hosted(target)
        self.machine = Machine(self.hosted, Permissions(permitted) if permitted else None)
        self.sequence = 0

    def call(self, method: Method[..., Any], *args: Any, client: str = "alice") -> Any:
        return method.result.decode(self.raw(method.pack(args, {}), client), "result")

    def raw(self, data: bytes, client: str = "alice") -> bytes:
        self.sequence += 1
        context = Context(client, self.sequence, 1000 * self.sequence, self.sequence)
        try:
            return self.machine.execute(data, context)
        except Refusal as error:
            raise restored(RejectedError(str(error)), type(self.target).__module__) from None

    def ask(self, method: Method[..., Any], *args: Any) -> Any:
        try:
            return method.result.decode(self.machine.query(method.pack(args, {})), "result")
        except Refusal as error:
            raise restored(RejectedError(str(error)), type(self.target).__module__) from None

    def events(self, after: int = 0) -> list[Event]:
        """Those above `after`, as a reader is given them."""
        packed = [msgspec.msgpack.encode(each) for each in (after, 0, 256)]
        data = self.machine.query(operation(EVENTS, packed))
        return msgspec.msgpack.decode(data, type=Page).events

    def upgrade(self, version: int) -> None:
        self.raw(operation("pbft.upgrade", [msgspec.msgpack.encode(version)]))

    @property
    def digest(self) -> bytes:
        return self.machine.tree.digest

    def freeze(self) -> Snapshot:
        return self.machine.tree.freeze()


def moved(host: Host, target: object) -> Host:
    """Another replica that gets the state by transfer."""
    other = Host(target)
    other.machine.install(host.freeze())
    other.sequence = host.sequence
    return other
