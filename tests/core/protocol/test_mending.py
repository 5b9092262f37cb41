"""What has rotted on the disk of a replica that runs is put on record again, or fetched."""

from pbft.core.effects import Damaged, Effects, Installed
from pbft.core.records import AnyRecord, Leaf, Settled
from tests.core.carry import transfer
from tests.core.lab import Lab
from tests.core.protocol.test_state_transfer import filled, make_stable, stored


def mend(lab: Lab, *lost: AnyRecord) -> Effects:
    """What the replica does when its disk has lost these records."""
    leaves = [record.digest for record in lost if isinstance(record, Leaf)]
    places = [record.path for record in lost if isinstance(record, Settled)]
    effects = lab.replica.mend(leaves, places, lab.instant)
    lab.records += effects.records
    return effects


def of(lab: Lab, kind: type[AnyRecord]) -> list[AnyRecord]:
    """All records of one type on its disk."""
    return [record for record in stored(lab.records) if isinstance(record, kind)]


def test_leaves_and_places_are_said_once_more_and_nothing_else_happens() -> None:
    lab = filled(2)
    lost = [of(lab, Leaf)[0], *of(lab, Settled)[1:3]]
    effects = mend(lab, *lost)
    assert effects.records == lost
    assert not effects.messages
    assert not effects.events


def test_a_leaf_of_a_later_snapshot_is_said_once_more() -> None:
    lab = filled(2)
    before = of(lab, Leaf)
    for sequence in range(9, 17):
        lab.settle(sequence)
    (lost, *_) = (record for record in of(lab, Leaf) if record not in before)
    assert mend(lab, lost).records == [lost]


def test_what_has_left_the_disk_meanwhile_does_not_come_back() -> None:
    """The tree before is still in memory, to be given to others."""
    lab = filled(2)
    before = stored(lab.records)
    for sequence in range(9, 17):
        lab.settle(sequence)
    make_stable(lab)
    after = stored(lab.records)
    gone = [each for each in before if isinstance(each, Leaf) and each not in after]
    assert gone
    assert mend(lab, *gone, Settled(b"\x0f\x0f", bytes(32))).records == []


def test_a_leaf_that_is_damaged_in_memory_as_well_is_fetched() -> None:
    ahead, lab = filled(1), filled(2)
    lost = of(lab, Leaf)[0]
    assert isinstance(lost, Leaf)
    for _, leaf in lab.replica._state.machine.tree.leaves():
        if leaf.data == lost.data:
            leaf.data = leaf.data[:-3] + b"???"
    before = len(lab.records)
    effects = mend(lab, lost)
    assert Damaged(8, 1) in effects.events
    assert lost not in effects.records
    assert any(isinstance(each, Installed) for each in transfer(ahead, lab))
    assert lost in lab.records[before:]
    lab.records = stored(lab.records)
    lab.restart()
    assert lab.service.operations == ahead.service.operations
