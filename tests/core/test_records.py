"""Records: bounded, typed, and never silently something else."""

import pytest

from pbft.core.effects import Installed, TransferStarted
from pbft.core.errors import RecordError
from pbft.core.records import AnyRecord, Began, Leaf, Stabilised, decode_record, encode_record
from pbft.core.replica import Replica
from tests.core.lab import Lab


def test_bytes_that_are_no_record_say_what_to_do() -> None:
    for bad in (b"", b"\x91\x63", encode_record(Began()) + b"x", b"\xc1", b"\x91" * 5000):
        with pytest.raises(RecordError, match="restore this replica's store"):
            decode_record(bad)


@pytest.mark.parametrize("number", [-1, 2**63])
def test_found_by_fuzzing_numbers_that_are_none(number: int) -> None:
    with pytest.raises(RecordError):
        decode_record(encode_record(Stabilised(8, (), superseded=number)))


def test_a_replica_does_not_start_from_records_that_do_not_verify() -> None:
    lab = Lab(me=1)
    lab.settle_until(8)
    root = lab.replica.status().state_digest
    weak = Stabilised(8, lab.proof(8, root, (0, 2)))
    with pytest.raises(RecordError):
        Replica(
            lab.config,
            1,
            signer=lab.keys[1],
            verifier=lab.verifier,
            service=lab.service,
            records=[*lab.records, weak],
            now=lab.instant,
        )


def test_a_damaged_snapshot_is_noticed() -> None:
    """Nothing is certified yet: the state that everybody began with takes its place."""
    lab = Lab(me=1)
    lab.settle_until(8)
    whole = lab.records
    (leaf,) = [record for record in whole if isinstance(record, Leaf)]
    for instead in ([Leaf(leaf.digest, leaf.data[:-1] + b"?")], [Leaf(leaf.digest, b"")], []):
        lab.records = [each for each in whole if each is not leaf] + list[AnyRecord](instead)
        events = lab.restart().events
        assert lab.replica.status().executed == 0
        assert [type(event) for event in events] == [TransferStarted, Installed]


def test_a_restart_continues_where_the_records_end() -> None:
    lab = Lab(me=1)
    lab.settle_until(11)
    before = lab.service.operations[:8]
    lab.restart()
    status = lab.replica.status()
    assert (status.executed, lab.service.operations) == (8, before)
    for sequence in (9, 10, 11):
        lab.settle(sequence)
    assert lab.replica.status().executed == 11
