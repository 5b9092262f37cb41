"""Who waits, in order of arrival here (T37, T55).

A request waits under (client, timestamp); of several bodies under one key the first is kept, and
whatever executes under that key ends the wait (T31). Re-sending refreshes nothing, and one
client's waiting requests are bounded, so no load of others' evicts the oldest.
"""

from dataclasses import dataclass, field

from pbft.core.ids import ClientId, Digest, Principal, RequestKey, Timestamp
from pbft.core.messages import Read, Request, Signed

REQUESTS_PER_CLIENT = 8
"""Twice as many as a client of this library has under way: each carries any number of
operations."""


@dataclass(slots=True)
class Requests:
    """`waiting` is ordered by arrival. `unproposed` is what we, as primary, have not assigned a
    sequence number in this view; `unforwarded` what we, as backup, have not passed on."""

    waiting: dict[RequestKey, Signed[Request]] = field(default_factory=dict)
    arrived: dict[RequestKey, int] = field(default_factory=dict)
    """When each came here (monotonic ns)."""
    due: dict[RequestKey, int] = field(default_factory=dict)
    """Since when the primary of this view could have proposed it, as far as we can tell; in order
    of that time."""
    served: list[tuple[ClientId, int]] = field(default_factory=list)
    """(client, since when it was due) of what has executed in this turn; not of large requests,
    whose way here and to the primary takes its own time."""
    by_client: dict[ClientId, dict[Timestamp, int]] = field(default_factory=dict)
    """The size of each waiting request."""
    large: dict[Digest, Signed[Request]] = field(default_factory=dict)
    names: dict[RequestKey, Digest] = field(default_factory=dict)
    """Waiting requests that batches name by digest, in both directions."""
    lent: dict[tuple[ClientId, Principal], RequestKey] = field(default_factory=dict)
    """What a replica has passed on of a client beyond its bytes, one at a time."""
    unproposed: dict[RequestKey, Signed[Request]] = field(default_factory=dict)
    unforwarded: dict[RequestKey, Signed[Request]] = field(default_factory=dict)
    retried: dict[RequestKey, bool] = field(default_factory=dict)
    """Executed requests whose reply was asked for again; whether by the client itself."""
    closed: list[Signed[Request]] = field(default_factory=list)
    """Requests below their client's floor that it asks for: what became of them is forgotten."""
    attests: set[RequestKey] = field(default_factory=set)
    """Whose receipts were asked for in this turn."""
    reads: dict[ClientId, list[Read]] = field(default_factory=dict)
    """Fast reads to be answered at the end of this turn."""

    def greedy(self, client: ClientId) -> bool:
        """Whether a client asks for more than any client of this library does. Its requests are
        executed when there is nothing else to do, and nobody is blamed for what they wait: which
        of them a replica has room for differs from replica to replica (FL5)."""
        return len(self.by_client.get(client, ())) > REQUESTS_PER_CLIENT

    def oldest(self) -> RequestKey | None:
        """The request that has waited longest, of clients that are not greedy."""
        return next((key for key in self.waiting if not self.greedy(key[0])), None)

    def expect(self, key: RequestKey, now: int) -> None:
        """From now on, unless before, whoever lets `key` wait is to blame (`performance`)."""
        if not self.greedy(key[0]):
            self.due.setdefault(key, now)

    def add(
        self,
        request: Signed[Request],
        per_client: int,
        max_bytes: int,
        name: Digest | None = None,
        now: int = 0,
        peer: Principal = "",
    ) -> bool:
        """Let `request` wait, a large one under its name too; false where its client has
        `per_client` waiting already, or `max_bytes`. One that a replica passes on has room beyond:
        a client could else keep its room full here, and have us blamed for what others hold."""
        key, size = (request.message.client, request.message.timestamp), len(request.raw)
        sizes = self.by_client.setdefault(key[0], {})
        full = sum(sizes.values()) + size > max_bytes
        lent = self.lent.get((key[0], peer)) in self.waiting
        if len(sizes) >= per_client or (full and (lent or not isinstance(peer, int))):
            return False
        if full:
            self.lent[key[0], peer] = key
        sizes[key[1]] = size
        if len(sizes) == REQUESTS_PER_CLIENT + 1:  # greedy from now on: nobody is to blame
            self.due = {each: since for each, since in self.due.items() if each[0] != key[0]}
        if name is not None:
            self.large[name], self.names[key] = request, name
        self.waiting[key] = request
        self.arrived[key] = now
        self.unproposed[key] = request
        self.unforwarded[key] = request
        return True

    def drop(self, key: RequestKey) -> None:
        """End the wait under `key`: it executed, or never can."""
        self.unproposed.pop(key, None)
        if self.waiting.pop(key, None) is not None:
            since = self.due.pop(key, None)
            if since is not None and key not in self.names:
                self.served.append((key[0], since))
            del self.by_client[key[0]][key[1]]
            del self.arrived[key]
            self.large.pop(self.names.pop(key, b""), None)
            self.unforwarded.pop(key, None)

    def drop_below(self, client: ClientId, floor: Timestamp) -> None:
        """End the wait of everything at or below a session's floor (T55)."""
        for timestamp in [t for t in self.by_client.get(client, ()) if t <= floor]:
            self.drop((client, timestamp))

    def wait_anew(self) -> None:
        """Nothing is due: a primary is judged only by what it could have done (T25)."""
        self.due, self.served = {}, []

    def start_view(self) -> None:
        """Nothing that waits has been proposed or forwarded in a new view, or is due there."""
        self.wait_anew()
        self.unproposed = dict(self.waiting)
        self.unforwarded = dict(self.waiting)
