"""State transfer: only what differs, from several sources, through lies, crashes and damage."""

import pytest

from pbft.core.effects import Diverged, Forgotten, Installed, TransferStarted
from pbft.core.errors import HaltError
from pbft.core.ids import Instant
from pbft.core.messages import (
    Checkpoint,
    Decision,
    FetchNodes,
    Node,
    Nodes,
    Place,
    StableProof,
    Witness,
)
from pbft.core.protocol import state_transfer
from pbft.core.protocol.state_transfer import IN_FLIGHT
from pbft.core.records import AnyRecord, Leaf, Settled, Snapshotted, decode_record
from pbft.core.service import State
from pbft.core.state.transfer import Source, Transfer
from pbft.core.turn import Turn
from pbft.crypto.graft import Graft
from pbft.crypto.trie import Snapshot, Trie, encode_node, node_digest
from pbft.journal import Put, writes
from tests.core.carry import asked, certify, lying, transfer, truly
from tests.core.lab import Lab, of_type


def filled(me: int, operations: int = 2_000) -> Lab:
    """Far ahead: a stable checkpoint at 8 with so many entries."""
    lab = Lab(me=me)
    for sequence in range(1, 9):
        count = operations // 8
        names = (b"op %d of %d" % (number, sequence) for number in range(count))
        lab.settle(sequence, batch=lab.batch(lab.request(sequence, *names)))
    make_stable(lab)
    return lab


def make_stable(lab: Lab) -> None:
    status = lab.replica.status()
    others = [each for each in range(4) if each != lab.me]
    lab.feed(*(lab.checkpoint(r, status.state_digest_at, status.state_digest) for r in others))
    assert lab.replica.status().low_watermark == status.state_digest_at


def stored(records: list[AnyRecord]) -> list[AnyRecord]:
    """What a disk holds after `records`."""
    disk: dict[bytes, bytes] = {}
    for record in records:
        for write in writes(record):
            if isinstance(write, Put):
                disk[write.key] = write.value
            else:
                disk = {k: v for k, v in disk.items() if not write.first <= k <= write.last}
    return [decode_record(value) for _, value in sorted(disk.items())]


def test_nothing_of_what_is_at_hand_is_asked_for() -> None:
    ahead, behind = filled(1), filled(2)
    for lab in (ahead, behind):
        lab.settle(9)
    for sequence in range(10, 17):
        ahead.settle(sequence)
    make_stable(ahead)
    before = len(asked(behind))
    assert any(isinstance(each, Installed) for each in transfer(ahead, behind))
    assert behind.service.operations == ahead.service.operations
    # eight changed entries and eight answers: their leaves, and the branches above
    assert len(asked(behind)) - before < 60


def test_a_liar_among_the_sources_is_not_asked_again() -> None:
    ahead, behind = filled(1), Lab(me=2)
    events = transfer(ahead, behind, lying(3))
    assert any(isinstance(each, Installed) for each in events)
    assert behind.replica.status().drops["node that does not verify"] == 1
    assert behind.service.operations == ahead.service.operations


@pytest.mark.scenario("ST3")
def test_a_source_that_never_answers_is_left() -> None:
    ahead, behind = filled(1), Lab(me=2)
    events = transfer(ahead, behind, lambda source, nodes: None if source == 0 else nodes, 20)
    assert any(isinstance(each, Installed) for each in events)
    assert behind.service.operations == ahead.service.operations


@pytest.mark.scenario("ST10")
def test_after_a_crash_in_the_middle_what_was_fetched_is_not_asked_for_again() -> None:
    ahead, behind = filled(1), Lab(me=2)
    answers = iter(range(10))
    transfer(
        ahead, behind, lambda source, nodes: nodes if next(answers, None) is not None else None, 3
    )
    assert behind.replica.status().transferring
    fetched = {record.digest for record in behind.records if isinstance(record, Leaf)}
    assert fetched
    behind.records = stored(behind.records)
    behind.sent.clear()
    behind.restart()
    assert any(isinstance(each, Installed) for each in transfer(ahead, behind))
    assert not fetched & set(asked(behind))
    assert behind.service.operations == ahead.service.operations


