"""Each oracle has a run that it must flag, and none about the same run without the defect."""

from dataclasses import replace

import pytest

from pbft.core.config import Configuration
from pbft.core.protocol import retransmission
from pbft.core.state.sessions import Answer, Sessions
from pbft.testing.oracles import every_oracle
from pbft.testing.oracles.quietness import is_calm
from pbft.testing.plan import Plan, draw
from pbft.testing.simulator import Report, Simulation


def calm(seed: int = 3) -> Plan:
    """Nothing is wrong."""
    return replace(
        draw(seed, 4, 0),
        loss=0.0,
        duplicates=0.0,
        delay_ns=2_000_000,
        faulty_clients=0,
        partitions=[],
        crashes=[],
        stops=[],
    )


def judged(plan: Plan) -> Report:
    return Simulation(plan, every_oracle()).run()


def flagged(plan: Plan, what: str) -> bool:
    return any(each.startswith(f"{what}:") for each in judged(plan).violations)


def test_nothing_is_said_of_runs_without_a_defect() -> None:
    assert is_calm(calm())
    assert judged(calm()).violations == []
    lossy = replace(calm(), loss=0.2)
    assert not is_calm(lossy)
    assert judged(lossy).violations == []


def test_a_timeout_that_is_too_short_is_not_quiet() -> None:
    config = replace(
        calm().config,
        status_interval_ns=2_000_000,
        request_timeout_ns=4_000_000,
        timeout_max_ns=8_000_000,
    )
    assert flagged(replace(calm(), config=config), "quietness")


def test_a_quorum_that_is_too_small_leaves_watermarks_without_proof(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Configuration, "quorum", property(lambda config: config.f + 1))
    assert flagged(calm(), "proofs")


def test_a_table_without_its_bound_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    close = Sessions.close

    def unbounded(self: Sessions, client: str, answer: Answer, window: int, size: int) -> bool:
        return close(self, client, answer, 10**6, size)

    assert not flagged(calm(), "memory")
    monkeypatch.setattr(Sessions, "close", unbounded)
    assert flagged(calm(), "memory")


def test_repetition_without_a_budget_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(calm().config, answer_max_bytes=512, transfer_max_bytes=4096)
    lossy = replace(calm(), config=config, loss=0.3, delay_ns=40_000_000)
    assert not flagged(lossy, "egress")

    def lavish(state, turn, replica, peer, owed, shares):  # type: ignore[no-untyped-def]
        for message in list(owed) * 60:
            turn.send((replica,), message)

    monkeypatch.setattr(retransmission, "_resend", lavish)
    assert flagged(lossy, "egress")


def test_a_retry_with_another_reply_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    lossy = replace(calm(), loss=0.3)
    assert not flagged(lossy, "exactly-once")
    answer = Sessions.answer

    def forgetful(self: Sessions, key: tuple[str, int]) -> Answer | None:
        found = answer(self, key)
        return None if found is None else Answer(*key[1:], found.request, found.sequence, (b"?",))

    monkeypatch.setattr(Sessions, "answer", forgetful)
    assert flagged(lossy, "exactly-once")
