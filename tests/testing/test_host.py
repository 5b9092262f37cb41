"""A crash takes everything but the disk, and a restart begins from that."""

import random

import pytest

from pbft.core.effects import Effects, EnteredView
from pbft.core.ids import Packet
from pbft.core.records import AnyRecord, Began
from pbft.core.replica import Replica
from pbft.testing.disk import Disk, DiskDamagedError, Harm
from pbft.testing.host import Host, Pending
from tests.core.lab import Lab


def host() -> tuple[Host, list[list[AnyRecord]]]:
    """With the records of each boot."""
    booted: list[list[AnyRecord]] = []

    def boot(records: list[AnyRecord]) -> Replica:
        booted.append(records)
        return Lab().replica

    return Host(1, True, Disk(random.Random(1)), boot), booted


def test_a_crash_empties_the_inbox_and_stops_what_was_scheduled() -> None:
    made, _ = host()
    made.inbox.append(Packet(0, b"x"))
    made.turn_at = made.alarm_at = made.durable_until = 5
    life = made.life
    made.crash()
    names = ("up", "inbox", "turn_at", "alarm_at", "durable_until", "life")
    after = [getattr(made, name) for name in names]
    assert after == [False, [], None, None, 0, life + 1]


def test_a_restart_boots_anew_from_what_was_durable() -> None:
    made, booted = host()
    first = made.replica
    made.disk.sync(made.disk.write([Began()]))
    made.crash()
    assert made.restart() == [Began()]
    assert booted == [[], [Began()]]
    assert made.up
    assert made.replica is not first


def test_a_damaged_disk_keeps_it_down() -> None:
    made, booted = host()
    made.disk.sync(made.disk.write([Began()]))
    made.crash()
    made.disk.damage(Harm.ROT)
    with pytest.raises(DiskDamagedError):
        made.restart()
    assert not made.up
    assert len(booted) == 1


def test_a_pending_turn_is_known_by_its_records_and_events() -> None:
    pending = Pending(0, 1, Effects([Began()], [], [], [EnteredView(1)], []))
    assert pending.kinds == {"Began", "EnteredView"}
