"""Control messages: what goes in comes out, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbft.control import (
    MAX_QUERY_BYTES,
    StatusQuery,
    StatusReport,
    decode_query,
    decode_report,
    encode,
)
from pbft.core.status import ReplicaStatus

REPORT = StatusReport(
    nonce=3,
    status=ReplicaStatus(
        replica=1,
        view=2,
        active=True,
        voting=True,
        primary=2,
        low_watermark=128,
        high_watermark=384,
        executed=200,
        waiting=0,
        transferring=False,
        state_digest_at=128,
        state_digest=bytes(range(32)),
        checkpoints={128: bytes(range(32))},
        drops={"malformed": 1},
        evidence={0: ["conflicting pre-prepares"]},
    ),
    durability="memory",
    uptime_seconds=1.5,
    datagrams_received=10,
    datagrams_sent=20,
    acted=0,
)


def test_question_and_answer_survive_the_wire() -> None:
    assert decode_query(encode(StatusQuery(7))) == StatusQuery(7)
    assert decode_report(encode(REPORT)) == REPORT


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b'{"type":"status?"}',
        b'{"type":"status?","nonce":"x"}',
        b'{"type":"status?","nonce":1,"more":1}',
        encode(StatusQuery(7)) + b" " * MAX_QUERY_BYTES,
        encode(REPORT),
        b"\xff\xfe",
        b"[" * 200,
    ],
)
def test_what_is_no_question_is_none(data: bytes) -> None:
    assert decode_query(data) is None


def test_what_is_no_answer_is_none() -> None:
    assert decode_report(encode(StatusQuery(7))) is None
    assert decode_report(encode(REPORT)[:-1]) is None
    assert decode_report(b"[" * 100_000) is None


@given(st.binary(max_size=100))
def test_no_bytes_raise(data: bytes) -> None:
    assert decode_query(data) is None
    assert decode_report(data) is None
