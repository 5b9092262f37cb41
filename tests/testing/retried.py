"""A service of bytes that forgets, when it is restarted, which tokens it has seen: what a client
repeats to be safe is then counted once more there, and nowhere else."""

import random

from pbft.core.service import Context, State

BALANCE = b"balance"


class Ledger:
    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def open(self, state: State) -> None:
        self._state = state

    def execute(self, operation: bytes, context: Context) -> bytes:
        balance = int(self._state.get(BALANCE) or b"0")
        if operation not in self._seen:
            self._seen.add(operation)
            balance += 1
            self._state.put(BALANCE, b"%d" % balance)
        return b"%d" % balance

    @staticmethod
    def workload(rng: random.Random) -> bytes:
        return b"token %d" % rng.randrange(5)
