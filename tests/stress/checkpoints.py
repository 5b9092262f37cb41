"""What a checkpoint costs, by size of state: `python -m tests.stress.checkpoints [KEYS ...]`.

One replica's core, with the votes of three others made by hand, executes 1,000 puts of 100-byte
values under random keys between two checkpoints: K = 8 batches of 125, once as one request each,
once as 125 requests of 25 clients. Timed are the rule that takes a checkpoint (digests, leaves that
differ, their records, a few leaves checked again, the signature), the encoding of those records by
the driver, and the rule that makes the checkpoint stable; in processor time, so that whatever else
the machine does is not in it.
"""

import random
import resource
import statistics
import sys
import time
from collections.abc import Callable

import pbft.core.replica as core
from pbft.core.protocol import checkpointing
from pbft.core.records import Leaf, Snapshotted
from pbft.core.service import Context
from pbft.core.state.machine import Machine
from pbft.core.state.replica_state import ReplicaState
from pbft.core.turn import Turn
from pbft.journal import writes
from pbft.services.kv import KeyValueService, Put, encode
from tests.core import lab as labs
from tests.core.lab import Lab

SIZES = (1_000, 100_000, 1_000_000)
CHECKPOINTS = 20
WRITES = 1_000
K = 8
VALUE_BYTES = 100
CLIENTS = tuple(f"client-{number}" for number in range(25))
Rule = Callable[[ReplicaState, Turn], bool]


class Timed:
    """A rule, and how long it took whenever it acted (ms)."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.took: list[float] = []

    def __call__(self, state: ReplicaState, turn: Turn) -> bool:
        begin = time.process_time()
        acted = self.rule(state, turn)
        if acted:
            self.took.append((time.process_time() - begin) * 1e3)
        return acted


class Scene:
    """A replica whose key-value service holds `keys` keys."""

    def __init__(self, keys: int) -> None:
        self.keys = keys
        self.dice = random.Random(keys)
        self.lab = Lab(me=1)
        self.lab.replica._state.machine = Machine(KeyValueService())
        self.sequence = 0
        self.timestamp = 0
        execute = self.lab.replica._state.machine.execute
        for number in range(keys):
            execute(self.put(number), Context("client-0", 0, 0))

    def put(self, number: int) -> bytes:
        return encode(Put(b"key-%010d" % number, self.dice.randbytes(VALUE_BYTES)))

    def round(self, per_request: int) -> float:
        """Up to the next stable checkpoint; how long encoding its records took (ms)."""
        for _ in range(K):
            self.sequence += 1
            requests = []
            for number in range(WRITES // K // per_request):
                self.timestamp += 1
                puts = [self.put(self.dice.randrange(self.keys)) for _ in range(per_request)]
                client = CLIENTS[number % len(CLIENTS)]
                requests.append(self.lab.request(self.timestamp, *puts, client=client))
            self.lab.settle(self.sequence, batch=self.lab.batch(*requests))
        begin = time.process_time()
        for record in self.lab.records:
            if isinstance(record, Leaf | Snapshotted):
                list(writes(record))
        encoding = (time.process_time() - begin) * 1e3
        self.lab.records.clear()
        self.lab.sent.clear()
        root = self.lab.replica.status().state_digest
        self.lab.feed(*(self.lab.checkpoint(by, self.sequence, root) for by in (0, 2)))
        return encoding


def measure(keys: int) -> None:
    """Both ways of writing, at one size."""
    begin = time.perf_counter()
    scene = Scene(keys)
    filled = time.perf_counter() - begin
    for per_request in (WRITES // K, 1):
        scene.round(per_request)
        take, stabilise = Timed(checkpointing.take), Timed(checkpointing.stabilise)
        swap: dict[Rule, Rule] = {checkpointing.take: take, checkpointing.stabilise: stabilise}
        rules = core.RULES
        core.RULES = tuple(swap.get(rule, rule) for rule in rules)
        encodings = [scene.round(per_request) for _ in range(CHECKPOINTS)]
        core.RULES = rules
        print(
            f"{keys:>9,} keys, {WRITES // per_request:>5,} requests:"
            f" taking {statistics.median(take.took):5.1f} ms (max {max(take.took):5.1f}),"
            f" encoding {statistics.median(encodings):4.1f} ms,"
            f" stable {statistics.median(stabilise.took):4.1f} ms"
        )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{keys:>9,} keys: filled in {filled:.1f} s, at most {memory:,.0f} MiB resident so far")


def main() -> None:
    """Sizes as arguments, or the three of the promise."""
    labs.CLIENTS = CLIENTS
    for keys in [int(each) for each in sys.argv[1:]] or SIZES:
        measure(keys)


if __name__ == "__main__":
    main()
