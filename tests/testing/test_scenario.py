"""Scenarios are read as they are written; what is not understood is told by file and line."""

from pathlib import Path

import pytest

from pbft.core.ids import MILLISECOND, SECOND
from pbft.services.kv import Get, Put, encode
from pbft.testing.byzantine.attacks import (
    Attack,
    Change,
    Delay,
    Forge,
    Fork,
    Form,
    Imitate,
    Mutate,
    Omit,
    Target,
)
from pbft.testing.losses import Loss
from pbft.testing.plan import Crash, Partition
from pbft.testing.scenario import Scenario, ScenarioError, play, read
from pbft.testing.scenario.draft import FOREVER
from pbft.testing.scenario.playing import difference
from pbft.testing.scenario.reading import parse
from pbft.testing.scripts import Call, Outburst, Saying

HERE = Path("x.scenario")


def scenario(*lines: str, then: str = "agreement") -> Scenario:
    text = "\n".join(("client-0 puts a=1", *lines, f"then: {then}"))
    return parse(text, HERE)


def attack(line: str) -> Attack:
    ((_, (one,)),) = scenario(line).plan.attacks.items()
    return one


def test_sizes_times_and_shares() -> None:
    plan = scenario(
        *("replicas 7", "checkpoint every 4", "window 8", "pipeline 2", "batch 3", "seed 9"),
        *("timeout 400ms", "delay 20ms", "disk 1ms", "loss 5%", "duplicates 10%", "fast reads"),
        *("inline 64", "real keys", "calm after 3.5s"),
    ).plan
    config = plan.config
    assert (config.n, config.checkpoint_interval, config.window, config.pipeline) == (7, 4, 8, 2)
    assert (config.request_timeout_ns, config.fast_reads) == (400 * MILLISECOND, True)
    assert (plan.seed, plan.loss, plan.duplicates, plan.real_keys) == (9, 0.05, 0.1, True)
    assert (plan.gst_ns, plan.delay_ns) == (3500 * MILLISECOND, 20 * MILLISECOND)


def test_calls_come_at_their_times_and_faulty_clients_say_what_they_say() -> None:
    text = "\n".join(
        [
            "client-0 puts a=1 2 times at 1.5s every 100ms",
            "client-0 gets a at 2s",
            "mallory says a=2 under 5 to R0 R1 3 times at 2s through R3",
            "mallory repeats client-0 to all at 2s through R3",
            "then: agreement",
        ]
    )
    plan = parse(text, HERE).plan
    put, get = encode(Put(b"a", b"1")), encode(Get(b"a"))
    assert plan.scripts is not None
    assert plan.scripts["client-0"].calls == (
        Call(put, 100 * MILLISECOND),
        Call(put, 400 * MILLISECOND),
        Call(get, 0),
    )
    assert plan.scripts["client-0"].begin_ns == 1500 * MILLISECOND
    two = Saying((0, 1), 5, (encode(Put(b"a", b"2")),), times=3)
    again = Saying((0, 1, 2, 3), 0, (encode(Get(b"")),), repeats="client-0")
    assert plan.outbursts == [Outburst("mallory", 2 * SECOND, (two, again), 3)]


def test_the_network_and_the_disks() -> None:
    plan = scenario(
        "R0 runs twice",
        "partition R0 R1 | R2 R3 R0' from 1s to 3s",
        "isolate R3 from 1s",
        "mute R0 until 2s",
        "deafen R1 from 1s to 2s",
        "crash R2 R3 at 2s for 1s",
        "roll back the disk of R2 to 1s at 2s, back at 2.2s, recovered at 3s",
    ).plan
    assert plan.partitions == [
        Partition(SECOND, 3 * SECOND, frozenset({2, 3, 4}), False),
        Partition(SECOND, FOREVER, frozenset({3}), False),
        Partition(0, 2 * SECOND, frozenset({0}), True),
        Partition(SECOND, 2 * SECOND, frozenset({0, 2, 3}), True),
    ]
    assert plan.crashes == [Crash(2 * SECOND, 3 * SECOND, each) for each in (2, 3)]
    assert plan.losses == [Loss(2, SECOND, 2 * SECOND, 2200 * MILLISECOND, 3 * SECOND)]
    assert (plan.traitors, plan.gst_ns) == ({0: "twin"}, 3 * SECOND)


