"""Locks with leases in agreed time. `RemoteLocks(client)` is the proxy.

A lease ends by itself, when the agreed time has passed it: nobody has to notice that its holder is
gone. The agreed time is proposed by the primary, and a Byzantine one may set it ahead by the
cluster's `clock_bound_ms`: a holder may then lose a lease that early, and the next may keep it for
that much longer, since agreed time waits for the clocks then. So every lease has a
*token*, larger than those of all earlier leases; whoever guards what the lock protects refuses
tokens smaller than the largest it has seen, and a late holder harms nobody.
"""

from msgspec import Struct

from pbft.core.errors import ApplicationError
from pbft.core.service import Context
from pbft.typed.maps import Map
from pbft.typed.methods import command, query
from pbft.typed.proxy import BlockingProxy, Proxy

MAX_SECONDS = 24 * 3600.0
SECOND = 1_000_000_000


class HeldError(ApplicationError):
    """Somebody else holds the lock. Arguments: its name, the holder, the seconds that are left."""


class LostError(ApplicationError):
    """This lease is over, or never was. Argument: the lock's name."""


class Lease(Struct, frozen=True, array_like=True):
    """`until`: agreed time, in nanoseconds of the wall clock."""

    name: str
    holder: str
    token: int
    until: int


class Locks:
    """By name; held by clients. Only who holds a lock can renew or release it."""

    def __init__(self) -> None:
        self.leases = Map(str, Lease)
        self.tokens = 0

    @command
    def acquire(self, context: Context, name: str, seconds: float = 10.0) -> Lease:
        """Hold the lock for so long. Its holder gets the same lease again, prolonged. Raises
        `HeldError`."""
        lease = self._current(context, name)
        if lease is not None and lease.holder != context.client:
            raise HeldError(name, lease.holder, (lease.until - context.time) / SECOND)
        if lease is None:
            self.tokens += 1
        token = self.tokens if lease is None else lease.token
        return self._hold(context, name, token, seconds)

    @command
    def renew(self, context: Context, name: str, token: int, seconds: float = 10.0) -> Lease:
        """Prolong a lease that is not over. Raises `LostError`."""
        self._own(context, name, token)
        return self._hold(context, name, token, seconds)

    @command
    def release(self, context: Context, name: str, token: int) -> None:
        """Give a lock back. Raises `LostError`."""
        self._own(context, name, token)
        del self.leases[name]

    @query
    def lease(self, name: str) -> Lease | None:
        """The newest lease that has not been given back; it may be over."""
        return self.leases.get(name)

    def _hold(self, context: Context, name: str, token: int, seconds: float) -> Lease:
        if not 0 < seconds <= MAX_SECONDS:
            raise ValueError(f"a lease is for more than 0 and at most {MAX_SECONDS:.0f} seconds")
        lease = Lease(name, context.client, token, context.time + round(seconds * SECOND))
        self.leases[name] = lease
        return lease

    def _own(self, context: Context, name: str, token: int) -> None:
        lease = self._current(context, name)
        if lease is None or (lease.holder, lease.token) != (context.client, token):
            raise LostError(name)

    def _current(self, context: Context, name: str) -> Lease | None:
        lease = self.leases.get(name)
        return lease if lease is not None and context.time < lease.until else None


class RemoteLocks(Proxy, Locks):
    """From asyncio."""


class BlockingLocks(BlockingProxy, Locks):
    """Without asyncio."""
