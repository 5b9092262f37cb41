"""One signed client on durable replicas reaches what 64 clients reach on etcd, in the same run."""

import tempfile
from pathlib import Path
from statistics import median

import pytest

from tests.system import etcd
from tests.system.compare import PAYLOAD, bench

ROUNDS = 3
SECONDS = 3.0


@pytest.mark.system
def test_one_client_with_64_outstanding_reaches_etcd_at_64_clients() -> None:
    """In turns, each compared with what ran just before or beside it: what else runs on the machine
    comes and goes."""
    etcd.require()
    theirs, durable, memory = list[float](), list[float](), list[float]()
    with tempfile.TemporaryDirectory() as scratch, etcd.members(Path(scratch)) as ports:
        for _ in range(ROUNDS):
            theirs.append(etcd.puts(etcd.leader(ports), 64, SECONDS, PAYLOAD)["ops_per_second"])
            found = bench(1, 64, SECONDS, "both")
            durable.append(found["fsync"]["ops_per_second"])
            memory.append(found["memory"]["ops_per_second"])
    told = f"etcd {theirs}, pbft with fsync {durable}, in memory {memory}"
    beside = [ours / other for ours, other in zip(durable, theirs, strict=True)]
    assert median(beside) >= 1.0, told
    kept = [ours / other for ours, other in zip(durable, memory, strict=True)]
    assert median(kept) >= 0.5, told
