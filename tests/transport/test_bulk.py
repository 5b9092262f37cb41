"""Large messages out: paced, repeated where a fragment is missing, bounded whatever a peer asks."""

import random
from collections import Counter
from itertools import pairwise

import pytest

from pbft.core.ids import MILLISECOND, SECOND
from pbft.transport.bulk import (
    AGE_NS,
    BURST_BYTES,
    PACE_BYTES_PER_SECOND,
    REPEAT_BURST_BYTES,
    REPEAT_BYTES_PER_SECOND,
    REPEATS,
    Bulk,
)
from pbft.transport.frames import MESSAGE, Fragment, Missing, frames, name_of, unpack
from pbft.transport.pacing import Pace
from pbft.transport.reassembly import ASKS, Reassembly, ReassemblyLimits

ROOM = 1170
HELD = 4_000_000
LIMITS = ReassemblyLimits(held_bytes=HELD, messages=64, age_ns=10 * SECOND, message_bytes=2_000_000)


def message(seed: int, size: int) -> list[bytes]:
    return frames(MESSAGE, random.Random(seed).randbytes(size), ROOM)


def bulk(held: int = HELD) -> tuple[Bulk, Counter[str]]:
    drops: Counter[str] = Counter()
    return Bulk(held, drops), drops


def drained(out: Bulk, now: int) -> list[bytes]:
    """Everything that waits, from `now` on, at its pace."""
    sent = []
    while out.waiting:
        sent += out.take(now)
        now += MILLISECOND
    return sent


def everything(cut: list[bytes]) -> Missing:
    return Missing(name_of(cut[0]), tuple(range(len(cut))))


def carried(
    out: Bulk, reassembly: Reassembly, loss: float, seed: int, most: int
) -> tuple[bytes | None, int]:
    """What arrives, and when, where a share of the frames of either direction is lost."""
    dice = random.Random(seed)
    for now in range(0, most, MILLISECOND):
        for frame in out.take(now):
            (fragment,) = unpack(frame)
            if dice.random() >= loss and isinstance(fragment, Fragment):
                whole = reassembly.add(fragment, now)
                if whole is not None:
                    return whole, now
        for question in reassembly.ask(now):
            (missing,) = unpack(question)
            if dice.random() >= loss and isinstance(missing, Missing):
                out.repeat(missing, now)
    return None, most


@pytest.mark.parametrize(("loss", "within"), [(0.05, 0.5), (0.2, 1.5)])
def test_a_megabyte_arrives_through_loss_in_one_sending(loss: float, within: float) -> None:
    for seed in range(5):
        data = random.Random(seed).randbytes(1_000_000)
        out, drops = bulk()
        out.post(frames(MESSAGE, data, ROOM), 0)
        reassembly = Reassembly(LIMITS, drops)
        whole, now = carried(out, reassembly, loss, seed, int(within * SECOND))
        assert whole == data, (seed, now / SECOND)
        assert not drops


def test_without_questions_it_would_not_arrive() -> None:
    dice = random.Random(1)
    out, drops = bulk()
    out.post(message(1, 200_000), 0)
    reassembly = Reassembly(LIMITS, drops)
    for frame in drained(out, 0):
        (fragment,) = unpack(frame)
        if dice.random() >= 0.05 and isinstance(fragment, Fragment):
            assert reassembly.add(fragment, 0) is None


