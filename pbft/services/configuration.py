"""A configuration store with watches, for what etcd is used for; `RemoteConfiguration(client)` is
its proxy.

Every change has a *revision*, one more than the change before. `watch` gives the changes under a
prefix as they happen; whoever was away for too long reads what there is now, and watches on.
"""

from collections.abc import AsyncIterator, Iterator

from msgspec import Struct

from pbft.core.errors import ApplicationError, ServiceError
from pbft.typed.events import emit
from pbft.typed.listening import events
from pbft.typed.maps import Map
from pbft.typed.methods import command, query
from pbft.typed.proxy import BlockingProxy, Proxy, waited

TOPIC = "configuration"
MAX_VALUE_BYTES = 8 * 1024
MAX_LIST = 256


class ChangedError(ApplicationError):
    """The entry was changed since. Arguments: the key, the revision of its last change, or 0."""


class Setting(Struct, frozen=True, array_like=True):
    """`revision`: of its last change. `value`: none where that removed it."""

    key: str
    value: str | None
    revision: int


class Configuration:
    """Settings by key."""

    def __init__(self) -> None:
        self.settings = Map(str, Setting)
        self.revision = 0

    @command
    def put(self, key: str, value: str, expected: int | None = None) -> Setting:
        """Set a key. With `expected`, only where its last change has that revision (0: where it
        is not set). Raises `ChangedError`."""
        if len(value.encode()) > MAX_VALUE_BYTES:
            raise ValueError(f"a value has at most {MAX_VALUE_BYTES} bytes")
        setting = self._change(key, value, expected)
        self.settings[key] = setting
        return setting

    @command
    def delete(self, key: str, expected: int | None = None) -> Setting | None:
        """Remove a key; the change, or none where it was not set. Raises `ChangedError`."""
        if key not in self.settings and not expected:
            return None
        setting = self._change(key, None, expected)
        del self.settings[key]
        return setting

    @query
    def get(self, key: str) -> Setting | None:
        """What is set, or none."""
        return self.settings.get(key)

    @query
    def listed(self, prefix: str = "", after: str = "") -> list[Setting]:
        """Settings under a prefix in the order of their keys, those beyond `after`; at most
        `MAX_LIST`, so go on from the last."""
        found: list[Setting] = []
        for key in self.settings.span(max(prefix, after)):
            if not key.startswith(prefix) or len(found) == MAX_LIST:
                break
            if key > after or not after:
                found.append(self.settings[key])
        return found

    @query
    def newest(self) -> int:
        """The revision of the last change."""
        return self.revision

    def _change(self, key: str, value: str | None, expected: int | None) -> Setting:
        old = self.settings.get(key)
        revision = 0 if old is None else old.revision
        if expected is not None and expected != revision:
            raise ChangedError(key, revision)
        self.revision += 1
        emit(TOPIC, [key, value, self.revision])
        return Setting(key, value, self.revision)


class RemoteConfiguration(Proxy, Configuration):
    """From asyncio."""

    async def watch(self, prefix: str = "", *, after: int = 0) -> AsyncIterator[Setting]:
        """Changes under `prefix` as they take effect, those with a revision above `after`. Raises
        `EventsLostError` where they are not kept any more, and `ServiceError` where the cluster
        runs another service."""
        async for event in events(self._client, after=after, topic=TOPIC):
            try:
                setting = Setting(*event.value)
            except TypeError:
                raise ServiceError("the cluster runs another configuration store") from None
            if setting.key.startswith(prefix):
                yield setting


class BlockingConfiguration(BlockingProxy, Configuration):
    """Without asyncio."""

    def watch(self, prefix: str = "", *, after: int = 0) -> Iterator[Setting]:
        """As `RemoteConfiguration.watch`."""
        twin = RemoteConfiguration(self._blocking.client)
        return waited(self._blocking, twin.watch(prefix, after=after))
