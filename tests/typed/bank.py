"""A service as a user would write one, and its proxies."""

from typing import Annotated

from pbft import (
    ApplicationError,
    BlockingProxy,
    Context,
    Map,
    Proxy,
    Since,
    command,
    query,
)


class InsufficientError(ApplicationError):
    """The text, and what there is."""


class Bank:
    version = 2
    tags: set[str]
    fee: Annotated[int, Since(2)]

    def __init__(self) -> None:
        self.accounts = Map(str, int)
        self.transfers = 0
        self.tags = set()
        self.fee = 0

    @command
    def deposit(self, name: str, amount: int = 1) -> int:
        """Add to an account; its balance."""
        self.accounts[name] = self.accounts.get(name, 0) + amount
        return self.accounts[name]

    @command
    def transfer(self, source: str, target: str, amount: int) -> None:
        self.deposit(target, amount)
        self.transfers += 1
        self.tags.add(source)
        balance = self.accounts.get(source, 0)
        if balance < amount:
            raise InsufficientError("too little", balance)
        self.accounts[source] = balance - amount

    @command(name="transfer", since=2)
    def transfer_with_fee(self, source: str, target: str, amount: int) -> None:
        self.fee += 1
        self.deposit(target, amount)
        self.accounts[source] -= amount + 1

    @command
    def stamp(self, context: Context, note: str) -> tuple[str, int, bytes]:
        return f"{context.client}: {note}", context.time, context.seed

    @query
    def balance(self, name: str) -> int:
        return self.accounts[name]

    @query
    def total(self) -> int:
        return sum(self.accounts.values())

    @query
    def cheat(self) -> int:
        self.transfers += 1
        return self.transfers


class RemoteBank(Proxy, Bank):
    pass


class BlockingBank(BlockingProxy, Bank):
    pass
