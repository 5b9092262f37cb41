"""In the end a disk holds the state that its replica has, and no more of it (T52, T54).

Each leaf is of a snapshot that is kept, or was fetched for one that is wanted; the stable tree is
what the replica stands on. What stays besides costs disk for ever, or comes back after a crash.
"""

from typing import TYPE_CHECKING

from pbft.core.state.replica_state import ReplicaState
from pbft.crypto.trie import Leaf, Snapshot, node_digest
from pbft.journal import LEAF, PLACE
from pbft.testing.host import Host
from pbft.testing.inside import state_of
from pbft.testing.observers import Observer

if TYPE_CHECKING:
    from pbft.testing.simulator import Simulation


class Storage(Observer):
    """Complains of what should not be on a disk, at the end of a run, damaged disks included: what
    was put right is right."""

    def begin(self, simulation: "Simulation") -> None:
        self._simulation = simulation

    def ended(self, now: int) -> None:
        for host in self._simulation.hosts:
            state = state_of(host)
            if state is not None and host.durable_until <= now:
                self._judge(host, state)

    def _judge(self, host: Host, state: ReplicaState) -> None:
        keys = list(host.disk.keys())
        leaves = {key[1:] for key in keys if key[:1] == LEAF}
        snapshots = {s: own.snapshot for s, own in state.checkpoints.own.items()}
        held = {digest for each in snapshots.values() for _, digest in _leaves(each)}
        known = state.transfer.known.items()
        held |= {digest for digest, node in known if isinstance(node, Leaf)}
        if loose := leaves - held:
            text = f"{len(loose)} leaves that no snapshot has stay on the disk of replica"
            self.complain(f"storage: {text} {host.number}")
        stable = snapshots.get(state.checkpoints.stable.sequence)
        places = {key[1:] for key in keys if key[:1] == PLACE}
        if stable is not None and places != {path for path, _ in _leaves(stable)}:
            text = f"the places on the disk of replica {host.number} are not those of its state"
            self.complain(f"storage: {text}")


def _leaves(snapshot: Snapshot) -> list[tuple[bytes, bytes]]:
    return [(path, node_digest(leaf)) for path, leaf in snapshot.leaves()]