def test_the_pace_is_kept_and_the_burst_is_bounded() -> None:
    out, _ = bulk()
    cut = message(1, 2_000_000)
    out.post(cut, 0)
    burst = sum(map(len, out.take(SECOND)))
    assert BURST_BYTES <= burst < BURST_BYTES + ROOM
    assert not out.take(SECOND)
    later = sum(map(len, out.take(SECOND + 2 * MILLISECOND)))
    assert abs(later - PACE_BYTES_PER_SECOND * 2 // 1000) < 2 * ROOM
    assert out.waiting


def test_a_pace_never_saves_up_more_than_its_burst() -> None:
    pace = Pace(rate=1000, burst=500)
    pace.spend(pace.left(SECOND))
    assert pace.left(SECOND) == 0
    assert pace.left(SECOND + SECOND // 10) == 100
    assert pace.left(100 * SECOND) == 500
    assert pace.left(0) == 500  # a clock that goes back gives nothing and breaks nothing


def test_one_fragment_is_repeated_a_bounded_number_of_times_per_posting() -> None:
    out, drops = bulk()
    cut = message(1, 10_000)
    out.post(cut, 0)
    drained(out, 0)
    for _ in range(3 * REPEATS):
        out.repeat(everything(cut), SECOND)
        assert len(drained(out, SECOND)) in (0, len(cut))
    assert drops["fragment asked for too often"] == 2 * REPEATS * len(cut)
    out.post(cut, 2 * SECOND)
    assert drained(out, 2 * SECOND) == cut
    out.repeat(everything(cut), 2 * SECOND)
    assert drained(out, 2 * SECOND) == cut


def test_questions_cannot_draw_more_than_the_budget() -> None:
    out, drops = bulk()
    cuts = [message(seed, 500_000) for seed in range(6)]
    drawn = 0
    for cut in cuts:
        out.post(cut, 0)
    drained(out, 0)
    for now in range(0, SECOND, 10 * MILLISECOND):
        for cut in cuts:
            out.repeat(everything(cut), now)
        drawn += sum(map(len, drained(out, now)))
    assert drawn <= REPEAT_BURST_BYTES + REPEAT_BYTES_PER_SECOND
    assert drops["fragments asked for too fast"]


def test_what_waits_already_is_not_queued_twice() -> None:
    out, _ = bulk()
    cut = message(1, 10_000)
    out.post(cut, 0)
    out.repeat(everything(cut), 0)
    out.post(cut, 0)
    assert drained(out, 0) == cut


def test_only_what_is_kept_and_exists_is_repeated() -> None:
    out, drops = bulk()
    cut = message(1, 10_000)
    out.post(cut, 0)
    drained(out, 0)
    out.repeat(Missing(bytes(8), (0, 1)), 0)
    out.repeat(Missing(name_of(cut[0]), (len(cut), 0xFFFF)), 0)
    out.expire(AGE_NS - 1)
    assert out.held_bytes == sum(map(len, cut))
    assert out.deadline == AGE_NS
    out.expire(AGE_NS)
    out.repeat(everything(cut), AGE_NS)
    assert not out.waiting
    assert out.held_bytes == 0
    assert out.deadline is None
    assert drops == {"fragments asked for that are not kept": 2, "fragment asked for too often": 2}


def test_the_buffer_is_bounded_and_the_oldest_goes_first() -> None:
    out, drops = bulk(held=250_000)
    cuts = [message(seed, 100_000) for seed in range(10)]
    for cut in cuts:
        out.post(cut, 0)
        assert out.held_bytes <= 250_000
    assert drops == {"large message not sent in time": 8}
    assert drained(out, 0) == [*cuts[8], *cuts[9]]


def test_what_the_peer_asks_about_outlasts_what_has_most_likely_arrived() -> None:
    out, drops = bulk(held=250_000)
    cut = message(0, 100_000)
    out.post(cut, 0)
    for seed in range(1, 10):
        drained(out, 0)
        out.repeat(Missing(name_of(cut[0]), (seed,)), 0)
        assert drained(out, 0) == [cut[seed]]
        out.post(message(seed, 100_000), 0)
    assert not drops


def test_asking_keeps_nothing_for_ever() -> None:
    out, _ = bulk()
    cut = message(1, 10_000)
    out.post(cut, 0)
    drained(out, 0)
    sent = []
    for now in range(0, 4 * AGE_NS, AGE_NS // 4):
        out.expire(now)
        out.repeat(Missing(name_of(cut[0]), (1,)), now)
        sent += out.take(now)
    assert sent == [cut[1]] * 4
    assert out.held_bytes == 0


def test_the_newest_message_is_kept_however_large_it_is() -> None:
    out, _ = bulk(held=1000)
    cut = message(1, 50_000)
    out.post(message(2, 50_000), 0)
    out.post(cut, 0)
    assert drained(out, 0) == cut


def test_any_questions_stay_within_the_bounds() -> None:
    dice = random.Random(7)
    out, _ = bulk(held=300_000)
    cuts = [message(seed, dice.randrange(2_000, 90_000)) for seed in range(12)]
    asked, sent, posted, now = 0, 0, 0, 0
    for _ in range(3000):
        now += dice.randrange(5 * MILLISECOND)
        cut = dice.choice(cuts)
        if dice.random() < 0.02:
            out.post(cut, now)
            posted += sum(map(len, cut))
        name = dice.choice((name_of(cut[0]), dice.randbytes(8)))
        out.repeat(Missing(name, tuple(sorted(dice.sample(range(0xFFFF + 1), 5)))), now)
        out.repeat(everything(cut), now)
        asked += 1
        sent += sum(map(len, out.take(now)))
        out.expire(now)
        assert out.held_bytes <= 300_000
    assert asked == 3000
    assert sent <= posted + min(
        posted * REPEATS, REPEAT_BURST_BYTES + REPEAT_BYTES_PER_SECOND * now // SECOND
    )


def test_a_silent_sender_is_asked_ever_more_rarely_and_not_for_ever() -> None:
    reassembly = Reassembly(LIMITS, Counter())
    (first,) = unpack(message(1, 10_000)[0])
    assert isinstance(first, Fragment)
    reassembly.add(first, 0)
    times = [now for now in range(0, 60 * SECOND, 5 * MILLISECOND) if reassembly.ask(now)]
    waits = [later - now for now, later in pairwise(times)]
    assert len(times) == ASKS
    assert waits == sorted(waits)
    assert waits[-1] > 10 * waits[0]
    assert reassembly.deadline is None