@pytest.mark.scenario("ST4")
def test_a_target_that_moves_costs_what_changed() -> None:
    ahead, behind = filled(1), Lab(me=2)
    answers = iter(range(20))
    transfer(
        ahead, behind, lambda source, nodes: nodes if next(answers, None) is not None else None, 3
    )
    fetched = {record.digest for record in behind.records if isinstance(record, Leaf)}
    for sequence in range(9, 25):
        ahead.settle(sequence)
        if sequence % 8 == 0:
            make_stable(ahead)
    behind.sent.clear()
    events = transfer(ahead, behind)
    assert any(isinstance(each, TransferStarted) and each.sequence == 24 for each in events)
    assert any(isinstance(each, Installed) and each.sequence == 24 for each in events)
    assert not fetched & set(asked(behind))
    assert behind.service.operations == ahead.service.operations


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (HaltError("start it again with the new code"), "^start it again with the new code$"),
        (
            ValueError("no such entry"),
            r"cannot go on from the state .*\(ValueError: no such entry\)",
        ),
    ],
)
def test_a_service_that_cannot_go_on_from_what_the_cluster_certified_stops(
    error: Exception, said: str
) -> None:
    """It has old code, say. To fetch the same again would keep everybody busy, and tell nobody."""
    ahead, behind = filled(1, 80), Lab(me=2)

    def refuse(state: State) -> None:
        raise error

    behind.service.open = refuse  # type: ignore[method-assign]
    with pytest.raises(HaltError, match=said):
        transfer(ahead, behind, rounds=4)


@pytest.mark.scenario("T52")
def test_fetched_leaves_that_no_snapshot_has_leave_the_disk() -> None:
    ahead, behind = filled(1), Lab(me=2)
    answers = iter(range(20))
    transfer(
        ahead, behind, lambda source, nodes: nodes if next(answers, None) is not None else None, 3
    )
    for sequence in range(9, 17):
        names = (b"again %d of %d" % (number, sequence) for number in range(250))
        ahead.settle(sequence, batch=ahead.batch(ahead.request(sequence, *names)))
    make_stable(ahead)
    transfer(ahead, behind)
    disk = stored(behind.records)
    settled = {record.digest for record in disk if isinstance(record, Settled)}
    assert {record.digest for record in disk if isinstance(record, Leaf)} == settled
    assert not any(isinstance(record, Snapshotted) for record in disk)
    behind.records = disk
    behind.restart()
    assert behind.replica.status().state_digest == ahead.replica.status().state_digest


@pytest.mark.scenario("T52", kills="T52 a leaf that came too late stays with a tree that has gone")
def test_a_leaf_that_comes_once_its_tree_has_left_the_disk_leaves_it_too() -> None:
    """The snapshot before the stable one is served, and is on no disk any more."""
    ahead, behind = Lab(me=1), Lab(me=2)
    ahead.settle_until(8)
    make_stable(ahead)
    certify(ahead, behind)
    (fetch,) = of_type(behind.idle(0.25), FetchNodes)[:1]
    assert isinstance(fetch, FetchNodes)
    late = [each for each in of_type(ahead.feed(fetch, peer=2), Nodes) if isinstance(each, Nodes)]
    ahead.settle_until(16, first=9)
    behind.feed(*(decision(ahead, sequence) for sequence in range(1, 17)), peer=1)
    make_stable(ahead)
    certify(ahead, behind)
    assert sorted(behind.replica.status().checkpoints) == [8, 16]
    behind.feed(*late, peer=1)
    disk = stored(behind.records)
    settled = {record.digest for record in disk if isinstance(record, Settled)}
    assert {record.digest for record in disk if isinstance(record, Leaf)} == settled


def damage(disk: list[AnyRecord], which: int) -> list[AnyRecord]:
    """The same, with one leaf that is not what it was."""
    leaves = [record for record in disk if isinstance(record, Leaf)]
    broken = leaves[which]
    instead = Leaf(broken.digest, broken.data[:-3] + b"???")
    return [instead if record is broken else record for record in disk]


def test_a_leaf_that_rotted_on_the_disk_is_fetched_and_nothing_else() -> None:
    ahead, rotten = filled(1), filled(2)
    rotten.records = damage(stored(rotten.records), 3)
    rotten.sent.clear()
    rotten.restart()
    assert not rotten.feed(rotten.request(1)).replies
    leaves = {record.digest for record in rotten.records if isinstance(record, Leaf)}
    events = transfer(ahead, rotten)
    assert any(isinstance(each, Installed) for each in events)
    assert len(leaves & set(asked(rotten))) == 1
    assert rotten.service.operations == ahead.service.operations
    rotten.records = stored(rotten.records)
    rotten.restart()
    assert rotten.replica.status().state_digest == ahead.replica.status().state_digest
    assert rotten.replica.status().executed == 8


