"""What the simulator's disk keeps at a crash, and which damage it notices."""

import random

import pytest

from pbft.core.records import (
    Acknowledged,
    AnyRecord,
    Began,
    Leaf,
    Recovering,
    Snapshotted,
    Stabilised,
)
from pbft.testing.disk import Disk, DiskDamagedError, Harm


def snapshot(sequence: int) -> Snapshotted:
    return Snapshotted(sequence, bytes(32), ((b"%d" % sequence, bytes(32)),), ())


def filled(seed: int = 0) -> Disk:
    disk = Disk(random.Random(seed))
    disk.write([Began(), snapshot(4)])
    disk.write([Acknowledged(4)])
    disk.sync(disk.write([Acknowledged(5)]))
    return disk


def test_what_is_synced_survives_every_crash() -> None:
    for seed in range(50):
        disk = filled(seed)
        disk.crash()
        assert disk.read() == [Began(), snapshot(4), Acknowledged(5)]


def test_what_is_not_synced_survives_as_a_prefix_of_whole_transactions() -> None:
    left = set()
    for seed in range(300):
        disk = Disk(random.Random(seed))
        disk.sync(disk.write([Began()]))
        for sequence in (1, 2, 3):
            disk.write([snapshot(sequence), Acknowledged(sequence)])
        disk.crash()
        records: list[AnyRecord] = disk.read()
        count = len(records) - 2 if len(records) > 1 else 0
        kept: list[AnyRecord] = [snapshot(each) for each in range(1, count + 1)]
        assert records == [Began(), *kept, *([Acknowledged(count)] if count else [])]
        left.add(count)
    assert left == {0, 1, 2, 3}


def test_a_crash_does_not_disturb_what_is_written_later() -> None:
    for seed in range(50):
        disk = Disk(random.Random(seed))
        disk.write([snapshot(1)])
        disk.write([snapshot(2)])
        disk.crash()
        disk.sync(disk.write([snapshot(8), Stabilised(8, (), superseded=8)]))
        disk.crash()
        assert disk.read() == [Stabilised(8, ())]


def test_a_sync_covers_all_earlier_transactions_and_no_later_one() -> None:
    lost = 0
    for seed in range(50):
        disk = Disk(random.Random(seed))
        disk.write([snapshot(1)])
        disk.sync(disk.write([snapshot(2)]))
        disk.write([snapshot(3)])
        disk.crash()
        assert disk.read()[:2] == [snapshot(1), snapshot(2)]
        lost += len(disk.read()) == 2
    assert 0 < lost < 50


@pytest.mark.parametrize("harm", [Harm.ROT, Harm.MISDIRECTED, Harm.STALE])
def test_damage_is_noticed(harm: Harm) -> None:
    for seed in range(50):
        disk = filled(seed)
        assert disk.damage(harm)
        with pytest.raises(DiskDamagedError, match="recover this replica"):
            disk.read()


def test_a_missing_file_is_an_empty_disk() -> None:
    disk = filled()
    assert disk.damage(Harm.MISSING)
    assert disk.read() == []


def test_a_leaf_that_rots_is_left_out_until_it_is_written_again() -> None:
    disk = filled()
    assert not disk.damage(Harm.LEAF)
    leaves: list[AnyRecord] = [Leaf(bytes([at]) * 32, b"leaf") for at in range(3)]
    disk.sync(disk.write(leaves))
    whole = disk.read()
    assert disk.damage(Harm.LEAF)
    left = disk.read()
    (lost,) = [each for each in whole if each not in left]
    assert lost in leaves
    disk.sync(disk.write([lost]))
    assert disk.read() == whole


def test_an_empty_disk_cannot_be_harmed() -> None:
    assert not any(Disk(random.Random(0)).damage(harm) for harm in Harm)


def test_a_copy_put_back_is_whole_and_old_and_recovery_leaves_one_record() -> None:
    disk = Disk(random.Random(1))
    disk.sync(disk.write([Began()]))
    copy = disk.copy()
    disk.sync(disk.write([Acknowledged(5)]))
    disk.write([Acknowledged(6)])
    disk.put_back(copy)
    assert disk.read() == [Began()]
    disk.sync(disk.write([Acknowledged(7)]))
    disk.crash()
    assert disk.read() == [Began(), Acknowledged(7)]
    disk.put_back(None)
    assert disk.read() == []
    disk.forget()
    assert disk.read() == [Recovering()]
