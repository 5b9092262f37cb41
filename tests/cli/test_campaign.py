"""The campaign from a shell: its examples, shards that become one, and what is refused."""

import json
import resource
import shlex
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pbft.cli.examples import EXAMPLES
from pbft.core.errors import ConfigurationError
from pbft.testing import campaign
from pbft.testing.campaign import Kept, Outcome, Progress, Size, read
from pbft.testing.families import FAMILIES
from tests.cli.command import assert_refused, pbft_command

HELD: tuple[Any, ...] = (True, [], [], {}, 1, 1)
FLAGGED: tuple[Any, ...] = (False, ["agreement: broken"], [], {}, 1, 1)
NOTHING = ("--swarm", "0", "--twins", "0", "--byzzfuzz", "0", "--controls", "0")


def other_shard(directory: Path) -> None:
    """two.jsonl, by another machine."""
    size = msgspec.structs.replace(campaign.read(directory / "one.jsonl").size, shard=2)
    made = [
        Outcome(each.family, each.index, *HELD if each.family in FAMILIES else FLAGGED)
        for each in campaign.cases(size)
    ]
    campaign.write(directory / "two.jsonl", Kept(size, made))


def test_the_examples_run_as_they_stand(tmp_path: Path) -> None:
    for name in ("campaign", "campaign run", "campaign merge", "campaign show"):
        if name == "campaign merge":
            other_shard(tmp_path)
        done = pbft_command(*shlex.split(EXAMPLES[name])[1:], cwd=tmp_path, timeout=120)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        if "--json" in EXAMPLES[name]:
            told = json.loads(done.stdout)
            assert told["problems"] == []
            assert told["missing"] == 0
        else:
            assert done.stdout.splitlines()[-1] == "it held"


def test_the_progress_of_another_campaign_is_not_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"runs": {"seeds": 7}}\n')
    done = pbft_command(
        *("campaign", "run", "--seeds", "1", "--controls", "0", "--progress", "p.jsonl"),
        cwd=tmp_path,
    )
    assert_refused(done, "progress of another campaign")


def test_progress_that_cannot_be_written_is_said_before_and_in_between(tmp_path: Path) -> None:
    size, outcome = Size({"swarm": 2}), Outcome("swarm", 0, True, [], [], {}, 0, 0)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"p.jsonl cannot be written"):
        Progress(tmp_path / "file" / "p.jsonl", size)
    progress = Progress(tmp_path / "p.jsonl", size)
    progress.add(outcome)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "p.jsonl").stat().st_size, limits[1]))
    try:
        with pytest.raises(ConfigurationError, match="what is done is kept"):
            progress.add(outcome)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        progress.close()
    assert read(tmp_path / "p.jsonl").outcomes == [outcome]


def test_what_is_no_progress_is_said(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text("hello\n")
    assert_refused(pbft_command("campaign", "show", "p.jsonl", cwd=tmp_path), "not the progress")


def test_a_campaign_of_nothing_is_refused(tmp_path: Path) -> None:
    done = pbft_command("campaign", "run", *NOTHING, cwd=tmp_path)
    assert_refused(done, "shows nothing")


def test_a_part_of_a_campaign_does_not_hold(tmp_path: Path) -> None:
    """One shard that died must not be green in the whole."""
    campaign.write(tmp_path / "one.jsonl", Kept(campaign.Size({"seeds": 2}, 1, 2), []))
    done = pbft_command("campaign", "merge", "one.jsonl", cwd=tmp_path)
    assert done.returncode == 1
    assert "2 runs are missing" in done.stdout
    assert "it held" not in done.stdout


def test_where_nothing_can_be_kept_nothing_is_run(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    run = ("campaign", "run", "--swarm", "1", "--twins", "0", "--byzzfuzz", "0", "--controls", "0")
    for option in ("--keep", "--progress"):
        done = pbft_command(*run, option, "taken/x", cwd=tmp_path)
        assert done.returncode in (1, 2)
        assert "cannot be" in done.stderr
        assert len(done.stderr.splitlines()) == 1
