"""init, up, status and kv against replicas that really run; their examples as they stand."""

import json
import os
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from pbft.cli.examples import EXAMPLES
from pbft.testing.cluster import ProcessCluster
from tests.cli.command import command, environment, pbft_command

pytestmark = pytest.mark.cluster
Child = subprocess.Popen[str]


@contextmanager
def running(directory: Path, *arguments: str) -> Iterator[Child]:
    """A `pbft` process in the background, stopped by SIGINT in the end."""
    child = subprocess.Popen(
        command(*arguments),
        cwd=directory,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield child
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
        child.communicate(timeout=20)


def init(directory: Path) -> None:
    """mycluster, on ports that were free a moment ago."""
    example = shlex.split(EXAMPLES["init"])[1:]
    done = pbft_command(*example, "--base-port", str(free_base_port(8)), cwd=directory)
    assert done.returncode == 0, done.stderr


def free_base_port(count: int) -> int:
    """The first of `count` UDP ports in a row that nobody has."""
    for base in range(20_000, 60_000, count):
        with ExitStack() as stack:
            try:
                for port in range(base, base + count):
                    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    stack.enter_context(sock).bind(("127.0.0.1", port))
            except OSError:
                continue
            return base
    raise AssertionError("no free ports")


def statuses(directory: Path) -> list[dict[str, object]]:
    """What `pbft status --json` says of each replica."""
    done = pbft_command(*shlex.split(EXAMPLES["status"])[1:], cwd=directory)
    replicas: list[dict[str, object]] = json.loads(done.stdout)["replicas"]
    return replicas


def until_up(directory: Path) -> None:
    """Until all four replicas answer and vote."""
    for _ in range(20):
        if all(each["alive"] and each["voting"] for each in statuses(directory)):
            return
        time.sleep(0.2)
    pytest.fail("the replicas did not come up")


def children_of(process: Child) -> list[int]:
    """The replicas that `pbft up` runs."""
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(each) for each in found]


