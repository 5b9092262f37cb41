"""Reassembly: whole again in any order, and never above its bounds whatever a peer sends."""

import dataclasses
import random
from collections import Counter

import pytest

from pbft.transport.frames import MESSAGE, Fragment, Missing, frames, unpack
from pbft.transport.reassembly import (
    ASK_NS,
    ASKS,
    FINISHED_NAMES,
    FRAGMENT_COST_BYTES,
    Reassembly,
    ReassemblyLimits,
)

ROOM = 100
LIMITS = ReassemblyLimits(held_bytes=100_000, messages=4, age_ns=1000, message_bytes=50_000)


def parts(message: bytes) -> list[Fragment]:
    found = [unpack(frame)[0] for frame in frames(MESSAGE, message, ROOM)]
    return [part for part in found if isinstance(part, Fragment)]


def reassembly(limits: ReassemblyLimits = LIMITS) -> tuple[Reassembly, Counter[str]]:
    drops: Counter[str] = Counter()
    return Reassembly(limits, drops), drops


def message(seed: int, size: int = 2000) -> bytes:
    return random.Random(seed).randbytes(size)


def test_fragments_in_any_order_repeated_and_interleaved() -> None:
    dice = random.Random(3)
    messages = [message(seed) for seed in range(4)]
    wanted = [part for each in messages for part in parts(each)] * 2
    dice.shuffle(wanted)
    whole, drops = reassembly()
    found = [got for part in wanted if (got := whole.add(part, 0)) is not None]
    assert set(found) == set(messages)
    assert not drops


def test_a_second_sending_fills_the_gaps_of_the_first() -> None:
    each = parts(message(1))
    whole, _ = reassembly()
    assert all(whole.add(part, 0) is None for part in each[::2])
    found = [whole.add(part, 1) for part in each[1::2]]
    assert found[-1] == message(1)
    assert whole.held_bytes == 0


def test_too_many_unfinished_messages_push_out_the_stalest() -> None:
    whole, drops = reassembly()
    starts = [parts(message(seed)) for seed in range(5)]
    for each in starts[:4]:
        whole.add(each[0], 0)
    whole.add(starts[0][1], 0)  # news for the first: now the second is the stalest
    whole.add(starts[4][0], 0)
    assert drops == {"too many unfinished messages": 1}
    assert [whole.add(part, 0) for part in starts[0][2:]][-1] == message(0)
    assert all(whole.add(part, 0) is None for part in starts[1][1:])


def test_bytes_are_bounded_even_for_one_byte_fragments() -> None:
    limits = ReassemblyLimits(held_bytes=5000, messages=9999, age_ns=1000, message_bytes=50_000)
    whole, drops = reassembly(limits)
    for number in range(1000):
        whole.add(Fragment(MESSAGE, number.to_bytes(8, "big"), 0, 2, b"x"), 0)
        assert whole.held_bytes <= 5000
    assert drops["too many unfinished messages"] == 1000 - 5000 // (FRAGMENT_COST_BYTES + 1)


def test_age_is_time_without_news() -> None:
    whole, drops = reassembly()
    first, second = parts(message(1)), parts(message(2))
    whole.add(first[0], 0)
    whole.add(second[0], 500)
    whole.add(second[1], 1001)
    assert drops == {"unfinished message grew old": 1}
    assert [whole.add(part, 1002) for part in second[2:]][-1] == message(2)


def test_a_message_above_the_limit_is_dropped_before_it_is_whole() -> None:
    limits = ReassemblyLimits(held_bytes=10**6, messages=4, age_ns=1000, message_bytes=50_000)
    whole, drops = reassembly(limits)
    assert all(whole.add(part, 0) is None for part in parts(message(1, 60_000)))
    assert drops["message too large to reassemble"] == 1
    assert whole.held_bytes < 3 * limits.message_bytes


