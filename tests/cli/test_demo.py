"""The demonstration as a user runs it, with each behaviour."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from pbft.cli.examples import EXAMPLES
from pbft.testing.byzantine import BEHAVIOURS
from tests.cli.command import assert_refused, pbft_command

pytestmark = pytest.mark.cluster

FIELDS = {
    *("n", "f", "requests", "answered", "wrong_replies", "view", "view_changes", "agreement"),
    *("state_digests", "byzantine", "recovery_seconds", "latency_ms", "ops_per_second"),
}


def demo(directory: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit status, and the object in the last line."""
    done = pbft_command("demo", *arguments, cwd=directory, timeout=120)
    assert done.stderr == ""
    last: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return done.returncode, last


@pytest.mark.scenario("EQ1", "VC1", "CP1", "CL9", "TM1")
@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_every_behaviour_is_withstood(behaviour: str, tmp_path: Path) -> None:
    status, seen = demo(tmp_path, "--byzantine", behaviour, "--requests", "60", "--json")
    assert status == 0, seen
    assert set(seen) >= FIELDS
    assert (seen["n"], seen["f"]) == (4, 1)
    assert seen["requests"] == seen["answered"] == 60
    assert seen["wrong_replies"] == 0
    assert seen["agreement"] is True
    assert set(seen["state_digests"]) == {"0", "1", "2", "3"}
    assert len(set(seen["state_digests"].values())) == 1
    assert seen["recovery_seconds"] <= 3
    assert 0 < seen["latency_ms"]["p50"] <= seen["latency_ms"]["p99"]
    byzantine = seen["byzantine"]
    assert byzantine["behaviour"] == behaviour
    if behaviour == "none":
        assert (byzantine["id"], byzantine["acted"], seen["view"]) == (None, 0, 0)
    else:
        assert byzantine["id"] == 0
        assert byzantine["acted"] > 0
        assert set(byzantine["noticed"]) == {"1", "2", "3"}
    if behaviour in ("equivocate", "silent"):
        assert seen["view_changes"] >= 1
        assert seen["view"] % 4 != 0


@pytest.mark.scenario("EQ1", "AC1", kills="EQ7 second votes are not looked at")
def test_equivocation_is_proved_and_drawn(tmp_path: Path) -> None:
    _, seen = demo(tmp_path, "--requests", "20", "--json", "--record", "rec")
    proofs = [kind for each in seen["byzantine"]["noticed"].values() for kind in each["evidence"]]
    assert any(kind.startswith("conflicting") for kind in proofs)
    files = sorted(path.name for path in (tmp_path / "rec").iterdir())
    assert files == [f"replica-{number}.jsonl" for number in range(4)]
    done = pbft_command("timeline", "rec", "-o", "page.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "replica 0 is a traitor: equivocate" in page
    assert "evidence against replica 0: conflicting" in page
    assert "view 1 is entered by" in page


def test_the_lies_to_clients_are_counted(tmp_path: Path) -> None:
    _, seen = demo(tmp_path, "--byzantine", "lie-to-clients", "--requests", "20", "--json")
    assert seen["byzantine"]["noticed_by_client"]["0"] > 0


def test_the_example_and_what_it_tells(tmp_path: Path) -> None:
    done = pbft_command(*shlex.split(EXAMPLES["demo"])[1:], cwd=tmp_path, timeout=120)
    assert done.returncode == 0
    assert "TRAITOR, backup" in done.stdout
    assert "VERDICT: it held" in done.stdout
    assert "\x1b" not in done.stdout


def test_the_first_example(tmp_path: Path) -> None:
    done = pbft_command(*shlex.split(EXAMPLES[""])[1:], cwd=tmp_path, timeout=120)
    assert done.returncode == 0


def test_for_a_time_and_kept(tmp_path: Path) -> None:
    arguments = ["--byzantine", "none", "--seconds", "1", "--keep", "kept", "--json"]
    status, seen = demo(tmp_path, *arguments)
    assert status == 0
    assert seen["requests"] > 60
    kept = {path.name for path in (tmp_path / "kept").iterdir()}
    assert kept >= {"cluster.toml", "keys", "replica-0.log"}
    assert_refused(pbft_command("demo", *arguments, cwd=tmp_path), "exists")
