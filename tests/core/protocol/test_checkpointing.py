"""What a checkpoint costs is what changed since the last one; and whose votes make it stable."""

import pytest

from pbft.core.effects import TransferStarted
from pbft.core.messages import Checkpoint, StableProof
from pbft.core.protocol import checkpointing
from pbft.core.records import Leaf, Snapshotted, Stabilised
from pbft.core.service import Context, State
from pbft.core.state.checkpoints import Checkpoints, OwnCheckpoint
from pbft.core.turn import Turn
from pbft.core.verified import StableCheckpoint
from pbft.crypto.trie import Snapshot
from tests.core.lab import Journal, Lab, of_type


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


def test_a_leaf_that_a_later_snapshot_has_again_stays_on_the_disk() -> None:
    """At 8 a value is replaced, at 16 it is back; then 8 alone becomes stable (T52)."""
    one, other, path = b"1" * 32, b"2" * 32, b"\x00"
    snapshot = Snapshot(None)
    steps = [OwnCheckpoint(8, snapshot, ((path, other),), ((path, one),))]
    later = [OwnCheckpoint(16, snapshot, ((path, one),), ((path, other),))]
    stable = StableCheckpoint(8, snapshot.digest, ())
    assert checkpointing._folded(Checkpoints(), stable, steps, later).dropped == ()
    assert checkpointing._folded(Checkpoints(), stable, steps, []).dropped == (one,)


def test_a_checkpoint_is_certified_though_an_earlier_one_is_known_to_be() -> None:
    """Votes for what is certified stay until it is stable here: they must hide no later ones."""
    lab = Lab(me=1)
    lab.feed(StableProof(lab.proof(8, b"8" * 32, (0, 2, 3))))
    lab.feed(*(lab.checkpoint(by, 8, b"8" * 32) for by in (0, 2)))
    lab.feed(*(lab.checkpoint(by, 16, b"6" * 32) for by in (0, 2, 3)))
    assert TransferStarted(16) in lab.idle(0.3).events


def test_of_votes_beyond_the_window_the_newest_are_kept() -> None:
    """However far the others are by the time we hear of it (CP9)."""
    lab = Lab(me=1)
    for by in (0, 2, 3):
        lab.feed(*(lab.checkpoint(by, at, b"%8d" % at * 4) for at in range(40, 80, 8)), peer=by)
    assert TransferStarted(72) in lab.idle(0.3).events


@pytest.mark.scenario("T35")
def test_no_checkpoint_is_cast_before_the_replica_may_vote() -> None:
    lab = Lab(me=1)
    lab.settle_until(8)
    lab.sent.clear()
    lab.reboot()
    lab.idle(1.0)
    assert not [each for each in lab.sent if isinstance(each, Checkpoint)]
    assert len(of_type(lab.clear(), Checkpoint)) == 1


def test_the_first_vote_for_a_number_is_the_one_that_is_remembered() -> None:
    """A state is given up twice: what the second one said at 16 was never voted for."""
    lab = Lab(me=1)
    lab.settle_until(8)
    state, turn = lab.replica._state, Turn(lab.instant, (0, 2, 3))
    at_8 = state.checkpoints.own[8].snapshot
    lab.settle_until(16, first=9)
    state.checkpoints.abandoned = {16: b"voted for" + bytes(23)}
    stable = StableCheckpoint(8, at_8.digest, lab.proof(8, at_8.digest, (0, 2, 3)))
    checkpointing.adopt(state, turn, stable, at_8)
    assert state.checkpoints.abandoned == {16: b"voted for" + bytes(23)}
    (stabilised,) = [each for each in turn.effects.records if isinstance(each, Stabilised)]
    assert stabilised.abandoned == ((16, b"voted for" + bytes(23)),)
