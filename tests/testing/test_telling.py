"""Every event of a plan is one sentence that says who, what and when."""

from dataclasses import replace

from pbft.testing.reductions import events
from pbft.testing.telling import sentences
from tests.testing.test_reductions import PLAN


def test_every_event_is_a_sentence() -> None:
    plan = replace(PLAN, core=frozenset({2, 1}), power_cycle=True)
    told = sentences(plan)
    assert len(told) == events(plan)
    for words in (
        "replica 0 is a traitor: silent",
        "partitions: begin 0.000 s, end 0.000 s, group (0, 6)",
        "partitions: begin 0.000 s, end 0.000 s, group (5), one_way",
        "crashes: begin 1.000 s, end 2.000 s, replica 1",
        "stops: point Point(boundary durable, before anything leaves, kind Began), occurrence 9,"
        " down_ns 0.000 s",
        "client-0 calls not an operation: x",
        "core: (1, 2)",
        "loss: 0.1",
    ):
        assert words in told
    assert "twins" in sentences(replace(plan, twins=True))[0]
