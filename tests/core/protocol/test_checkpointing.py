"""What a checkpoint costs is what changed since the last one."""

import pytest

from pbft.core.records import Leaf, Snapshotted
from pbft.core.service import Context, State
from tests.core.lab import Journal, Lab


class Table(Journal):
    """The first operation writes as many entries as it says; each later one writes one of them."""

    def open(self, state: State) -> None:
        super().open(state)
        self.keys = len(state)

    def execute(self, operation: bytes, context: Context) -> bytes:
        if not self.keys:
            self.keys = int(operation)
            for number in range(self.keys):
                self.state.put(b"%d" % number, bytes(50))
        self.state.put(b"%d" % (int(operation) * 7919 % self.keys), b"%d" % context.sequence)
        return b""


@pytest.mark.scenario("T52")
@pytest.mark.parametrize("keys", [1_000, 30_000])
def test_the_leaves_of_a_checkpoint_are_those_that_were_written(keys: int) -> None:
    """40 writes touch 40 leaves at most, and the client table a few, whatever else there is."""
    lab = Lab(me=1)
    lab.service = Table()
    lab.replica = lab._boot()
    lab.settle(1, batch=lab.batch(lab.request(1, b"%d" % keys)))
    for sequence in range(2, 17):
        writes = (b"%d" % (sequence * 100 + number) for number in range(5))
        before = len(lab.records)
        lab.settle(sequence, batch=lab.batch(lab.request(sequence, *writes)))
    leaves = [record for record in lab.records[before:] if isinstance(record, Leaf)]
    (snapshot,) = [each for each in lab.records[before:] if isinstance(each, Snapshotted)]
    assert snapshot.sequence == 16
    assert len(leaves) == len(snapshot.placed)
    assert 30 < len(leaves) <= 40 + 16
    everything = sum(1 for _ in lab.replica._state.machine.tree.leaves())
    assert everything > keys // 32
