"""Byzantine fault-tolerant state-machine replication over UDP (Castro & Liskov, OSDI'99).

    from pbft import Client

    async with Client("DIR", identity="client-0") as client:
        result = await client.call(operation)

The names below are loaded when they are first used, so that `import pbft` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pbft.client import Client, ClientStats
    from pbft.cluster import Cluster
    from pbft.core.errors import (
        ConfigurationError,
        ForgottenVotesError,
        PbftError,
        RejectedError,
        RequestTooLargeError,
        ServiceError,
        UnansweredError,
    )
    from pbft.core.service import Context, Service, State
    from pbft.node import Node

__version__ = "0.1.0"

__all__ = [
    "Client",
    "ClientStats",
    "Cluster",
    "ConfigurationError",
    "Context",
    "ForgottenVotesError",
    "Node",
    "PbftError",
    "RejectedError",
    "RequestTooLargeError",
    "Service",
    "ServiceError",
    "State",
    "UnansweredError",
    "__version__",
]

_HOMES = {
    "Client": "pbft.client",
    "ClientStats": "pbft.client",
    "Cluster": "pbft.cluster",
    "Context": "pbft.core.service",
    "Node": "pbft.node",
    "Service": "pbft.core.service",
    "State": "pbft.core.service",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'pbft' has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "pbft.core.errors")), name)


def __dir__() -> list[str]:
    return __all__