@pytest.mark.parametrize("parts_claimed", [3, 65_535])
def test_a_fragment_that_contradicts_the_first_is_dropped(parts_claimed: int) -> None:
    whole, drops = reassembly()
    name = bytes(8)
    assert whole.add(Fragment(MESSAGE, name, 0, 2, b"a"), 0) is None
    assert whole.add(Fragment(MESSAGE, name, 1, parts_claimed, b"x"), 0) is None
    assert drops == {"fragment that contradicts others": 1}
    assert whole.add(Fragment(MESSAGE, name, 1, 2, b"b"), 0) == b"ab"


def test_any_flood_stays_within_the_bounds() -> None:
    dice = random.Random(9)
    whole, _ = reassembly()
    for now in range(20_000):
        count = dice.choice((2, 3, 500))
        name = bytes([dice.randrange(20)] * 8)
        whole.add(Fragment(MESSAGE, name, dice.randrange(count), count, bytes(1200)), now)
        assert whole.held_bytes <= LIMITS.held_bytes


def test_gaps_are_asked_for_once_nothing_more_has_arrived_for_a_while() -> None:
    each = parts(message(1))
    whole, _ = reassembly()
    assert whole.deadline is None
    for at, part in enumerate(each):
        if at not in (3, 7):
            whole.add(part, at)
    due = len(each) - 1 + ASK_NS
    assert whole.deadline == due
    assert whole.ask(due - 1) == []
    (question,) = whole.ask(due)
    assert unpack(question) == [Missing(each[0].name, (3, 7))]
    assert whole.deadline == due + ASK_NS
    assert whole.ask(due + ASK_NS)
    assert whole.deadline == due + ASK_NS + 2 * ASK_NS


def test_the_wait_for_an_answer_follows_how_long_answers_take() -> None:
    each = parts(message(1))
    whole, _ = reassembly()
    whole.add(each[0], 0)
    assert whole.ask(ASK_NS)
    whole.add(each[1], 5 * ASK_NS)
    assert whole.deadline == 5 * ASK_NS + 8 * ASK_NS
    whole.add(parts(message(2))[0], 6 * ASK_NS)  # the first is too old by now
    assert whole.deadline == 6 * ASK_NS + 8 * ASK_NS


def test_a_late_copy_of_a_finished_message_is_not_asked_about_but_a_second_sending_is() -> None:
    each = parts(message(1))
    whole, _ = reassembly()
    for part in each:
        whole.add(part, 0)
    whole.add(each[4], 1)
    assert whole.deadline is None
    assert whole.ask(100 * ASK_NS) == []
    for part in each[: len(each) // 2 + 1]:
        whole.add(part, 2)
    assert whole.ask(2 + ASK_NS)


def test_names_of_finished_messages_are_bounded() -> None:
    whole, _ = reassembly()
    for number in range(2 * FINISHED_NAMES):
        name = number.to_bytes(8, "big")
        whole.add(Fragment(MESSAGE, name, 0, 2, b"a"), 0)
        assert whole.add(Fragment(MESSAGE, name, 1, 2, b"b"), 0) == b"ab"
    assert len(whole._finished) == FINISHED_NAMES


def test_a_fragment_of_another_kind_does_not_join() -> None:
    whole, drops = reassembly()
    one, other, *_ = parts(message(1))
    whole.add(one, 0)
    whole.add(other._replace(kind=other.kind + 1), 0)
    assert drops == {"fragment that contradicts others": 1}


def test_a_copy_of_a_fragment_costs_nothing() -> None:
    whole, _ = reassembly()
    one = parts(message(1))[0]
    whole.add(one, 0)
    before = whole.held_bytes
    for _ in range(1000):
        assert whole.add(one, 0) is None
    assert whole.held_bytes == before


def test_the_gaps_of_one_message_are_asked_for_a_bounded_number_of_times() -> None:
    whole, _ = reassembly(dataclasses.replace(LIMITS, age_ns=10**15))
    whole.add(parts(message(1))[0], 0)
    asked, now = 0, 0
    while (at := whole.deadline) is not None and asked <= ASKS:
        assert at >= now
        now = at
        assert whole.ask(now)
        asked += 1
    assert asked == ASKS
