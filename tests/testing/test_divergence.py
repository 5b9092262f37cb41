"""Where states differ is found from journals made by hand, and what is missing is said."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pbft import Cluster, command
from pbft.core.authentication import Authentication
from pbft.core.ids import Instant
from pbft.core.ingress import Ingress
from pbft.core.messages import Batch, Certificate, PrePrepare, Request
from pbft.core.protocol import execution
from pbft.core.records import (
    Accepted,
    AnyRecord,
    Leaf,
    Prepared,
    Settled,
    Snapshotted,
    Stabilised,
)
from pbft.core.state.machine import Machine
from pbft.core.state.replica_state import ReplicaState
from pbft.core.turn import Turn
from pbft.core.wire import batch_digest, encode_body
from pbft.crypto.keyfiles import Identity
from pbft.crypto.trie import Snapshot, node_digest
from pbft.journal_files import JournalFile
from pbft.testing import reexecution
from pbft.testing.divergence import Divergence, MissingError, explain, text
from pbft.typed.hosting import Hosted
from tests.testing.planted import Teams

SERVICE = "tests.testing.planted:Teams"
NAMES = ["ann", "bob", "eve", "zoe"]
EVERY = 4


class Sorted(Teams):
    @command
    def join(self, team: str, names: list[str]) -> None:
        self.entries[team] = ",".join(sorted(names))


class Reversed(Teams):
    @command
    def join(self, team: str, names: list[str]) -> None:
        self.entries[team] = ",".join(sorted(names, reverse=True))


class Rotten(Teams):
    @command
    def fine(self, name: str) -> str:
        self.entries[name] = name if name != "name-6" else "rot"
        return name


class World:
    """A cluster's keys, and journals of replicas that have executed one batch per call."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.cluster, identities = Cluster.create(4, 1, service=SERVICE)
        self.cluster.save(directory, identities)
        self.identities = identities
        self.batches = [
            self._batch(number, call)
            for number, call in enumerate(
                [
                    *(Teams.fine.pack((f"name-{number}",), {}) for number in range(5)),
                    Teams.join.pack(("red", NAMES), {}),
                    *(Teams.fine.pack((f"name-{number}",), {}) for number in range(5, 11)),
                ],
                1,
            )
        ]

    def _signer(self, identity: Identity) -> Authentication:
        config = self.cluster.config
        return Authentication(config.cluster_id, identity.signing, self.cluster.verifier())

    def _batch(self, number: int, call: bytes) -> bytes:
        request = self._signer(self.identities["client-0"]).sign(
            Request("client-0", number, (call,))
        )
        return encode_body(Batch(1000 * number, (request.raw,)))

    def journal(
        self,
        replica: int,
        make: Callable[[], object],
        *,
        stable: int = 0,
        certified: tuple[int, bytes] | None = None,
    ) -> JournalFile:
        """Of a replica whose last stable checkpoint is `stable`."""
        records: list[AnyRecord] = []
        snapshots = self._snapshots(make)
        before = snapshots[stable]
        if stable:
            records.append(Stabilised(stable, ()))
            for path, leaf in before.leaves():
                records += (Settled(path, node_digest(leaf)), Leaf(node_digest(leaf), leaf.data))
        for sequence in range(stable + 1, len(self.batches) + 1):
            records += self._voted(sequence)
            if sequence % EVERY == 0:
                records += _step(sequence, before, snapshots[sequence])
                before = snapshots[sequence]
        return JournalFile(Path(f"replica-{replica}.db"), replica, records, certified)

    def _snapshots(self, make: Callable[[], object]) -> list[Snapshot]:
        config, judge = self.cluster.config, self.cluster.judge()
        state = ReplicaState(config, 0, judge, Machine(Hosted(make())))
        found = [execution.freeze(state)]
        for sequence, raw in enumerate(self.batches, 1):
            body = Ingress(config, judge).body(raw)
            execution.run(state, Turn(Instant(0, 0), ()), sequence, body)
            found.append(execution.freeze(state))
        return [Snapshot(None), *found[1:]]

    def root(self, make: Callable[[], object], sequence: int) -> bytes:
        return self._snapshots(make)[sequence].digest

    def _voted(self, sequence: int) -> Sequence[AnyRecord]:
        raw = self.batches[sequence - 1]
        pp = PrePrepare(0, sequence, batch_digest(raw), 0)
        signed = self._signer(self.identities["replica-0"]).sign(pp).raw
        return (Accepted(signed, raw), Prepared(sequence, Certificate(signed, ())))

    def explain(self, *files: JournalFile, service: str = SERVICE) -> Divergence | None:
        return explain(self.cluster, self.directory, files, service)


