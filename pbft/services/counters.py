"""Counters by name. `RemoteCounters(client)` is the proxy."""

from pbft.typed.maps import Map
from pbft.typed.methods import command, query
from pbft.typed.proxy import BlockingProxy, Proxy


class Counters:
    """Each begins at 0."""

    def __init__(self) -> None:
        self.counters = Map(str, int)

    @command
    def add(self, name: str, amount: int = 1) -> int:
        """Add, or with a negative amount subtract; the new value."""
        self.counters[name] = value = self.counters.get(name, 0) + amount
        return value

    @command
    def reset(self, name: str) -> int:
        """Back to 0; the value before."""
        return self.counters.pop(name, 0)

    @query
    def value(self, name: str) -> int:
        """The value now."""
        return self.counters.get(name, 0)


class RemoteCounters(Proxy, Counters):
    """From asyncio."""


class BlockingCounters(BlockingProxy, Counters):
    """Without asyncio."""
