"""The account of real clients finds what a cluster must not do, and is silent about one that works.

The clusters here are dictionaries with a fault."""

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from pbft.client import Client
from pbft.core.errors import PbftError, UnansweredError
from pbft.core.service import Context
from pbft.core.state.machine import Machine as Replicated
from pbft.core.status import ReplicaStatus
from pbft.services.kv import KeyValueService
from pbft.testing.cluster.account import Account, Worker, until_level

STEPS = 200
Fault = Callable[["Machine", bytes, int], None]


class Machine:
    """One server, with a fault after each operation."""

    def __init__(self, fault: Fault) -> None:
        self.service = Replicated(KeyValueService())
        self.history: list[bytes] = []
        self._fault = fault

    async def call(self, operation: bytes, *, timeout: float | None = None) -> bytes:
        answer = self.execute(operation)
        self.history.append(operation)
        self._fault(self, operation, len(self.history))
        return answer

    async def read(self, operation: bytes, *, timeout: float | None = None) -> bytes:
        return await self.call(operation, timeout=timeout)

    def execute(self, operation: bytes) -> bytes:
        return self.service.execute(operation, Context("anybody", 1, 0))


def none(machine: Machine, operation: bytes, number: int) -> None:
    """A server that works."""


def twice(machine: Machine, operation: bytes, number: int) -> None:
    """An operation of long ago takes effect again."""
    if number % 20 == 0:
        machine.execute(machine.history[number - 8])


def restored(machine: Machine, operation: bytes, number: int) -> None:
    """The last acknowledged operations are forgotten, once and at the very end."""
    if number == STEPS:
        machine.service = Replicated(KeyValueService())
        for each in machine.history[:-20]:
            machine.execute(each)


def silent(machine: Machine, operation: bytes, number: int) -> None:
    if number == 50:
        raise UnansweredError("nobody answers")


def account_of(fault: Fault) -> Account:
    account = Account()
    worker = Worker(cast(Client, Machine(fault)), "worker", account)

    async def main() -> None:
        for _ in range(STEPS):
            if not worker.stopping:
                await worker.step()
        await worker.read_back()

    asyncio.run(main())
    return account


def test_a_server_that_works_gives_no_complaint() -> None:
    account = account_of(none)
    assert account.complaints == []
    assert len(account.answered_at) == STEPS + 1


@pytest.mark.parametrize(
    ("fault", "kind"), [(twice, "results"), (restored, "results"), (silent, "no answer")]
)
def test_each_fault_is_complained_about(fault: Fault, kind: str) -> None:
    complaints = account_of(fault).complaints
    assert complaints
    assert complaints[0].startswith(kind)


def status(**changes: object) -> ReplicaStatus:
    whole: dict[str, object] = {
        "replica": 0, "view": 1, "active": True, "voting": True, "primary": 1, "low_watermark": 8,
        "high_watermark": 40, "executed": 9, "waiting": 0, "transferring": False,
        "state_digest_at": 8, "state_digest": bytes(32), "checkpoints": {8: bytes(32)},
        "drops": {}, "evidence": {},
    }  # fmt: skip
    return ReplicaStatus(**(whole | changes))  # type: ignore[arg-type]


class Asked:
    def __init__(self, *statuses: ReplicaStatus) -> None:
        self._statuses = statuses

    async def status(self, replica: int, *, timeout: float) -> object:
        return type("Report", (), {"status": self._statuses[replica]})


def asked(second: ReplicaStatus) -> list[ReplicaStatus]:
    return asyncio.run(until_level(cast(Client, Asked(status(), second)), (0, 1), 0.2))


def test_level_replicas_are_found_level() -> None:
    assert asked(status(replica=1, checkpoints={}))[1].replica == 1


@pytest.mark.parametrize(
    "changes", [{"view": 2}, {"executed": 10}, {"active": False}, {"voting": False}]
)
def test_replicas_that_differ_are_not_level(changes: dict[str, object]) -> None:
    with pytest.raises(PbftError, match="not level"):
        asked(status(**changes))


def test_two_states_at_one_checkpoint_are_an_error_at_once() -> None:
    with pytest.raises(PbftError, match="2 states at checkpoint 8"):
        asked(status(checkpoints={8: b"x" * 32}))
