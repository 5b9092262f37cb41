"""A look inside a correct replica, for oracles that know how it is made."""

from pbft.core.replica import Replica
from pbft.core.state.replica_state import ReplicaState
from pbft.testing.host import Host


def state_of(host: Host) -> ReplicaState | None:
    """The state of the honest replica of a host that runs; none of a behaviour or twins."""
    if not host.up or not isinstance(host.replica, Replica):
        return None
    return host.replica._state
