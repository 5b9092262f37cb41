"""A replica whose disk is gone, or older than it says, on real processes: refused by the command's
name, recovered by it, and needed by the others afterwards (T35)."""

import asyncio
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pbft import Client
from pbft.cli.main import main
from pbft.journal import LEAF
from pbft.services.kv import KeyValueClient
from pbft.serving import store_path
from pbft.testing.cluster import ProcessCluster, ProcessError
from pbft.transport.loop import run

pytestmark = pytest.mark.cluster

PROTOCOL = {"checkpoint_interval": 8, "window": 32, "request_timeout_ms": 500}
SECONDS = 30.0


async def put(directory: Path, first: int, count: int) -> None:
    async with Client(directory, timeout=SECONDS) as client:
        kv = KeyValueClient(client)
        for number in range(first, first + count):
            await kv.put(b"k%04d" % number, b"%d" % number)


async def fill(directory: Path, count: int) -> None:
    """So many leaves that one write leaves most of them as they are, all in a stable checkpoint."""
    async with Client(directory, timeout=SECONDS) as client:
        kv = KeyValueClient(client)
        await asyncio.gather(
            *(kv.put(b"k%04d" % number, b"%d" % number) for number in range(count))
        )
    await checkpoints(directory, 2)


async def checkpoints(directory: Path, count: int) -> None:
    """So many at least, and the same key is written in all of them."""
    async with Client(directory, timeout=SECONDS) as client:
        for number in range(count * PROTOCOL["checkpoint_interval"]):
            await KeyValueClient(client).put(b"the same", b"%d" % number)


async def until_votes(directory: Path, replica: int) -> None:
    """Until it votes, on an otherwise idle cluster."""
    async with Client(directory, timeout=SECONDS) as client:
        for _ in range(int(SECONDS * 10)):
            status = (await client.status(replica, timeout=SECONDS)).status
            if status.voting:
                assert status.floor is None
                return
            await asyncio.sleep(0.1)
    raise TimeoutError(str(status))


def refused(cluster: ProcessCluster, replica: int) -> str:
    """What it says when it starts, and stops again."""
    cluster.start(replica)
    for _ in range(int(SECONDS * 10)):
        try:
            cluster.check()
        except ProcessError as error:
            cluster.stop(replica)
            return str(error)
        asyncio.run(asyncio.sleep(0.1))
    raise TimeoutError(f"replica {replica} goes on")


@pytest.mark.scenario("CR8", "CR9", "T35")
@pytest.mark.parametrize(("replica", "older_copy"), [(0, True), (3, False)])
def test_a_lost_or_older_disk_is_refused_recovered_and_counts_again(
    tmp_path: Path, replica: int, older_copy: bool
) -> None:
    directory = tmp_path / "c"
    with ProcessCluster(directory, protocol=PROTOCOL) as cluster:
        path = store_path(directory, replica)
        cluster.start()
        run(put(directory, 0, 20))
        cluster.stop(replica)
        shutil.copy(path, tmp_path / "older")
        cluster.start(replica)
        run(until_votes(directory, replica))
        run(put(directory, 20, 30))
        cluster.stop(replica)
        path.unlink()
        if older_copy:
            shutil.copy(tmp_path / "older", path)
        assert f"`pbft recover {directory} {replica} --yes`" in refused(cluster, replica)
        assert main(["recover", str(directory), str(replica), "--yes"]) == 0
        cluster.start(replica)
        run(until_votes(directory, replica))
        cluster.kill(1)
        run(put(directory, 50, 10))
        cluster.start(1)
        run(until_votes(directory, 1))
        cluster.check()


def rot(path: Path) -> None:
    """Flip a bit of the leaf that holds the first key, in the file itself."""
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT key, value FROM journal").fetchall()
    (leaf,) = (value for key, value in rows if key.startswith(LEAF) and b"k0000" in value)
    content = path.read_bytes()
    assert leaf in content
    path.write_bytes(content.replace(leaf, leaf.replace(b"k0000", b"k0001")))


def rot_under(path: Path, old: bytes, new: bytes) -> None:
    """Wherever the files of a running replica say `old`; requests that do so stay as they are."""
    for each in (path, path.with_name(path.name + "-wal")):
        with each.open("r+b") as file:
            content = file.read()
            for at in re.finditer(re.escape(old), content):
                file.seek(at.start())
                file.write(new)


def test_a_leaf_that_rots_while_its_replica_runs_is_written_anew(tmp_path: Path) -> None:
    """Loudly, while calls go on; the start after that needs nobody."""
    directory = tmp_path / "c"
    log = directory / "replica-2.log"
    with ProcessCluster(directory, protocol=PROTOCOL) as cluster:
        cluster.start()
        run(fill(directory, 2_000))
        # Entries of leaves; in a request the key is followed by something else. Some lie in pages
        # that SQLite has in memory and writes again, and so are well before anybody looks.
        for digit in b"0123456789":
            old = b"k000%c\xc4\x01%c" % (digit, digit)
            rot_under(store_path(directory, 2), old, old.replace(b"k000", b"k001"))
        run(checkpoints(directory, 3))
        told = log.read_text().count("rotted and is written anew")
        assert told
        cluster.stop(2)
        cluster.start(2)
        run(until_votes(directory, 2))
        cluster.kill(1)
        run(checkpoints(directory, 1))
        assert log.read_text().count("rotted") == told


@pytest.mark.scenario("CR5", "T54")
def test_a_leaf_that_rots_on_the_disk_is_fetched_from_the_others(tmp_path: Path) -> None:
    """Loudly, and once: the disk holds the sound one again. All else that rots is refused."""
    directory = tmp_path / "c"
    log = directory / "replica-2.log"
    with ProcessCluster(directory, protocol=PROTOCOL) as cluster:
        cluster.start()
        run(put(directory, 0, 20))
        cluster.stop(2)
        rot(store_path(directory, 2))
        cluster.start(2)
        run(until_votes(directory, 2))
        run(put(directory, 20, 20))
        assert log.read_text().count("has rotted and is fetched anew") == 1
        assert "Installed" in log.read_text()
        cluster.stop(2)
        cluster.start(2)
        run(until_votes(directory, 2))
        cluster.kill(1)
        run(put(directory, 40, 10))
        assert log.read_text().count("has rotted and is fetched anew") == 1