def test_a_disk_that_rotted_is_good_again_after_a_repair_to_a_later_checkpoint() -> None:
    ahead, rotten = filled(1), filled(2)
    for sequence in range(9, 17):
        for lab in (ahead, rotten):
            lab.settle(sequence)
    make_stable(ahead)
    rotten.records = stored(rotten.records)
    for which in range(sum(isinstance(record, Leaf) for record in rotten.records)):
        rotten.records = damage(rotten.records, which)
    rotten.restart()
    assert any(isinstance(each, Installed) for each in transfer(ahead, rotten))
    disk = stored(rotten.records)
    settled = {record.digest for record in disk if isinstance(record, Settled)}
    assert {record.digest for record in disk if isinstance(record, Leaf)} == settled
    assert not any(isinstance(record, Snapshotted) for record in disk)
    rotten.records = disk
    rotten.restart()
    assert rotten.replica.status().state_digest == ahead.replica.status().state_digest


@pytest.mark.scenario("T52")
def test_a_second_repair_in_one_life_drops_nothing_of_the_first() -> None:
    """What the disk had lost at the start was made good once: it is no reason to drop later what
    has not changed since."""
    ahead, rotten = filled(1, 80), filled(2, 80)
    rotten.records = damage(stored(rotten.records), 0)
    rotten.restart()
    assert any(isinstance(each, Installed) for each in transfer(ahead, rotten))
    decisions = [decision(ahead, sequence) for sequence in range(9, 17)]
    ahead.feed(*decisions, peer=3)
    make_stable(ahead)
    rotten.service.noise = b"!"
    rotten.feed(*decisions, peer=1)
    events = transfer(ahead, rotten)
    assert [type(each) for each in events].count(Diverged) == 1
    assert any(isinstance(each, Installed) and each.sequence == 16 for each in events)
    assert rotten.replica.status().state_digest == ahead.replica.status().state_digest
    rotten.restart()
    assert rotten.replica.status().executed == 16
    assert rotten.replica.status().state_digest == ahead.replica.status().state_digest


def test_a_state_that_rotted_before_any_stable_checkpoint_is_executed_anew() -> None:
    ahead, rotten = Lab(me=1), Lab(me=2)
    for sequence in range(1, 9):
        ahead.settle(sequence)
        rotten.settle(sequence)
    rotten.records = damage(stored(rotten.records), 0)
    rotten.restart()
    rotten.idle(0.1)
    for sequence in range(1, 9):
        rotten.feed(rotten.decision(0, sequence, rotten.batch(rotten.request(sequence)), (0, 1, 3)))
    assert rotten.service.operations == ahead.service.operations
    rotten.records = stored(rotten.records)
    rotten.restart()
    assert rotten.service.operations == ahead.service.operations


@pytest.mark.scenario("FL10", "ST11")
def test_what_a_source_gives_in_an_interval_is_bounded() -> None:
    ahead, behind = Lab(me=1, transfer_max_bytes=2_000), Lab(me=2)
    for sequence in range(1, 9):
        names = (b"op %d of %d" % (number, sequence) for number in range(250))
        ahead.settle(sequence, batch=ahead.batch(ahead.request(sequence, *names)))
    make_stable(ahead)
    given: list[int] = []

    def weigh(source: int, nodes: Nodes) -> Nodes | None:
        given.append(sum(len(node.data) for node in nodes.nodes))
        return truly(source, nodes)

    transfer(ahead, behind, weigh, rounds=4)
    assert 0 < sum(given) < 4 * 2 * 2_000
    assert behind.replica.status().transferring


@pytest.mark.scenario("FL10")
def test_what_is_said_of_nodes_that_are_gone_is_bounded_like_the_nodes() -> None:
    """A proof is many times as long as the question: a peer gets few of them, and then none until
    the next interval."""
    ahead = Lab(me=1, transfer_max_bytes=1_000)
    ahead.settle_until(8)
    make_stable(ahead)
    gone = FetchNodes((Place(b"", bytes(32)),))
    for _ in range(2):
        turns = [ahead.idle(0.1), *(ahead.feed(gone) for _ in range(20))]
        proofs = [each for turn in turns for each in of_type(turn, StableProof)]
        said = [sum(map(len, each.checkpoints)) for each in proofs if isinstance(each, StableProof)]
        assert 0 < sum(said[:-1]) < 1_000 <= sum(said)


