"""What a replica hears and says is in the file, turn by turn; the file keeps its limit."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from pbft import recorder
from pbft.client import Client
from pbft.cluster import Cluster
from pbft.core.errors import StorageError
from pbft.core.ids import Packet
from pbft.recorder import Recorder, recording_path
from pbft.recording import Full, Header, Turned
from pbft.services.kv import KeyValueClient
from pbft.testing.byzantine import Behaviour
from pbft.testing.timeline.merging import merge
from pbft.testing.timeline.recording import ARRIVED, Recording
from tests.core.lab import Lab
from tests.local_cluster import make_cluster, make_node

Entry = Header | Turned | Full


def cluster_of_four() -> Cluster:
    return Cluster.create(4, 1, ports=range(20_000, 20_008))[0]


def entries(path: Path) -> list[Entry]:
    return [msgspec.json.decode(line, type=Entry) for line in path.read_bytes().splitlines()]


def overheard(path: Path, lab: Lab, turns: int = 1) -> None:
    """One life of the lab's replica, in which it hears so many requests."""
    with Recorder(path, cluster_of_four(), 0, Behaviour, "none") as writing:
        replica = writing.around(lab.replica)
        for number in range(turns):
            request = lab.request(number + 1)
            replica.receive([Packet("alice", request.raw)], lab.instant)
        replica.expire(lab.instant)
        assert (replica.acted, replica.status()) == (0, lab.replica.status())
        assert replica.deadline == lab.replica.deadline


def test_a_life_begins_with_who_lives_and_each_turn_follows(tmp_path: Path) -> None:
    path, lab = recording_path(tmp_path / "new", 0), Lab(me=0)
    overheard(path, lab)
    overheard(path, Lab(me=0))
    first, turn, *_ = entries(path)
    assert isinstance(first, Header)
    assert (first.replica, first.n, first.view, first.active, first.note) == (0, 4, 0, True, "none")
    assert isinstance(turn, Turned)
    assert [heard.peer for heard in turn.heard] == ["alice"]
    assert turn.heard[0].data == lab.request(1).raw
    assert {to for said in turn.said for to in said.to} == {1, 2, 3}
    assert sum(isinstance(each, Header) for each in entries(path)) == 2
    assert path.stat().st_mode & 0o077 == 0


def test_the_file_is_bounded_over_all_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "MAX_RECORDING_BYTES", 2000)
    path = tmp_path / "r.jsonl"
    for _ in range(3):
        overheard(path, Lab(me=0), turns=5)
    assert 2000 <= path.stat().st_size < 5000
    assert isinstance(entries(path)[-1], Full)
    assert sum(isinstance(each, Full) for each in entries(path)) == 1


def test_a_long_message_is_known_by_its_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "MAX_RECORDED_BYTES", 10)
    path, lab = tmp_path / "r.jsonl", Lab(me=0)
    overheard(path, lab)
    turn = entries(path)[1]
    assert isinstance(turn, Turned)
    assert (turn.heard[0].data, turn.heard[0].size) == (None, len(lab.request(1).raw))


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be written"):
        Recorder(tmp_path / "file" / "r.jsonl", cluster_of_four(), 0, Behaviour)


def test_a_real_cluster_is_recorded_and_its_files_give_one_picture(tmp_path: Path) -> None:
    async def scene() -> None:
        cluster, identities = make_cluster(tmp_path / "c")
        recorders = [
            Recorder(recording_path(tmp_path / "r", each), cluster, each, Behaviour)
            for each in range(4)
        ]
        nodes = [
            make_node(cluster, identities, each, wrap=recorders[each].around) for each in range(4)
        ]
        serving = [asyncio.create_task(node.run()) for node in nodes]
        async with Client(tmp_path / "c", identity="client-0", timeout=20) as client:
            for number in range(3):
                await KeyValueClient(client).put(b"k%d" % number, b"v")
        for node in nodes:
            node.stop()
        await asyncio.gather(*serving)
        for each in recorders:
            each.__exit__(None, None, None)

    asyncio.run(scene())
    recording: Recording = merge([tmp_path / "r"], "a cluster")
    assert [lane.name for lane in recording.lanes][-1] == "client-0"
    between = [a for a in recording.arrows if max(a.source, a.target) < 4]
    arrived = [arrow for arrow in between if arrow.fate == ARRIVED]
    assert len(arrived) > 0.8 * len(between) > 30
    executed = [mark for mark in recording.marks if mark.kind == "executed"]
    assert len(executed) >= 9
    assert any("Put(k0, v)" in text for text in recording.contents)
