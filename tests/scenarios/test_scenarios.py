"""Every scenario file holds, and happens as it was recorded.

A change of the protocol that changes a transcript shows what it changed; where that is right:
`pbft scenario tests/scenarios/*.scenario --record`.
"""

from pathlib import Path

import pytest

from pbft.testing.scenario import play, read
from pbft.testing.scenario.playing import difference

FILES = sorted(Path(__file__).parent.glob("*.scenario"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_holds_and_happens_as_recorded(path: Path) -> None:
    played = play(read(path))
    assert played.faults == []
    changed = difference(played, path.with_suffix(".transcript").read_text("utf-8"))
    assert not changed, changed


def test_there_are_scenarios_and_each_says_what_it_is() -> None:
    assert len(FILES) >= 20
    assert all(":" in read(path).title for path in FILES)
