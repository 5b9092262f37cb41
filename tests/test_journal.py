"""The journal keeps exactly what a restart needs: the same replica comes back from it."""

from pbft.core.ids import Instant
from pbft.core.records import Accepted, AnyRecord, Leaf, Settled, Snapshotted, Stabilised
from pbft.core.replica import Replica
from pbft.core.service import Context
from pbft.journal import Drop, Put, read, writes
from tests.core.lab import Journal, Lab


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


def test_a_restart_from_the_journal_has_every_state_that_was_recorded() -> None:
    """The stable one, and our own snapshots above it (T52)."""
    lab = Lab(me=1)
    settle(lab, 1, 21)
    for sequence in range(22, 33):
        lab.settle(sequence)
    before = lab.replica.status()
    after = start(lab, read(keep(lab.records).items()), lab.instant).status()
    assert (after.low_watermark, after.executed) == (16, 32)
    assert after.checkpoints == {at: before.checkpoints[at] for at in (16, 24, 32)}


def test_what_a_stable_checkpoint_covers_is_let_go() -> None:
    lab = Lab(me=1)
    settle(lab, 1, 30)
    few = [r for r in read(keep(lab.records).items()) if not isinstance(r, Leaf | Settled)]
    settle(lab, 31, 94)
    held = read(keep(lab.records).items())
    assert len([r for r in held if not isinstance(r, Leaf | Settled)]) <= len(few)
    assert [r.sequence for r in held if isinstance(r, Stabilised)] == [88]
    assert {r.digest for r in held if isinstance(r, Leaf)} == {
        r.digest for r in held if isinstance(r, Settled)
    }


def test_votes_above_a_stable_checkpoint_stay_and_those_at_and_below_go() -> None:
    """The first above it among them: who forgot that could vote again (T34, T52)."""
    lab = Lab(me=1)
    lab.settle_until(10)
    root = lab.replica.status().checkpoints[8]
    lab.feed(*(lab.checkpoint(by, 8, root) for by in (0, 2)))
    held = keep(lab.records)
    for prefix in (b"5", b"6"):
        numbers = [int.from_bytes(key[1:9], "big") for key in held if key[:1] == prefix]
        assert sorted(numbers) == [9, 10]


def test_leaves_of_later_snapshots_outlive_the_stable_one() -> None:
    """A leaf goes when no snapshot has it; one that comes back is not gone (T52)."""
    lab = Lab(me=1, window=64)
    for sequence in range(1, 41):
        lab.settle(sequence)
    for stable in (16, 32, 40):
        root = lab.replica.status().checkpoints[stable]
        lab.feed(*(lab.checkpoint(by, stable, root) for by in (0, 2)))
        status = start(lab, read(keep(lab.records).items()), lab.instant).status()
        assert (status.low_watermark, status.executed) == (stable, 40)
        held = read(keep(lab.records).items())
        named = {r.digest for r in held if isinstance(r, Settled)}
        for record in held:
            if isinstance(record, Snapshotted):
                named |= {digest for _, digest in record.placed}
        assert {r.digest for r in held if isinstance(r, Leaf)} == named


class Cell(Journal):
    """One value, and enough beside it for a leaf of its own."""

    def execute(self, operation: bytes, context: Context) -> bytes:
        for number in range(40):
            self.state.put(b"%d" % number, operation)
        return b""


def test_a_leaf_that_comes_back_is_not_let_go() -> None:
    """The state at 24 is the one at 8 again; the stable one, at 16, is another (T52)."""
    lab = Lab(me=1, window=64)
    lab.service = Cell()
    lab.replica = lab._boot()
    lab.clear()
    for sequence in range(1, 25):
        value = b"odd" if 8 < sequence <= 16 else b"even"
        lab.settle(sequence, batch=lab.batch(lab.request(sequence, value)))
    root = lab.replica.status().checkpoints[16]
    lab.feed(*(lab.checkpoint(by, 16, root) for by in (0, 2)))
    status = start(lab, read(keep(lab.records).items()), lab.instant).status()
    assert (status.low_watermark, status.executed) == (16, 24)


def test_of_one_number_what_was_accepted_in_each_view_stays() -> None:
    """Another replica's certificate may choose the body of an earlier view (T20)."""
    lab = Lab()
    accepted = []
    for view in (0, 1):
        batch = lab.batch(lab.request(view + 1))
        accepted.append(Accepted(lab.pre_prepare(view, 3, batch).raw, batch))
    keys = [each.key for record in accepted for each in writes(record) if isinstance(each, Put)]
    assert len(set(keys)) == 2
