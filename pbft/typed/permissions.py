"""What each client may call, by the names of commands and queries: judged when an operation
executes, equally at every replica, and as well when it is read outside the order.

The cluster file says it of its clients. A guest may call what its ticket names and its admitter may
call, until the agreed time of its ticket: so no ticket is worth more than its admitter's own name.

"*" stands for all that a service does, and not for switching its version: a replica whose code does
not have the new one stops, so that is for whom the file names with it.
"""

from collections.abc import Collection, Mapping
from difflib import get_close_matches

from pbft.core.errors import ConfigurationError, NotPermittedError
from pbft.core.ids import ClientId, admitter
from pbft.core.service import Context
from pbft.typed.methods import UPGRADE, parse_operation
from pbft.typed.refusals import refusal

ANYTHING = "*"
"""Among what a client may call: everything but `UPGRADE`."""
UNNAMED = (
    ': "*" does not stand for it, `may` has to name it: write it there, in the cluster.toml of'
    " everybody, and start everything again"
)
NOTHING: tuple[str, ...] = ()


class Permissions:
    """A core `Guard`. `permitted`: by client, the names that it may call; a client that is not in
    it may call nothing. The operations of a service without `named` methods have no names: who may
    not call everything there may call nothing."""

    def __init__(
        self, permitted: Mapping[ClientId, Collection[str]], *, named: bool = True
    ) -> None:
        self._permitted = permitted
        self._unlimited = {client for client, may in permitted.items() if ANYTHING in may}
        self._named = named

    def __call__(self, operation: bytes, context: Context) -> None:
        """Raises `Refusal`, which carries what is wrong to the caller."""
        upgrade = self._named and UPGRADE.encode() in operation  # a name stands in it as it is
        if context.ticket is None and context.client in self._unlimited and not upgrade:
            return
        try:
            self._check(operation, context)
        except Exception as error:
            raise refusal(error) from error

    def _check(self, operation: bytes, context: Context) -> None:
        ticket = context.ticket
        if ticket is not None and 0 < ticket.until <= context.time:
            raise NotPermittedError(
                f"the ticket of {context.client} has run out: {ticket.admitter} can give it another"
            )
        sets = [self._permitted.get(admitter(context.client), NOTHING)]
        if ticket is not None:
            sets.append(ticket.may)
        if not self._named:
            if all(ANYTHING in each for each in sets):
                return
            raise NotPermittedError(
                f"{context.client} may call some commands only, and this service's have no names"
            )
        name, _ = parse_operation(operation)
        if not all(covers(each, name) for each in sets):
            advice = UNNAMED if name == UPGRADE else ""
            raise NotPermittedError(f"{context.client} may not call {name}{advice}")


def covers(may: Collection[str], name: str) -> bool:
    """Whether who may call `may` may call `name`."""
    return name in may or (ANYTHING in may and name != UPGRADE)


def judge_names(permitted: Mapping[ClientId, Collection[str]], names: Collection[str]) -> None:
    """`judge_may` for the clients of a cluster file."""
    for client, may in sorted(permitted.items()):
        judge_may(f"may of {client}", may, names)


def judge_may(whose: str, may: Collection[str], names: Collection[str]) -> None:
    """Whether the service has what somebody may call; `names`: all that it answers to. Raises
    `ConfigurationError`: a misspelt name would lock a client out without a word."""
    for name in sorted({*may} - {*names, ANYTHING}):
        close = get_close_matches(name, names, 1)
        advice = f"did you mean {close[0]}? It has" if close else "it has"
        raise ConfigurationError(
            f"{whose} names {name}, which the service does not have: {advice}"
            f" {', '.join(sorted(names))}"
        )
