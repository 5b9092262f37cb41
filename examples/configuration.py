"""Configuration management, as etcd is used for it: watch, compare and swap.

One task watches what is under `db/`; others change the same setting, and none overwrites what it
has not seen. Run it: `python examples/configuration.py`.
"""

import asyncio

from pbft.services.configuration import ChangedError, Configuration, RemoteConfiguration
from pbft.testing.cluster.local import local_cluster

CHANGES = 3


async def watching(store: RemoteConfiguration, seen: int) -> None:
    """Print the first changes."""
    async for setting in store.watch("db/"):
        print(f"  revision {setting.revision}: {setting.key} = {setting.value}")
        seen -= 1
        if not seen:
            return


async def raised(store: RemoteConfiguration, key: str) -> None:
    """Read, add one, write where nobody else has written since; try again where somebody has."""
    while True:
        setting = await store.get(key)
        value, revision = (0, 0) if setting is None else (int(setting.value or 0), setting.revision)
        try:
            await store.put(key, str(value + 1), revision)
            return
        except ChangedError:
            continue


async def main() -> None:
    async with local_cluster(Configuration) as cluster, cluster.client() as client:
        store = RemoteConfiguration(client)
        watcher = asyncio.create_task(watching(store, CHANGES))
        await store.put("web/port", "80")
        await asyncio.gather(*(raised(store, "db/connections") for _ in range(CHANGES)))
        await watcher
        setting = await store.get("db/connections")
        print("in the end:", setting.value if setting else None)


if __name__ == "__main__":
    asyncio.run(main())