def _step(sequence: int, before: Snapshot, after: Snapshot) -> list[AnyRecord]:
    found = after.difference(before)
    placed, removed = (
        tuple((path, node_digest(leaf)) for path, leaf in places) for places in found
    )
    leaves = [Leaf(node_digest(leaf), leaf.data) for _, leaf in found.placed]
    return [*leaves, Snapshotted(sequence, after.digest, placed, removed)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "c")


def test_equal_states_are_not_told_apart(world: World) -> None:
    files = (world.journal(0, Sorted), world.journal(1, Sorted, stable=8))
    assert world.explain(*files) is None


def test_the_first_command_and_key_that_differ(world: World) -> None:
    found = world.explain(world.journal(0, Sorted), world.journal(1, Reversed))
    assert found is not None
    assert (found.agreed, found.sequence) == (4, 8)
    assert [each.key for each in found.keys] == ["self.entries['red']"]
    suspect = found.suspect
    assert suspect is not None
    assert (suspect.step.sequence, suspect.step.command, suspect.varies) == (6, "join", True)
    assert suspect.key == "self.entries['red']"
    first, second, *rest = text(found).splitlines()
    told = "does not do the same everywhere, first of all to self.entries['red']:"
    assert first == f"join('red', {NAMES}) {told}"
    assert second == "  operation 1 of request 6 of client-0, at sequence number 6"
    assert any("the order of a set" in each for each in rest)
    assert "the states differ at checkpoint 8, and agreed at 4:" in rest


def test_what_executing_again_does_not_give_is_said_to_be_something_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One replica's state is damaged: the command that touched the key is named, not accused."""
    monkeypatch.setattr(reexecution, "PROCESSES", 3)
    files = (world.journal(0, Rotten, stable=4), world.journal(1, Teams))
    found = world.explain(*files, service="tests.testing.planted:Base")
    assert found is not None
    assert (found.agreed, found.sequence) == (4, 8)
    assert [each.key for each in found.keys] == ["self.entries['name-6']"]
    suspect = found.suspect
    assert suspect is not None
    assert not suspect.varies
    assert (suspect.step.shown, suspect.step.sequence) == ("fine('name-6')", 8)
    first = text(found).splitlines()[0]
    assert first.startswith("self.entries['name-6'] differs, which fine('name-6') is the first to")
    assert "does the same in every process here" in first


def test_a_copy_set_aside_is_enough_when_the_others_have_gone_on(world: World) -> None:
    certified = (8, world.root(Sorted, 8))
    copy = world.journal(2, Reversed, stable=4, certified=certified)
    found = world.explain(copy, world.journal(0, Sorted, stable=12))
    assert found is not None
    assert (found.agreed, found.sequence) == (4, 8)
    assert found.said.keys() == {certified[1].hex(), world.root(Reversed, 8).hex()}
    assert found.suspect is not None
    assert found.suspect.step.command == "join"
    assert "self.entries['red']" in {each.key for each in found.keys}


def test_one_journal_alone_says_what_is_missing(world: World) -> None:
    with pytest.raises(MissingError, match="replica-3 alone shows no difference"):
        world.explain(world.journal(3, Sorted))


def test_batches_that_are_gone_are_named(world: World) -> None:
    """Both have cut their logs at the very checkpoint where they differ."""
    files = (world.journal(0, Sorted, stable=8), world.journal(1, Reversed, stable=8))
    with pytest.raises(MissingError, match=r"agree at 0 and differ at 8.*the batch at 1:"):
        world.explain(*files)