def test_a_liar_is_not_asked_for_a_later_target_either() -> None:
    ahead, behind = filled(1), Lab(me=2)
    given = iter(range(6))

    def bend(source: int, nodes: Nodes) -> Nodes | None:
        return lying(3)(source, nodes) if next(given, None) is not None else None

    transfer(ahead, behind, bend, 3)
    assert behind.replica.status().drops["node that does not verify"] == 1
    for sequence in range(9, 17):
        ahead.settle(sequence)
    make_stable(ahead)
    told: list[int] = []

    def listen(source: int, nodes: Nodes) -> Nodes | None:
        told.append(source)
        return nodes

    events = transfer(ahead, behind, listen)
    assert any(isinstance(each, Installed) and each.sequence == 16 for each in events)
    assert 3 not in told


def test_a_source_that_sends_what_nobody_asked_for_is_left_like_a_silent_one() -> None:
    ahead, behind = filled(1), Lab(me=2)
    junk = Nodes((Node(b"\x0f" * 9, bytes(32), b"x"),))
    events: list[object] = []
    for _ in range(14):
        events += transfer(ahead, behind, lambda source, nodes: nodes if source else None, 1)
        behind.feed(junk, peer=0)
    assert any(isinstance(each, Installed) for each in events)


def test_a_checkpoint_vote_is_remembered_through_a_repair_to_an_earlier_state() -> None:
    """Two faults in a row: a leaf rots, and the replica is killed before it is where it was."""
    ahead, rotten = filled(1), filled(2)
    for sequence in range(9, 17):
        rotten.settle(sequence)
    (vote,) = [m for m in rotten.sent if isinstance(m, Checkpoint) and m.sequence == 16]
    rotten.records = damage(stored(rotten.records), 0)
    rotten.restart()
    assert any(isinstance(each, Installed) for each in transfer(ahead, rotten))
    assert rotten.replica.status().executed == 8
    for _ in range(2):  # what was given up stays known, whatever is recorded later
        rotten.reboot()
        shown = Witness((rotten.checkpoint(2, 16, vote.digest).raw,), ())
        assert Forgotten(shown.votes[0]) not in rotten.feed(shown, peer=3).events
        rotten.clear()
        rotten.records += rotten.feed(Witness((), ()), peer=1).records


@pytest.mark.parametrize("noise", [b"", b"!"])
def test_who_gave_a_state_up_that_it_voted_for_does_not_contradict_itself(noise: bytes) -> None:
    """What it voted for before was right, or damaged: that is said again, or nothing."""
    ahead, rotten = filled(1), filled(2)
    decisions = [decision(ahead, sequence) for sequence in range(9, 17)]
    rotten.service.noise = noise
    rotten.feed(*decisions, peer=1)
    (first,) = [m for m in rotten.sent if isinstance(m, Checkpoint) and m.sequence == 16]
    rotten.records = damage(stored(rotten.records), 0)
    rotten.restart()
    transfer(ahead, rotten)
    rotten.restart()
    rotten.sent.clear()
    rotten.feed(*decisions, peer=1)
    assert rotten.replica.status().executed == 16
    cast = [m for m in rotten.sent if isinstance(m, Checkpoint)]
    assert cast == ([] if noise else [first])


def test_who_gave_up_all_that_it_had_does_not_contradict_itself() -> None:
    """Before the first stable checkpoint, what it goes back to is the empty state."""
    ahead, rotten = Lab(me=1), Lab(me=2)
    decisions = [decision(ahead, sequence) for sequence in range(1, 9)]
    rotten.service.noise = b"!"
    rotten.feed(*decisions, peer=1)
    assert [m.sequence for m in rotten.sent if isinstance(m, Checkpoint)] == [8]
    rotten.records = damage(stored(rotten.records), 0)
    for _ in range(2):
        rotten.restart()
    rotten.sent.clear()
    rotten.feed(*decisions, peer=1)
    assert rotten.replica.status().executed == 8
    assert not [m for m in rotten.sent if isinstance(m, Checkpoint)]


def decision(lab: Lab, sequence: int) -> Decision:
    return lab.decision(0, sequence, lab.batch(lab.request(sequence)), (0, 1, 3))


