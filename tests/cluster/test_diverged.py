"""A service that is not deterministic, on real processes: the command and the key are named from
the journals, whether one replica is contradicted by the others or each has a state of its own."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from pbft import Client, Proxy
from pbft.cli.main import main
from pbft.sqlite_copy import copy_path
from pbft.testing.cluster import ProcessCluster
from pbft.transport.loop import run
from tests.testing.planted import Teams

pytestmark = pytest.mark.cluster

PROTOCOL = {"checkpoint_interval": 4, "window": 16, "status_interval_ms": 50}
SECONDS = 20.0
NAMES = ["ann", "bob", "eve", "zoe"]


class RemoteTeams(Proxy, Teams): ...


async def calls(directory: Path) -> None:
    """The seventh of twelve does not give the same everywhere."""
    async with Client(directory, timeout=SECONDS) as client:
        teams = RemoteTeams(client)
        for number in range(6):
            await teams.fine(f"name-{number}")
        await teams.join("red", NAMES)
        for number in range(6, 11):
            await teams.fine(f"name-{number}")


async def until_level(directory: Path) -> None:
    async with Client(directory, timeout=SECONDS) as client:
        while True:
            said = await asyncio.gather(*(client.status(each) for each in range(4)))
            if all(each.status.executed == 12 for each in said):
                return


@pytest.mark.parametrize("seeds", ["1121", "1234"])
def test_the_command_and_the_key_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], seeds: str
) -> None:
    directory = tmp_path / "c"
    environments = {number: {"PYTHONHASHSEED": seed} for number, seed in enumerate(seeds)}
    service = "tests.testing.planted:Teams"
    with ProcessCluster(
        directory, protocol=PROTOCOL, service=service, environments=environments
    ) as cluster:
        cluster.start()
        run(calls(directory))
        run(until_level(directory))
        kept = copy_path(cluster.database(2))
        until = time.monotonic() + SECONDS
        while seeds == "1121" and not kept.exists() and time.monotonic() < until:
            time.sleep(0.05)
        assert kept.exists() == (seeds == "1121")
        cluster.check()
        assert main(["diverged", str(directory), "--json"]) == 1
        found = json.loads(capsys.readouterr().out)["found"]
    assert (found["agreed"], found["sequence"]) == (4, 8)
    assert [each["key"] for each in found["keys"]] == ["self.entries['red']"]
    assert found["suspect"]["varies"]
    assert found["suspect"]["key"] == "self.entries['red']"
    step = found["suspect"]["step"]
    assert (step["command"], step["sequence"], step["client"]) == ("join", 7, "client-0")
    assert step["shown"] == f"join('red', {NAMES})"
    assert any("the order of a set" in each for each in found["advice"])
