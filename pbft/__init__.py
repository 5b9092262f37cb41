"""Byzantine fault-tolerant state-machine replication over UDP (Castro & Liskov, OSDI'99).

    from pbft import Client

    async with Client("DIR", identity="client-0") as client:
        result = await client.call(operation)

The names below are loaded when they are first used, so that `import pbft` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pbft.blocking import BlockingClient
    from pbft.client import Client
    from pbft.client_stats import ClientStats
    from pbft.cluster import Cluster
    from pbft.core.errors import (
        ApplicationError,
        ConfigurationError,
        DecodeError,
        ForgottenOutcomeError,
        ForgottenVotesError,
        HaltError,
        InvalidArgumentsError,
        NotPermittedError,
        PbftError,
        RecordError,
        Refusal,
        RejectedError,
        RequestTooLargeError,
        ServiceError,
        StorageError,
        UnansweredError,
        UnknownCommandError,
    )
    from pbft.core.service import Context, Service, State
    from pbft.kept_calls import BlockingKeptCalls, KeptCalls, Recovered
    from pbft.node import Node
    from pbft.receipts import Receipt, ReceiptError
    from pbft.typed.attributes import Since
    from pbft.typed.events import Event, emit
    from pbft.typed.listening import EventsLostError, events
    from pbft.typed.maps import Map
    from pbft.typed.methods import command, executing, query
    from pbft.typed.proxy import BlockingProxy, Consistency, Proxy

__version__ = "0.1.0"

__all__ = [
    "ApplicationError",
    "BlockingClient",
    "BlockingKeptCalls",
    "BlockingProxy",
    "Client",
    "ClientStats",
    "Cluster",
    "ConfigurationError",
    "Consistency",
    "Context",
    "DecodeError",
    "Event",
    "EventsLostError",
    "ForgottenOutcomeError",
    "ForgottenVotesError",
    "HaltError",
    "InvalidArgumentsError",
    "KeptCalls",
    "Map",
    "Node",
    "NotPermittedError",
    "PbftError",
    "Proxy",
    "Receipt",
    "ReceiptError",
    "RecordError",
    "Recovered",
    "Refusal",
    "RejectedError",
    "RequestTooLargeError",
    "Service",
    "ServiceError",
    "Since",
    "State",
    "StorageError",
    "UnansweredError",
    "UnknownCommandError",
    "__version__",
    "command",
    "emit",
    "events",
    "executing",
    "query",
]

_HOMES = {
    "BlockingClient": "pbft.blocking",
    "BlockingKeptCalls": "pbft.kept_calls",
    "BlockingProxy": "pbft.typed.proxy",
    "Client": "pbft.client",
    "ClientStats": "pbft.client_stats",
    "Cluster": "pbft.cluster",
    "Consistency": "pbft.typed.proxy",
    "Context": "pbft.core.service",
    "Event": "pbft.typed.events",
    "EventsLostError": "pbft.typed.listening",
    "KeptCalls": "pbft.kept_calls",
    "Map": "pbft.typed.maps",
    "Node": "pbft.node",
    "Proxy": "pbft.typed.proxy",
    "Receipt": "pbft.receipts",
    "ReceiptError": "pbft.receipts",
    "Recovered": "pbft.kept_calls",
    "Service": "pbft.core.service",
    "Since": "pbft.typed.attributes",
    "State": "pbft.core.service",
    "command": "pbft.typed.methods",
    "emit": "pbft.typed.events",
    "events": "pbft.typed.listening",
    "executing": "pbft.typed.methods",
    "query": "pbft.typed.methods",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'pbft' has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "pbft.core.errors")), name)


def __dir__() -> list[str]:
    return __all__