def test_who_is_still_getting_decisions_does_not_fetch_the_state() -> None:
    """Each of them comes within two status intervals of the one before, and all within ten."""
    ahead, behind = Lab(me=1), Lab(me=2)
    decisions = [decision(behind, each) for each in range(1, 9)]
    ahead.settle_until(8)
    events = certify(ahead, behind).events
    for each in decisions:
        events += [*behind.idle(0.11).events, *behind.feed(each).events]
    assert behind.replica.status().low_watermark == 8
    assert TransferStarted(8) not in events


@pytest.mark.scenario("T51")
def test_a_state_that_was_overtaken_while_it_was_fetched_is_not_installed() -> None:
    """The last nodes come together with decisions that lead beyond it."""
    ahead, behind = Lab(me=1), Lab(me=2)
    decisions = [decision(behind, each) for each in range(1, 10)]
    ahead.settle_until(8)

    def overtaken(source: int, nodes: Nodes) -> Nodes:
        behind.feed(*decisions)
        return nodes

    events = transfer(ahead, behind, overtaken)
    assert TransferStarted(8) in events
    assert not any(isinstance(each, Installed) for each in events)
    assert behind.replica.status().executed == 9


def test_what_a_peer_wants_is_remembered_up_to_a_bound() -> None:
    """A peer that asks for more than its share of the interval has the rest refused."""
    ahead = Lab(me=1, transfer_max_bytes=1)
    ahead.settle_until(8)
    root = ahead.replica._state.checkpoints.own[8].snapshot.digest
    peer = ahead.replica._state.peers.by_id[2]
    ahead.feed(FetchNodes((Place(b"", root),)), peer=2)
    for number in range(20):
        places = tuple(Place(bytes((number % 16, each)), bytes(32)) for each in range(16))
        ahead.feed(FetchNodes(places), peer=2)
    assert len(peer.wants_nodes) == 2 * IN_FLIGHT


def test_a_source_is_asked_for_a_bounded_number_of_nodes_at_once() -> None:
    running, source = Transfer(), Source(IN_FLIGHT)
    state, turn = Lab(me=1).replica._state, Turn(Instant(0, 0), (0, 2, 3))
    tree = Trie()
    tree.put(b"k", b"v")
    ((_, leaf),) = tree.leaves()
    running.sources[2] = source
    running.graft = Graft(node_digest(leaf), Snapshot(None), {})
    state.transfer = running
    answer = Nodes((Node(b"", node_digest(leaf), encode_node(leaf)),))
    state_transfer.on_nodes(state, turn, 2, answer)
    assert not running.graft.wanted
    assert source.window == IN_FLIGHT


@pytest.mark.scenario("ST3", "ST4")
def test_a_state_that_one_source_still_gives_in_trickles_is_left_for_a_newer_one() -> None:
    """The others have moved on; a node now and then would keep us with it for hours."""
    lab = Lab(me=2)
    tree = Trie(Snapshot(None))
    tree.update({b"%d" % each: b"value" for each in range(200)})
    old = tree.freeze()
    lab.feed(StableProof(lab.proof(8, old.digest, (0, 1, 3))), peer=3)
    lab.idle(0.3)
    lab.feed(StableProof(lab.proof(80, bytes(range(32)), (0, 1, 3))), peer=0)
    begun = []
    for tick in range(60):
        begun += [e.sequence for e in lab.idle(0.1).events if isinstance(e, TransferStarted)]
        wanted = lab.replica._state.transfer.graft
        if tick % 3 == 0 and wanted is not None and begun == []:
            path, digest = next(iter(wanted.wanted.items()))
            found = old.node(path)
            assert found is not None
            lab.feed(Nodes((Node(path, digest, encode_node(found)),)), peer=3)
    assert begun == [80]


@pytest.mark.scenario("ST3", "T12")
def test_decisions_that_come_one_by_one_do_not_put_off_a_transfer() -> None:
    """A traitor gives one each time before the lag is noticed: up to two windows of them."""
    lab = Lab(me=2, checkpoint_interval=64, window=128)
    lab.feed(StableProof(lab.proof(1280, bytes(range(32)), (0, 1, 3))), peer=0)
    begun = lab.now
    for sequence in range(1, 40):
        if lab.replica.status().transferring:
            break
        lab.feed(lab.decision(0, sequence, lab.batch(lab.request(sequence)), (0, 1, 3)))
        lab.idle(0.09)
    assert lab.replica.status().transferring
    assert (lab.now - begun) / 1e9 < 1.5