def gone(pid: int) -> bool:
    """Whether a process has ended (or is a zombie that nobody has reaped yet)."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True


def until_gone(pids: list[int]) -> bool:
    """Whether all of them end within a few seconds."""
    for _ in range(50):
        if all(map(gone, pids)):
            return True
        time.sleep(0.1)
    return False


def test_a_cluster_from_its_first_to_its_last_command(tmp_path: Path) -> None:
    init(tmp_path)
    with running(tmp_path, *shlex.split(EXAMPLES["up"])[1:]) as up:
        until_up(tmp_path)
        _examples_of_kv(tmp_path)
        _keys_and_values(tmp_path)
        table = pbft_command("status", "mycluster", cwd=tmp_path)
        assert table.returncode == 0
        assert "watermarks" in table.stdout
        assert table.stdout.count("fsync") == 4
        children = children_of(up)
        assert len(children) == 4
        _one_dies(tmp_path, up, children[3])
        up.send_signal(signal.SIGINT)
        assert up.wait(timeout=20) == 0
        assert until_gone(children)
    done = pbft_command("kv", "mycluster", "--timeout", "0.5", "get", "a", cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.startswith("pbft: no quorum answered")
    assert pbft_command("status", "mycluster", cwd=tmp_path).returncode == 1


def _examples_of_kv(directory: Path) -> None:
    answers = {
        "kv": "",
        "kv put": "",
        "kv get": "hello\n",
        "kv cas": "",
        "kv scan": "greeting\tgoodbye\n",
        "kv delete": "",
    }
    for name, answer in answers.items():
        done = pbft_command(*shlex.split(EXAMPLES[name])[1:], cwd=directory)
        assert (done.returncode, done.stdout, done.stderr) == (0, answer, ""), name


def _keys_and_values(directory: Path) -> None:
    expectations: list[tuple[list[str], int, str]] = [
        (["get", "nothing"], 1, ""),
        (["delete", "nothing"], 1, ""),
        (["put", "Ünicode key", "wert\twith tab"], 0, ""),
        (["get", "Ünicode key"], 0, "wert\twith tab\n"),
        (["cas", "Ünicode key", "other", "x"], 1, ""),
        (["cas", "--absent", "new", "1"], 0, ""),
        (["cas", "--absent", "new", "2"], 1, ""),
        (["get", "new"], 0, "1\n"),
        (["put", "empty", ""], 0, ""),
        (["get", "empty"], 0, "\n"),
        (["put", "new", "v" * 20_000], 1, ""),
    ]
    for arguments, status, out in expectations:
        done = pbft_command("kv", "mycluster", *arguments, cwd=directory)
        assert (done.returncode, done.stdout) == (status, out), (arguments, done.stderr)
        assert "Traceback" not in done.stderr


def _one_dies(directory: Path, up: Child, pid: int) -> None:
    """The others go on, and status has a row for the dead one."""
    os.kill(pid, signal.SIGKILL)
    assert until_gone([pid])
    assert pbft_command("kv", "mycluster", "put", "after", "x", cwd=directory).returncode == 0
    assert up.poll() is None
    alive = [each["alive"] for each in statuses(directory)]
    assert alive == [True, True, True, False]
    table = pbft_command("status", "mycluster", cwd=directory).stdout.splitlines()
    assert [line for line in table if "dead" in line] == [table[4]]


def test_replicas_do_not_outlive_what_started_them(tmp_path: Path) -> None:
    """Killed, they leave what they have recorded."""
    init(tmp_path)
    with running(tmp_path, "up", "mycluster", "--record", "rec") as up:
        until_up(tmp_path)
        children = children_of(up)
        up.kill()
        up.wait()
        assert until_gone(children)
    done = pbft_command("timeline", "rec", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "replicas 0, 1, 2, 3 were recorded" in (tmp_path / "timeline.html").read_text("utf-8")


def test_keys_of_a_cluster_that_runs_another_service_are_refused_by_its_name(
    tmp_path: Path,
) -> None:
    service = "pbft.services.counters:Counters"
    with ProcessCluster(tmp_path / "c", service=service) as cluster:
        cluster.start()
        done = pbft_command("kv", "c", "get", "a", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"pbft: this cluster runs {service}, and kv speaks with ")


def test_a_replica_that_forgot_its_votes_says_so_and_stops(tmp_path: Path) -> None:
    init(tmp_path)
    file = tmp_path / "mycluster" / "cluster.toml"
    file.write_text(file.read_text().replace('durability = "fsync"', 'durability = "memory"'))
    with running(tmp_path, "up", "mycluster") as up:
        until_up(tmp_path)
        assert pbft_command("kv", "mycluster", "put", "a", "b", cwd=tmp_path).returncode == 0
        os.kill(children_of(up)[0], signal.SIGKILL)
        done = pbft_command(*shlex.split(EXAMPLES["replica"])[1:], cwd=tmp_path, timeout=20)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith("pbft: replica-0 has voted")
        assert "Traceback" not in done.stderr


def test_a_replica_is_not_started_twice(tmp_path: Path) -> None:
    init(tmp_path)
    with running(tmp_path, "replica", "mycluster", "1"):
        lock = tmp_path / "mycluster" / "data" / "replica-1.db"
        for _ in range(100):
            if lock.exists():
                break
            time.sleep(0.05)
        done = pbft_command("replica", "mycluster", "1", cwd=tmp_path, timeout=20)
        assert done.returncode == 2
        assert "running already; stop that process first" in done.stderr


def test_a_replica_ends_cleanly(tmp_path: Path) -> None:
    init(tmp_path)
    for number in (signal.SIGINT, signal.SIGTERM):
        with running(tmp_path, "replica", "mycluster", "1") as replica:
            time.sleep(1.0)
            replica.send_signal(number)
            assert replica.wait(timeout=10) == 0
            assert replica.stderr is not None
            assert replica.stderr.read() == ""
