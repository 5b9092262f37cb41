"""The benchmark as a user runs it: figures, and every condition beside them."""

import json
import shlex
from pathlib import Path

import pytest

from pbft.cli.benchmark.load import MAX_PAYLOAD, MIN_PAYLOAD, operations
from pbft.cli.examples import EXAMPLES
from tests.cli.command import pbft_command


@pytest.mark.cluster
def test_the_example(tmp_path: Path) -> None:
    done = pbft_command(*shlex.split(EXAMPLES["bench"])[1:], cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["ops_per_second"] > 0
    assert figures["failed"] == 0
    assert figures["v_per_second"] > 0
    ratio = figures["ops_per_second"] / figures["v_per_second"]
    assert figures["ops_in_v"] == pytest.approx(ratio, rel=0.01)
    assert 0 < figures["latency_ms"]["p50"] <= figures["latency_ms"]["p99"]
    assert figures["unreplicated"]["ops_per_second"] > figures["ops_per_second"]
    conditions = figures["conditions"]
    assert (conditions["clients"], conditions["outstanding"], conditions["payload"]) == (4, 25, 64)
    assert (conditions["replicas"], conditions["quorum"]) == (4, 3)
    for name in ("authentication", "durability", "pipeline", "python", "cores"):
        assert conditions[name]
        assert str(conditions[name]) in done.stdout


@pytest.mark.cluster
def test_both_durabilities_beside_each_other(tmp_path: Path) -> None:
    shape = ("--outstanding", "16", "--seconds", "0.5", "--durability", "both", "--json")
    done = pbft_command("bench", *shape, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    for kind in ("fsync", "memory"):
        side = figures["by_durability"][kind]
        assert side["ops_per_second"] > 0
        assert side["conditions"]["durability"] == kind
    assert done.stdout.split()[:3] == ["fsync", "memory", "unreplicated"]
    assert "of memory" in done.stdout


@pytest.mark.parametrize("payload", [MIN_PAYLOAD, 64, 255, 256, 300, 4096, MAX_PAYLOAD])
def test_operations_have_exactly_the_size_asked_for(payload: int) -> None:
    made = operations(payload)
    assert {len(operation) for operation in made} == {payload}
    assert len(set(made)) == len(made)
