"""Two traitors of four replicas, in real processes, tell two correct replicas different things for
good: what these two have kept names exactly the two, offline."""

import json
from pathlib import Path

import pytest

from pbft import Client
from pbft.cli.main import main
from pbft.cluster import CLUSTER_FILE
from pbft.services.kv import KeyValueClient
from pbft.testing.cluster.forked import ForkedCluster
from pbft.transport.loop import run

pytestmark = pytest.mark.cluster

PROTOCOL = {
    **{"checkpoint_interval": 4, "window": 16},
    **{"request_timeout_ms": 500, "status_interval_ms": 50},
}
CALLS = 6


async def put(side: Path, client: str, value: bytes) -> None:
    """More than one checkpoint: the journals are cut."""
    async with Client(side, identity=client, timeout=20.0) as calls:
        kv = KeyValueClient(calls)
        for number in range(CALLS):
            await kv.put(b"%d" % number, value)


@pytest.mark.scenario("AC2", "AC3")
@pytest.mark.parametrize(("traitors", "views"), [((0, 3), {0}), ((2, 3), {0, 1})])
def test_the_two_that_forked_the_cluster_are_named(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    traitors: tuple[int, int],
    views: set[int],
) -> None:
    """In one view where a traitor leads the first one, and else across a view change."""
    with ForkedCluster(tmp_path / "c", traitors, protocol=PROTOCOL) as forked:
        forked.start()
        run(put(forked.sides[0], "client-0", b"one"))
        run(put(forked.sides[1], "client-1", b"another"))
        forked.check()
    correct = [min(set(members) - set(traitors)) for members in forked.members]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / CLUSTER_FILE).write_bytes((forked.directory / CLUSTER_FILE).read_bytes())
    files = [str(forked.kept(side, replica)) for side, replica in enumerate(correct)]
    assert main(["audit", *files, "--cluster", str(elsewhere), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["culprits"] == sorted(traitors)
    assert found["enough"]
    certificates = found["forks"][0]["certificates"]
    assert {each["view"] for each in certificates} == views
    assert main(["audit", *map(str, forked.sides), "--cluster", str(elsewhere)]) == 1
    words = capsys.readouterr().out
    assert words.splitlines()[-1].startswith(f"named: {traitors[0]}, {traitors[1]};")
    for traitor in traitors:
        assert f"replica {traitor} broke the protocol:" in words
    for side in forked.sides:  # by itself it has seen nothing wrong
        assert main(["audit", str(side)]) == 0
        assert "named: nobody" in capsys.readouterr().out
