"""The long garbage run, short."""

import pytest

from tests.stress.garbage import GROWTH_MIB, through_the_decoder


@pytest.mark.scenario("WF1", "FL1", "T41", kills="T41 decoding errors escape")
def test_garbage_through_link_decoder_and_core_raises_nothing_and_leaves_nothing() -> None:
    _, grown = through_the_decoder(60_000)
    assert grown <= GROWTH_MIB
