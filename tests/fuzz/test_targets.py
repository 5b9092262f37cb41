"""Every decoder, over what the fuzzers have stored, over mutants of valid inputs and over anything
at all. Longer and guided by coverage: `make fuzz`."""

import random
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbft.core.errors import DecodeError
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
CORPUS_BYTES = 300_000
MUTANTS = 150
SECONDS_EACH = 0.25
"""Far more than any input takes; a decoder that is quadratic in what a file holds takes longer."""
FACTOR, CONSTANT = 200, 4_000_000
"""The most bytes that may be allocated for an input, by its length and in all."""


def stored(target: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPUS / target).glob("*"))]


def mutants(target: str) -> Iterator[bytes]:
    """Valid inputs with some bytes changed, cut, doubled or joined."""
    dice, valid = random.Random(target), seeds()[target]
    for _ in range(MUTANTS):
        data = bytearray(dice.choice(valid))
        for _ in range(dice.randrange(1, 5)):
            data[dice.randrange(len(data))] = dice.choice(
                (0, 0x7F, 0x80, 0xFF, dice.randrange(256))
            )
        begin, end = sorted(dice.randrange(len(data) + 1) for _ in range(2))
        middle = bytes(data[begin:end])
        yield bytes(data[:begin]) + middle * dice.choice((0, 1, 1, 2)) + bytes(data[end:])


def test_the_corpus_is_small_and_of_these_targets() -> None:
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert {path.parent.name for path in files} == set(TARGETS)
    assert sum(path.stat().st_size for path in files) < CORPUS_BYTES
    assert set(seeds()) == set(TARGETS)


@pytest.mark.scenario("WF1", "WF2", "T41")
@pytest.mark.parametrize("target", TARGETS)
def test_valid_stored_and_mutated_inputs(target: str) -> None:
    for data in [*seeds()[target], *stored(target), *mutants(target)]:
        began = time.process_time()
        TARGETS[target](data)
        assert time.process_time() - began < SECONDS_EACH


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_allocated_beyond_what_came(target: str) -> None:
    """Whatever lengths are claimed inside."""
    TARGETS[target](seeds()[target][0])
    for data in stored(target):
        tracemalloc.start()
        try:
            TARGETS[target](data)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert most < CONSTANT + FACTOR * len(data)


@pytest.mark.scenario("WF1", "T41")
@pytest.mark.parametrize("target", TARGETS)
def test_anything_at_all(target: str) -> None:
    @settings(max_examples=40)
    @given(st.binary(max_size=400))
    def check(data: bytes) -> None:
        TARGETS[target](data)

    check()


def test_control_a_decoder_that_lets_out_more_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(data: bytes) -> None:
        if data[:1] == b"\x02":
            raise DecodeError("leaves the target")

    monkeypatch.setitem(TARGETS, "wire", careless)
    with pytest.raises(DecodeError):
        test_valid_stored_and_mutated_inputs("wire")


@pytest.mark.parametrize("text", [b"a = " + b"[" * 5000, b"format = " + b"1" * 5000])
def test_found_by_fuzzing_what_tomllib_lets_out(text: bytes) -> None:
    """A RecursionError, and a ValueError that is not its own."""
    TARGETS["cluster-file"](text)
