"""Leader election with fencing tokens. `RemoteElections(client)` is the proxy.

Whoever campaigns while there is no leader becomes it, for a *term* that ends by itself unless it is
prolonged in time. Terms are numbered; the number is the fencing token, see `locks`.
"""

from msgspec import Struct

from pbft.core.errors import ApplicationError
from pbft.core.service import Context
from pbft.services.locks import MAX_SECONDS, SECOND
from pbft.typed.events import emit
from pbft.typed.maps import Map
from pbft.typed.methods import command, query
from pbft.typed.proxy import BlockingProxy, Proxy


class NotLeaderError(ApplicationError):
    """The caller does not lead in this term. Arguments: the election, the term."""


class Term(Struct, frozen=True, array_like=True):
    """Who leads until when (agreed time, ns); `number` grows with every change of the leader."""

    election: str
    leader: str
    number: int
    until: int


class Elections:
    """By name. Each change of a leader is an event of the topic `election`."""

    def __init__(self) -> None:
        self.terms = Map(str, Term)

    @command
    def campaign(self, context: Context, election: str, seconds: float = 10.0) -> Term:
        """The term under way: the caller's, where nobody else leads now; it is prolonged."""
        if not 0 < seconds <= MAX_SECONDS:
            raise ValueError(f"a term is for more than 0 and at most {MAX_SECONDS:.0f} seconds")
        term = self.terms.get(election)
        over = term is None or context.time >= term.until
        if term is not None and not over and term.leader != context.client:
            return term
        fresh = term is None or over
        number = (0 if term is None else term.number) + (1 if fresh else 0)
        until = context.time + round(seconds * SECOND)
        self.terms[election] = mine = Term(election, context.client, number, until)
        if fresh:
            emit("election", [election, context.client, number])
        return mine

    @command
    def resign(self, context: Context, election: str, number: int) -> None:
        """End the caller's own term now. Raises `NotLeaderError`."""
        term = self.terms.get(election)
        if term is None or (term.leader, term.number) != (context.client, number):
            raise NotLeaderError(election, number)
        self.terms[election] = Term(election, term.leader, number, context.time)

    @query
    def term(self, election: str) -> Term | None:
        """The newest term; it may be over."""
        return self.terms.get(election)


class RemoteElections(Proxy, Elections):
    """From asyncio."""


class BlockingElections(BlockingProxy, Elections):
    """Without asyncio."""