def test_attacks() -> None:
    assert attack("R0 equivocates") == Attack(Imitate("equivocate"))
    assert attack("R0 equivocates between R1,R3 and R2") == Attack(Fork((2,)))
    assert attack("R3 is silent to R1 R2") == Attack(Omit(), Target(to=(1, 2)))
    assert attack("R0 delays PRE-PREPAREs by 950ms in view 0") == Attack(
        Delay(950 * MILLISECOND), Target(("Proposal",), views=(0, 1))
    )
    assert attack("R1 forges NEW-VIEWs with wrong-view") == Attack(
        Forge(Form.WRONG_VIEW), Target(("NewView",))
    )
    assert attack("R3 changes digest of PREPAREs and COMMITs to other with 50%") == Attack(
        Mutate("digest", Change.OTHER), Target(("Prepare", "Commit"), chance=0.5)
    )
    assert attack("R3 behaves like replay from 2s to 3s") == Attack(
        Imitate("replay"), Target(times=(2 * SECOND, 3 * SECOND))
    )
    assert attack("R3 omits COMMITs for numbers 2..4 in rounds 1..2") == Attack(
        Omit(), Target(("Commit",), numbers=(2, 5), rounds=(1, 3))
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("R0 dances", "what it does, one of"),
        ("R9 is silent", "one of the 4 replicas"),
        ("R0 is silent to R9", "there are 4 replicas, no R9"),
        ("partition R0 R1 from 1s to 2s", "'|', found 'from'"),
        ("isolate R0 from 1 to 2s", "a time like 950ms or 2s, found '1'"),
        ("crash R0 at 2s", "'for', found the end of the line"),
        ("R1 forges NEW-VIEWs with magic", "a way to forge, one of"),
        ("R1 omits PREPARATIONS", "a kind of message, one of"),
        ("client-0 puts a", "a key and a value like a=1"),
        ("loss much", "a share like 5%"),
        ("replicas 4 5", "the end of the sentence, found '5'"),
        ("hello", "a replica like R0, a client like client-0"),
    ],
)
def test_what_is_not_understood_is_told_by_file_and_line(line: str, expected: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        scenario(line)
    assert str(caught.value).startswith(("x.scenario:2: expected ", "x.scenario:2: there are"))
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("client-0 puts a=1\n", "x.scenario: expected a line 'then: ...'"),
        ("R0 is silent\nthen: agreement", "x.scenario: expected a client that calls"),
        ("client-0 puts a=1\nthen: victory", "x.scenario:2: expected what is expected, one of"),
        ("client-0 puts a=1\nwindow 1\nthen: view 0", "window must be >= 2 checkpoint_interval"),
    ],
)
def test_a_whole_that_makes_no_scenario(text: str, expected: str) -> None:
    with pytest.raises(ScenarioError, match=r"x\.scenario") as caught:
        parse(text, HERE)
    assert expected in str(caught.value)


def test_the_sentences_of_the_guide_are_understood() -> None:
    guide = Path("docs/how-to/testing.md").read_text("utf-8")
    lines = guide.partition("```text not-run=fragment\n")[2].partition("```")[0].splitlines()
    assert len(lines) > 20
    for line in lines:
        others = [] if line.startswith("then:") else ["then: agreement"]
        parse("\n".join(["client-9 puts a=1", line, *others]), HERE)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="cannot be read"):
        read(tmp_path / "none.scenario")


@pytest.mark.parametrize(
    ("then", "fault"),
    [
        ("view 3", "expected 'view 3': the views are {0: 0, 1: 0, 2: 0, 3: 0}"),
        ("R1 blamed", "expected 'R1 blamed': blamed were []"),
        ("2 executed", "expected '2 executed': they have executed {0: 1, 1: 1, 2: 1, 3: 1}"),
        ("agreement is broken", "expected 'agreement is broken': it was not, or nobody saw it"),
        ("R2 transfers", "expected 'R2 transfers': [2] did not"),
        ("stable 4", "expected 'stable 4': the stable checkpoints are {0: 0, 1: 0, 2: 0, 3: 0}"),
        ("answered within 1ms", "expected 'answered within 0.001s': the longest call took 0.01s"),
    ],
)
def test_an_expectation_that_does_not_hold_is_said(then: str, fault: str) -> None:
    assert play(scenario(then=then)).faults == [fault]


def test_a_first_call_waits_for_its_time() -> None:
    """Not for the time of whoever calls first."""
    text = "client-0 puts a=1\nclient-1 gets a at 2s\nthen: 2 executed"
    played = play(parse(text, HERE))
    (said,) = [line for line in played.transcript.splitlines() if "client-1 says" in line]
    assert said.split()[0] == "2.000"
    assert played.report.finished


def test_an_attack_that_meets_no_message_is_said() -> None:
    played = play(scenario("R3 omits NEW-VIEWs"))
    (fault,) = played.faults
    assert fault.startswith("'omit' was never really made")


def test_a_transcript_names_each_message_once_and_shows_where_it_differs() -> None:
    played = play(scenario("R3 is silent"))
    lines = played.transcript.splitlines()
    assert any(line.endswith("R1 says PREPARE v0 n1 A by R1 to R0 R2 R3") for line in lines)
    assert any(line.endswith("client-0 has answer 1") for line in lines)
    assert difference(played, played.transcript) == ""
    assert "+" + lines[3] in difference(played, played.transcript.replace(lines[3], "nothing"))
