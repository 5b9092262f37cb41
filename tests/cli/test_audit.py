"""`pbft audit`: files in, names and reasons out, and a sentence for everything else."""

import json
from pathlib import Path

import pytest

from pbft import Cluster
from pbft.cli.main import main
from pbft.cluster import CLUSTER_FILE, replica_name
from pbft.core.authentication import Authentication
from pbft.core.effects import Effects, Evidence
from pbft.core.messages import Commit
from pbft.evidence import EvidenceFolder, evidence_paths
from pbft.sqlite_store import SqliteStore


class Scene:
    """A cluster's directory, and evidence that one of its replicas wrote."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.cluster, self.identities = Cluster.create(4, 1)
        self.cluster.save(directory, self.identities)

    def commit(self, replica: int, digest: bytes) -> bytes:
        identity = self.identities[replica_name(replica)]
        config = self.cluster.config
        signer = Authentication(config.cluster_id, identity.signing, self.cluster.verifier())
        return signer.sign(Commit(0, 7, digest, replica)).raw

    def write(self, *statements: bytes) -> Path:
        keeper = EvidenceFolder(self.directory, self.cluster.config.cluster_id, 1)
        keeper.report(Effects(evidence=[Evidence("conflicting commits", 3, statements)]))
        (path,) = evidence_paths(self.directory)
        return path


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path / "c")


@pytest.mark.scenario("AC1")
def test_ac1_a_file_and_the_public_keys_name_the_culprit(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = scene.write(scene.commit(3, bytes(32)), scene.commit(3, bytes([1]) * 32))
    public = tmp_path / "public"
    public.mkdir()
    (public / CLUSTER_FILE).write_bytes((scene.directory / CLUSTER_FILE).read_bytes())
    assert main(["audit", str(path), "--cluster", str(public)]) == 1
    words = capsys.readouterr().out
    assert "replica 3 broke the protocol:" in words
    assert "voted for two batches at number 7 in view 0" in words
    assert "it signed COMMIT: view 0, number 7, batch 000000000000" in words
    assert "it signed COMMIT: view 0, number 7, batch 010101010101" in words
    assert main(["audit", str(scene.directory), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["culprits"], found["statements"], found["refused"]) == ([3], 2, 0)
    assert len(found["convictions"][0]["statements"]) == 2


def test_what_the_accuser_made_up_convicts_nobody(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    """Evidence is a claim; the signatures are what counts."""
    genuine = scene.commit(3, bytes(32))
    forged = genuine[:-9] + bytes([genuine[-9] ^ 1]) + genuine[-8:]
    scene.write(genuine, forged, b"anything at all")
    assert main(["audit", str(scene.directory)]) == 0
    assert "named: nobody; 1 genuine statements, 2 refused" in capsys.readouterr().out


def test_journals_are_read_too(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    path = scene.directory / "data" / "replica-0.db"
    SqliteStore(path, scene.cluster.config.cluster_id, 0).close()
    assert main(["audit", str(scene.directory)]) == 0
    path.write_bytes(b"not a database, but long enough to be looked at" * 100)
    (path.parent / (path.name + "-wal")).unlink(missing_ok=True)
    assert main(["audit", str(scene.directory)]) == 2
    assert "is not a replica's journal" in capsys.readouterr().err


def test_usage(scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "x.jsonl"
    other.write_text("{}\n")
    for arguments, words in (
        ([str(other)], "say with --cluster where cluster.toml is"),
        ([str(scene.directory)], "there is no evidence and no journal here"),
        ([str(other), "--cluster", str(scene.directory)], "this is no evidence"),
        ([str(tmp_path / "absent"), "--cluster", str(scene.directory)], "cannot be read"),
    ):
        assert main(["audit", *arguments]) == 2
        assert words in capsys.readouterr().err


def test_a_path_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", str(tmp_path / "nothing")]) == 2
    assert (
        capsys.readouterr().err
        == f"pbft: {tmp_path / 'nothing'} cannot be read: it does not exist\n"
    )
