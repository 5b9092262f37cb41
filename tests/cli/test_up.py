"""`pbft up` says who started and who did not; a line before anybody could have started says
nothing."""

import os
import signal
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from pbft.cluster import Cluster
from pbft.testing.cluster import free_ports
from tests.cli.command import command, environment, pbft_command

pytestmark = pytest.mark.cluster


def test_where_nobody_can_run_nobody_is_said_to_have_started(tmp_path: Path) -> None:
    cluster, identities = Cluster.create(ports=free_ports(8))
    cluster.save(tmp_path / "c", identities)
    with ExitStack() as stack:
        for member in cluster.replicas:
            other = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            other.bind((member.host, member.port))
        done = pbft_command("up", "c", cwd=tmp_path, timeout=30)
    assert (done.returncode, done.stdout) == (2, "")
    told = "no replica started; 0, 1, 2 and 3 ended: above they say why"
    assert done.stderr.splitlines()[-1] == f"pbft: {told}"
    assert done.stderr.count("in use") == 4


def test_who_has_a_broken_disk_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    made, identities = Cluster.create(ports=free_ports(8))
    made.save(tmp_path / "c", identities)
    (tmp_path / "c" / "data").mkdir()
    (tmp_path / "c" / "data" / "replica-2.db").write_text("no database at all " * 1000)
    up = subprocess.Popen(
        command("up", "c"),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert up.stdout is not None
    said = up.stdout.readline()
    up.send_signal(signal.SIGINT)
    _, errors = up.communicate(timeout=20)
    assert said == "replicas 0, 1 and 3 started (durability: fsync); Ctrl-C stops them\n"
    assert "pbft: replicas 0, 1 and 3 started, and 2 ended: above it says why\n" in errors
    assert "`pbft recover c 2`" in errors
    assert up.returncode == 1


def test_replicas_end_with_an_up_that_was_killed_before_they_knew_it(tmp_path: Path) -> None:
    """What adopts them is their parent when they look first: nobody hears that they serve."""
    made, identities = Cluster.create(ports=free_ports(8))
    made.save(tmp_path / "c", identities)
    hearing, telling = os.pipe()
    replica = subprocess.Popen(
        command("replica", "c", "0", "--with-parent", "--notify-fd", str(telling)),
        cwd=tmp_path,
        env=environment(),
        pass_fds=[telling],
    )
    os.close(hearing)
    os.close(telling)
    try:
        assert replica.wait(timeout=20) == 0
    finally:
        replica.kill()
