"""The journal keeps exactly what a restart needs: the same replica comes back from it."""

from pbft.core.ids import Instant
from pbft.core.journal import Drop, Put, read, writes
from pbft.core.records import AnyRecord, Stabilised, decode_record
from pbft.core.replica import Replica
from tests.core.lab import Lab


def keep(records: list[AnyRecord]) -> dict[bytes, bytes]:
    """What a store holds after `records`."""
    held: dict[bytes, bytes] = {}
    for record in records:
        for write in writes(record):
            match write:
                case Put(key, value):
                    held[key] = value
                case Drop(first, last):
                    held = {k: v for k, v in held.items() if not first <= k <= last}
    return held


def start(lab: Lab, records: list[AnyRecord], now: Instant) -> Replica:
    return Replica(
        lab.config,
        lab.me,
        signer=lab.keys[lab.me],
        verifier=lab.verifier,
        service=type(lab.service)(),
        records=records,
        now=now,
    )


def settle(lab: Lab, first: int, last: int) -> None:
    """Settle a range of sequence numbers, others voting for our checkpoints."""
    for sequence in range(first, last + 1):
        lab.settle(sequence)
        root = lab.replica.status().checkpoints.get(sequence)
        if root is not None:
            lab.feed(*(lab.checkpoint(by, sequence, root) for by in (0, 2)))


def test_a_restart_from_the_journal_is_a_restart_from_all_records() -> None:
    lab = Lab(me=1)
    settle(lab, 1, 21)
    whole = start(lab, list(lab.records), lab.instant).status()
    cut = start(lab, read(keep(lab.records).items()), lab.instant).status()
    assert whole == cut
    assert (cut.low_watermark, cut.executed) == (16, 16)


def test_what_a_stable_checkpoint_covers_is_let_go() -> None:
    lab = Lab(me=1)
    settle(lab, 1, 30)
    few = len(keep(lab.records))
    settle(lab, 31, 94)
    assert len(keep(lab.records)) <= few + 4
    assert len(lab.records) > 4 * few
    stable = [r for r in map(decode_record, keep(lab.records).values()) if type(r) is Stabilised]
    assert [record.sequence for record in stable] == [88]
