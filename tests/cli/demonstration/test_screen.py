"""Rows that a newcomer can read, and no terminal codes where there is no terminal."""

from io import StringIO

import pytest
from rich.console import Console

from pbft.cli.demonstration.load import Load
from pbft.cli.demonstration.screen import LiveScreen, PlainScreen, Screen, new_screen, rows
from pbft.cli.demonstration.watch import Watch
from tests.cli.demonstration.reports import report


def watched() -> Watch:
    watch = Watch(4, 0)
    watch.see(report(0, view=1, acted=7))
    watch.see(
        report(
            1, view=1, evidence={0: ["two votes", "a lie", "a lie"]}, drops={"malformed": 2, "x": 1}
        )
    )
    watch.see(report(2, view=2, active=False, drops={"old or settled": 50}))
    return watch


def test_rows() -> None:
    traitor, primary, moving, absent = rows(watched())
    assert traitor[1] == "TRAITOR, backup"
    assert traitor[-1] == "made 7 attacks"
    assert primary[1:3] == ("primary", "1")
    assert primary[-1] == "2 proofs against 0, refused 3"
    assert moving[1:3] == ("backup", "to 2")
    assert moving[-1] == "-"
    assert absent[:2] == ("3", "not heard of")


def test_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    screen = new_screen()
    assert isinstance(screen, PlainScreen)
    with screen:
        screen.show(Load(1), watched())
        screen.tell("replica 1 works in view 1")
    out = capsys.readouterr().out
    assert out.index("replica 1 works") < out.index("TRAITOR, backup")
    assert "\x1b" not in out


def _break(screen: Screen) -> None:
    with screen:
        screen.show(Load(1), watched())
        raise ValueError("broken")


def test_no_table_after_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="broken"):
        _break(new_screen())
    assert "TRAITOR" not in capsys.readouterr().out


def test_a_live_table_fits_a_small_terminal() -> None:
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=80, no_color=True)
    with LiveScreen(console) as screen:
        screen.tell("replica 1 works in view 1")
        screen.show(Load(9), watched())
    shown = out.getvalue()
    assert "replica 1 works in view 1" in shown
    assert "0 of 9 requests answered; attacks made: 7" in shown
    assert "TRAITOR, backup" in shown
    assert "2 proofs against 0" in shown, shown
    assert "\x1b[31m" not in shown
