"""A plan that somebody else has written is refused in a sentence where no run can be made of it."""

import json
from typing import Any

import pytest

from pbft.testing.plan import draw
from pbft.testing.plan_limits import fault
from pbft.testing.planfiles import PlanFileError, decode, encode, told
from pbft.testing.simulator import Report
from pbft.testing.swarm import swarm
from pbft.testing.twins import twins

HELD = Report(0, True, [], 0, {}, "", 0, 0, 0, 0)
HUGE = 10**18
LONG = "A" * 4_000_000
OUTBURST: dict[str, Any] = {
    "client": "mallory-0",
    "at": 1,
    "says": [{"to": [0], "timestamp": 1, "operations": ["QQ=="]}],
}


def edited(changes: dict[str, Any], config: dict[str, Any]) -> bytes:
    loose = json.loads(encode(told(draw(2), HELD)))
    loose["plan"].update(changes)
    loose["plan"]["config"].update(config)
    return json.dumps(loose).encode()


def outburst(**changes: Any) -> dict[str, Any]:
    says = [{**OUTBURST["says"][0], **changes}]
    return {"outbursts": [{**OUTBURST, "says": says}]}


@pytest.mark.parametrize(
    ("changes", "config", "said"),
    [
        ({"gst_ns": HUGE}, {}, "gst_ns is 1000000000000000000, and not between 0 and"),
        ({"calm_delay_ns": HUGE}, {}, "calm_delay_ns"),
        ({"disk_delay_ns": -1}, {}, "disk_delay_ns is -1"),
        ({"loss": 2.0}, {}, "loss is 2.0, and not between 0 and 1"),
        ({"duplicates": -0.5}, {}, "duplicates"),
        ({"clients": 10**6, "scripts": None}, {}, "clients is 1000000"),
        ({"clients": 0, "scripts": None}, {}, "there are no clients"),
        ({"operations": 10**12, "scripts": None}, {}, "operations"),
        ({"faulty_clients": 10**6, "outbursts": None}, {}, "faulty_clients"),
        ({"core": [0, 77]}, {}, "core is 77"),
        ({"core": []}, {}, "nobody is in its core"),
        ({"traitors": {"9": "silent"}}, {}, "there is no replica 9 of 4"),
        ({"crashes": [{"begin": 1, "end": HUGE, "replica": 0}]}, {}, "crashes.end"),
        ({"crashes": [{"begin": 1, "end": 2, "replica": -1}]}, {}, "crashes.replica"),
        (
            {"scripts": {"a": {"at_once": 0, "calls": []}}},
            {},
            "scripts.at_once is 0, and not between 1",
        ),
        ({"scripts": {"": {"at_once": 1, "calls": []}}}, {}, "names a client by 0 characters"),
        (outburst(times=10**7), {}, "outbursts.says.times"),
        (outburst(timestamp=2**80), {}, "timestamp|out of range"),
        (
            {"scripts": {"a": {"at_once": 1, "calls": [{"operation": LONG, "pause_ns": 0}]}}},
            {},
            "an operation has more than",
        ),
        ({}, {"n": 1000}, "4 to 100 replicas"),
        ({}, {"request_timeout_ns": HUGE, "timeout_max_ns": HUGE}, "config.request_timeout_ns"),
        ({}, {"status_interval_ns": 1}, "config.status_interval_ns"),
    ],
)
def test_what_is_beyond_all_measure_is_named(
    changes: dict[str, Any], config: dict[str, Any], said: str
) -> None:
    with pytest.raises(PlanFileError, match=said):
        decode(edited(changes, config))


@pytest.mark.parametrize("number", [0, -1])
def test_there_was_no_format_before_the_first(number: int) -> None:
    loose = json.loads(encode(told(draw(2), HELD)))
    with pytest.raises(PlanFileError, match="it has no format"):
        decode(json.dumps({**loose, "format": number}).encode())


def test_what_this_project_draws_is_within() -> None:
    plans = [draw(seed, replicas) for seed in range(40) for replicas in (4, 7)]
    plans += [swarm(seed) for seed in range(300)]
    plans += [twins(index) for index in range(20)]
    assert {fault(plan) for plan in plans} == {None}
