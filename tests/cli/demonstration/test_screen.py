"""Rows that a newcomer can read, and no terminal codes where there is no terminal."""

import pytest

from pbft.cli.demonstration.load import Load
from pbft.cli.demonstration.screen import PlainScreen, Screen, new_screen, rows
from pbft.cli.demonstration.watch import Watch
from tests.cli.demonstration.reports import report


def watched() -> Watch:
    watch = Watch(4, 0)
    watch.see(report(0, view=1, acted=7))
    watch.see(report(1, view=1, evidence={0: ["two votes"]}, drops={"malformed": 2, "x": 1}))
    watch.see(report(2, view=2, active=False, drops={"old or settled": 50}))
    return watch


def test_rows() -> None:
    traitor, primary, moving, absent = rows(watched(), "corrupt")
    assert traitor[1] == "TRAITOR (corrupt), backup"
    assert traitor[-1] == "made 7 attacks"
    assert primary[1:3] == ("primary", "1")
    assert primary[-1] == "proof against 0: two votes; refused 3 (most: malformed)"
    assert moving[1:3] == ("backup", "moving to 2")
    assert moving[-1] == "-"
    assert absent[:2] == ("3", "not heard of")


def test_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    screen = new_screen("corrupt")
    assert isinstance(screen, PlainScreen)
    with screen:
        screen.show(Load(1), watched())
        screen.tell("replica 1 works in view 1")
    out = capsys.readouterr().out
    assert out.index("replica 1 works") < out.index("TRAITOR (corrupt)")
    assert "\x1b" not in out


def _break(screen: Screen) -> None:
    with screen:
        screen.show(Load(1), watched())
        raise ValueError("broken")


def test_no_table_after_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="broken"):
        _break(new_screen("corrupt"))
    assert "TRAITOR" not in capsys.readouterr().out
